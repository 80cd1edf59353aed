/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/oci/oci-json.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"

#include <cjson/cJSON.h>
#include <string.h>

#define OCI_CONFIG "application/vnd.oci.image.config.v1+json"

SFD_DEFINE_CLEANUP(cleanup_json_, cJSON, cJSON_Delete);

static int malformed(struct splitfd_error *err, const char *what, const char *why)
{
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG, "the %s %s", what, why);
}

static int parse(
	const char *json, size_t size, const char *what, cJSON **ret, struct splitfd_error *err)
{
	const char *end = json;
	cJSON *root;

	if (size > SFD_OCI_JSON_MAX)
		return malformed(err, what, "is larger than 16 MiB");
	root = cJSON_ParseWithLengthOpts(json, size, &end, 0);
	if (root == NULL)
		return malformed(err, what, "is no JSON");
	while (end < json + size && strchr(" \t\r\n", *end) != NULL && *end != '\0')
		end++;
	if (end != json + size || !cJSON_IsObject(root)) {
		cJSON_Delete(root);
		return malformed(err, what, "is no JSON object");
	}
	*ret = root;
	return 0;
}

static const cJSON *member(const cJSON *object, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(object, name);
}

static const char *text_member(const cJSON *object, const char *name)
{
	return cJSON_GetStringValue(member(object, name));
}

/* "ALGORITHM:HEX" as a file's name can hold it. */
static bool digest_ok(const char *digest)
{
	const char *colon = digest != NULL ? strchr(digest, ':') : NULL;
	size_t hex;

	if (colon == NULL || colon == digest)
		return false;
	if (strncmp(digest, "sha256:", 7) == 0)
		return sfd_parse_sha256(digest, NULL);
	hex = strspn(colon + 1, "0123456789abcdef");
	return strspn(digest, "abcdefghijklmnopqrstuvwxyz0123456789+._-") ==
		       (size_t)(colon - digest) &&
	       hex >= 32 && hex <= 128 && colon[1 + hex] == '\0';
}

static int copy_text(char **ret, const char *text, struct splitfd_error *err)
{
	*ret = text != NULL ? strdup(text) : NULL;
	return text != NULL && *ret == NULL ? splitfd_error_oom(err) : 0;
}

static void free_list(char **list, size_t n)
{
	for (size_t i = 0; list != NULL && i < n; i++)
		free(list[i]);
	free(list);
}

static int parse_layers(
	const cJSON *layers, struct sfd_oci_manifest *ret, struct splitfd_error *err)
{
	size_t n = (size_t)cJSON_GetArraySize(layers);
	const cJSON *layer;

	ret->layers = calloc(n + 1, sizeof(*ret->layers));
	ret->layer_types = calloc(n + 1, sizeof(*ret->layer_types));
	if (ret->layers == NULL || ret->layer_types == NULL)
		return splitfd_error_oom(err);
	cJSON_ArrayForEach (layer, layers) {
		const char *digest = text_member(layer, "digest");

		if (!digest_ok(digest))
			return malformed(err, "manifest", "has a layer without a valid digest");
		ret->layers[ret->n_layers] = strdup(digest);
		if (ret->layers[ret->n_layers++] == NULL ||
			copy_text(&ret->layer_types[ret->n_layers - 1],
				text_member(layer, "mediaType"), NULL) < 0)
			return splitfd_error_oom(err);
	}
	return 0;
}

int sfd_oci_manifest_parse(
	const char *json, size_t size, struct sfd_oci_manifest *ret, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_json_) cJSON *root = NULL;
	const cJSON *config, *layers;
	const char *type;
	int r;

	memset(ret, 0, sizeof(*ret));
	r = parse(json, size, "manifest", &root, err);
	if (r < 0)
		return r;
	config = member(root, "config");
	layers = member(root, "layers");
	if (!digest_ok(text_member(config, "digest")))
		return malformed(err, "manifest", "has no config with a valid digest");
	if (!cJSON_IsArray(layers))
		return malformed(err, "manifest", "has no layers");
	type = text_member(config, "mediaType");
	ret->container = type != NULL && strcmp(type, OCI_CONFIG) == 0;
	r = copy_text(&ret->config_digest, text_member(config, "digest"), err);
	return r < 0 ? r : parse_layers(layers, ret, err);
}

void sfd_oci_manifest_done(struct sfd_oci_manifest *m)
{
	free(m->config_digest);
	free_list(m->layers, m->n_layers);
	free_list(m->layer_types, m->n_layers);
	memset(m, 0, sizeof(*m));
}

static int parse_diff_ids(
	const cJSON *diff_ids, struct sfd_oci_config *ret, struct splitfd_error *err)
{
	const cJSON *id;

	ret->diff_ids = calloc((size_t)cJSON_GetArraySize(diff_ids) + 1, sizeof(*ret->diff_ids));
	if (ret->diff_ids == NULL)
		return splitfd_error_oom(err);
	cJSON_ArrayForEach (id, diff_ids) {
		if (!digest_ok(cJSON_GetStringValue(id)))
			return malformed(err, "config", "has a diff_id that is no digest");
		ret->diff_ids[ret->n_diff_ids] = strdup(id->valuestring);
		if (ret->diff_ids[ret->n_diff_ids] == NULL)
			return splitfd_error_oom(err);
		ret->n_diff_ids++;
	}
	return 0;
}

int sfd_oci_config_parse(
	const char *json, size_t size, struct sfd_oci_config *ret, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_json_) cJSON *root = NULL;
	const cJSON *diff_ids, *labels;
	int r;

	memset(ret, 0, sizeof(*ret));
	r = parse(json, size, "config", &root, err);
	if (r < 0)
		return r;
	diff_ids = member(member(root, "rootfs"), "diff_ids");
	if (!cJSON_IsArray(diff_ids))
		return malformed(err, "config", "has no rootfs.diff_ids");
	labels = member(member(root, "config"), "Labels");
	r = copy_text(&ret->architecture, text_member(root, "architecture"), err);
	if (r == 0)
		r = copy_text(&ret->os, text_member(root, "os"), err);
	if (r == 0)
		r = copy_text(&ret->created, text_member(root, "created"), err);
	if (r == 0)
		r = copy_text(
			&ret->seal, text_member(labels, "containers.composefs.fsverity"), err);
	return r < 0 ? r : parse_diff_ids(diff_ids, ret, err);
}

void sfd_oci_config_done(struct sfd_oci_config *c)
{
	free_list(c->diff_ids, c->n_diff_ids);
	free(c->architecture);
	free(c->os);
	free(c->created);
	free(c->seal);
	memset(c, 0, sizeof(*c));
}
