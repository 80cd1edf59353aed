/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/oci/image-manifest.h"

#include "splitfdstream/base/text.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

static int refuse(struct splitfd_error *err, const char *what)
{
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG, "%s", what);
}

/* A member's string, or "". */
static const char *string_of(const cJSON *object, const char *key)
{
	const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, key);

	return cJSON_IsString(member) ? member->valuestring : "";
}

static bool one_of(const char *text, const char *const *list)
{
	for (; *list != NULL; list++)
		if (strcmp(text, *list) == 0)
			return true;
	return false;
}

/* What is no manifest of one image, said by name. */
static int check_kind(const cJSON *json, struct splitfd_error *err)
{
	static const char *const indexes[] = { "application/vnd.oci.image.index.v1+json",
		"application/vnd.docker.distribution.manifest.list.v2+json", NULL };
	static const char *const manifests[] = { "", "application/vnd.oci.image.manifest.v1+json",
		"application/vnd.docker.distribution.manifest.v2+json", NULL };
	static const char *const configs[] = { "", "application/vnd.oci.image.config.v1+json",
		"application/vnd.docker.container.image.v1+json", NULL };
	const cJSON *version = cJSON_GetObjectItemCaseSensitive(json, "schemaVersion");
	const char *type = string_of(json, "mediaType");

	if (one_of(type, indexes) || cJSON_GetObjectItemCaseSensitive(json, "manifests") != NULL)
		return refuse(err, "it is a list of manifests (a local manifest list), not an "
				   "image; name one of its images");
	if ((cJSON_IsNumber(version) && version->valueint == 1) ||
		cJSON_GetObjectItemCaseSensitive(json, "fsLayers") != NULL)
		return refuse(err, "its manifest is of docker's schema 1, which does not hold the "
				   "config; pull the image again in a newer format");
	if (!cJSON_IsNumber(version) || version->valueint != 2 || !one_of(type, manifests))
		return refuse(err, "its manifest is neither OCI's nor docker's schema 2");
	type = string_of(cJSON_GetObjectItemCaseSensitive(json, "config"), "mediaType");
	if (!one_of(type, configs))
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"it is an artifact (its config is %.200s), not an image", type);
	return 0;
}

int sfd_manifest_parse(
	const char *text, size_t size, struct sfd_manifest *ret, struct splitfd_error *err)
{
	const cJSON *layer;
	int r;

	ret->json = cJSON_ParseWithLengthOpts(text, size + 1, NULL, true);
	if (!cJSON_IsObject(ret->json))
		return refuse(err, "its manifest is malformed: not a JSON object");
	r = check_kind(ret->json, err);
	if (r < 0)
		return r;
	ret->config_digest =
		string_of(cJSON_GetObjectItemCaseSensitive(ret->json, "config"), "digest");
	if (!sfd_parse_sha256(ret->config_digest, NULL))
		return refuse(err, "its manifest is malformed: the config's digest is no sha256");
	ret->layers = cJSON_GetObjectItemCaseSensitive(ret->json, "layers");
	if (ret->layers != NULL && !cJSON_IsArray(ret->layers) && !cJSON_IsNull(ret->layers))
		return refuse(err, "its manifest is malformed: layers is no array");
	cJSON_ArrayForEach (layer, ret->layers) {
		if (!sfd_parse_sha256(string_of(layer, "digest"), NULL))
			return refuse(
				err, "its manifest is malformed: a layer's digest is no sha256");
		ret->n_layers++;
	}
	return 0;
}

void sfd_manifest_done(struct sfd_manifest *manifest)
{
	cJSON_Delete(manifest->json);
	*manifest = (struct sfd_manifest){ 0 };
}

void sfd_manifest_layer(const struct sfd_manifest *manifest, size_t i, const char **ret_digest,
	const char **ret_media_type)
{
	const cJSON *layer = cJSON_GetArrayItem(manifest->layers, (int)i);
	const char *type = string_of(layer, "mediaType");

	*ret_digest = string_of(layer, "digest");
	*ret_media_type = *type != '\0' ? type : NULL;
}

int sfd_diff_ids_parse(
	const char *text, size_t size, struct sfd_diff_ids *ret, struct splitfd_error *err)
{
	const cJSON *rootfs, *id;

	ret->json = cJSON_ParseWithLengthOpts(text, size + 1, NULL, true);
	if (!cJSON_IsObject(ret->json))
		return refuse(err, "its config is malformed: not a JSON object");
	rootfs = cJSON_GetObjectItemCaseSensitive(ret->json, "rootfs");
	ret->v = cJSON_GetObjectItemCaseSensitive(rootfs, "diff_ids");
	if (!cJSON_IsObject(rootfs) ||
		(ret->v != NULL && !cJSON_IsArray(ret->v) && !cJSON_IsNull(ret->v)))
		return refuse(err, "its config is malformed: rootfs.diff_ids is no array");
	cJSON_ArrayForEach (id, ret->v) {
		if (!cJSON_IsString(id) || !sfd_parse_sha256(id->valuestring, NULL))
			return refuse(err, "its config is malformed: a diff_id is no sha256");
		ret->n++;
	}
	return 0;
}

void sfd_diff_ids_done(struct sfd_diff_ids *ids)
{
	cJSON_Delete(ids->json);
	*ids = (struct sfd_diff_ids){ 0 };
}

const char *sfd_diff_id(const struct sfd_diff_ids *ids, size_t i)
{
	return cJSON_GetArrayItem(ids->v, (int)i)->valuestring;
}
