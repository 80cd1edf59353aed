/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/skopeo/proxy-image.h"
#include "splitfdstream/base/buffer.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"
#include "splitfdstream/digest.h"
#include "transport/json/json-member.h"
#include "transport/json/json-tree.h"
#include "transport/oci/oci-json.h"
#include "transport/skopeo/proxy-fetch.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define DOCUMENT_MAX ((size_t)16 * 1024 * 1024)
#define LAYERS_MAX   10000

SFD_DEFINE_CLEANUP(cleanup_image, struct sfd_remote_image, sfd_remote_close);

struct sfd_remote_image *sfd_remote_close(struct sfd_remote_image *image)
{
	if (image == NULL)
		return NULL;
	for (size_t i = 0; i < image->n_layers; i++) {
		free(image->layers[i].digest);
		free(image->layers[i].diff_id);
	}
	free(image->layers);
	free(image->manifest);
	free(image->original);
	free(image->config);
	free(image);
	return NULL;
}

static int bad_image(struct splitfd_error *err, const char *what)
{
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG, "%s", what);
}

static int open_image(
	struct sfd_remote_image *image, const char *reference, struct splitfd_error *err)
{
	char *quoted = cJSON_PrintUnformatted(
		&(cJSON){ .type = cJSON_String, .valuestring = (char *)(uintptr_t)reference });
	sfd_cleanup_buffer struct sfd_buffer args = { .max = 16384 };
	struct sfd_proxy_reply reply;
	int r;

	r = quoted == NULL ? -ENOMEM : sfd_buffer_printf(&args, "[%s]", quoted);
	cJSON_free(quoted);
	if (r == 0)
		r = sfd_buffer_append(&args, "", 1);
	if (r < 0)
		return splitfd_error_sys(err, -r, "the reference is too long");
	r = sfd_proxy_call(image->proxy, "OpenImage", (const char *)args.data, -1, &reply, err);
	if (r < 0)
		return r;
	r = sfd_proxy_check_open(&reply, "OpenImage", reference, err);
	if (r == 0 && (!cJSON_IsNumber(reply.value) || reply.value->valuedouble < 1 ||
			      reply.value->valuedouble > SFD_JSON_EXACT_MAX - 1))
		r = bad_image(err, "skopeo's reply to OpenImage has no number");
	if (r == 0)
		image->id = (uint64_t)reply.value->valuedouble;
	sfd_proxy_reply_done(&reply);
	return r;
}

/* The document must have this digest and, as far as told, this size. */
static int check_digest(const char *data, size_t size, const char *digest, const char *what,
	struct splitfd_error *err)
{
	char real[72];
	int r = splitfd_sha256_text(data, size, real, err);

	if (r < 0)
		return r;
	if (strcmp(real, digest) != 0)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"the %s has the digest %s, not %s", what, real, digest);
	return 0;
}

static int get_manifest(
	struct sfd_remote_image *image, bool *ret_converted, struct splitfd_error *err)
{
	sfd_cleanup_free char *digest = NULL;
	char args[32];
	int r;

	snprintf(args, sizeof(args), "[%" PRIu64 "]", image->id);
	r = sfd_proxy_fetch(image->proxy, "GetManifest", args, DOCUMENT_MAX, &image->manifest,
		&image->manifest_size, &digest, err);
	if (r < 0)
		return r;
	if (digest == NULL)
		return bad_image(err, "skopeo did not report the manifest's digest");
	*ret_converted = check_digest(image->manifest, image->manifest_size, digest, "", NULL) < 0;
	if (*ret_converted)
		image->original = sfd_take_ptr(&digest);
	return 0;
}

/* The manifest's config: its digest, the caller's to free, and its size. */
static int find_config(const struct sfd_remote_image *image, char **ret_digest, uint64_t *ret_size,
	struct splitfd_error *err)
{
	struct sfd_json_value manifest, config, digest, size;
	int r = sfd_oci_check(image->manifest, image->manifest_size, SFD_OCI_MANIFEST,
		SFD_OCI_STORE, &manifest, err);

	if (r < 0)
		return r;
	if (!sfd_json_find(manifest, "config", &config) ||
		!sfd_json_find(config, "digest", &digest) ||
		!sfd_json_find(config, "size", &size) || !sfd_json_u64(size, ret_size))
		return bad_image(err, "the manifest has no config with a digest and a size");
	r = sfd_json_text(digest, ret_digest, NULL);
	if (r == -ENOMEM)
		return splitfd_error_oom(err);
	if (r < 0 || !sfd_parse_sha256(*ret_digest, NULL))
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, ENOTSUP,
			"the manifest's config has the digest '%s'; only sha256 is supported",
			r == 0 ? *ret_digest : "");
	if (*ret_size > DOCUMENT_MAX)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EFBIG,
			"the manifest's config has %" PRIu64
			" bytes; at most %zu are read (and by podman and skopeo 4194304)",
			*ret_size, DOCUMENT_MAX);
	return 0;
}

/* The config as stored; where the manifest was converted, the config that goes with it. */
static int get_config(struct sfd_remote_image *image, bool converted, struct splitfd_error *err)
{
	sfd_cleanup_free char *digest = NULL;
	uint64_t size = 0;
	char args[160];
	int r = find_config(image, &digest, &size, err);

	if (r < 0)
		return r;
	if (converted)
		snprintf(args, sizeof(args), "[%" PRIu64 "]", image->id);
	else
		snprintf(args, sizeof(args), "[%" PRIu64 ",\"%s\",%" PRIu64 "]", image->id, digest,
			size);
	r = sfd_proxy_fetch(image->proxy, converted ? "GetFullConfig" : "GetBlob", args,
		DOCUMENT_MAX, &image->config, &image->config_size, NULL, err);
	if (r < 0)
		return splitfd_error_wrap(err, r, "the config");
	return check_digest(image->config, image->config_size, digest, "config", err);
}

static int take_diff_ids(struct sfd_remote_image *image, struct splitfd_error *err)
{
	sfd_cleanup(sfd_oci_config_done) struct sfd_oci_config config = { 0 };
	int r = sfd_oci_config_parse(
		image->config, image->config_size, SFD_OCI_STORE, &config, err);

	if (r < 0)
		return r;
	if (config.n_diff_ids > LAYERS_MAX)
		return bad_image(err, "the config has more than 10000 diff_ids");
	image->layers = calloc(config.n_diff_ids + 1, sizeof(*image->layers));
	if (image->layers == NULL)
		return splitfd_error_oom(err);
	for (size_t i = 0; i < config.n_diff_ids; i++) {
		if (!sfd_parse_sha256(config.diff_ids[i], NULL))
			return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, ENOTSUP,
				"the config has the diff_id %s; only sha256 is supported",
				config.diff_ids[i]);
		image->layers[i].diff_id = sfd_take_ptr(&config.diff_ids[i]);
		image->n_layers++;
	}
	return 0;
}

static bool is_tar(struct sfd_json_value type)
{
	static const char layer[] = "application/vnd.oci.image.layer.";
	sfd_cleanup_free char *text = NULL;

	return sfd_json_text(type, &text, NULL) == 0 &&
	       strncmp(text, layer, sizeof(layer) - 1) == 0;
}

/* A layer of an artifact, whose members were checked. */
static int take_artifact_layer(
	struct sfd_json_value v, struct sfd_remote_layer *layer, struct splitfd_error *err)
{
	struct sfd_json_value type, digest, size;

	if (!sfd_json_find(v, "mediaType", &type) || !sfd_json_find(v, "digest", &digest) ||
		!sfd_json_find(v, "size", &size) || !sfd_json_u64(size, &layer->size))
		return bad_image(err, "a layer of the artifact has no type, digest or size");
	if (is_tar(type))
		return bad_image(err, "it is an artifact with a layer that is a tar, whose content "
				      "would be stored under the digest of its blob");
	if (sfd_json_text(digest, &layer->digest, NULL) == -ENOMEM)
		return splitfd_error_oom(err);
	if (layer->digest == NULL || !sfd_parse_sha256(layer->digest, NULL))
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, ENOTSUP,
			"a layer has the digest %s; only sha256 is supported",
			layer->digest != NULL ? layer->digest : "");
	layer->diff_id = strdup(layer->digest);
	return layer->diff_id == NULL ? splitfd_error_oom(err) : 0;
}

/* The layers of an artifact are its manifest's. */
static int take_artifact(struct sfd_remote_image *image, struct splitfd_error *err)
{
	struct sfd_json_value manifest, layers, layer;
	struct sfd_json_items items;
	int r = sfd_oci_check(image->manifest, image->manifest_size, SFD_OCI_MANIFEST,
		SFD_OCI_REPOSITORY, &manifest, err);

	if (r < 0)
		return r;
	if (!sfd_json_find(manifest, "layers", &layers) || sfd_json_count(layers) > LAYERS_MAX)
		return bad_image(err, "the artifact has more than 10000 layers");
	image->layers = calloc(sfd_json_count(layers) + 1, sizeof(*image->layers));
	if (image->layers == NULL)
		return splitfd_error_oom(err);
	items = sfd_json_items(layers);
	while (r == 0 && sfd_json_next(&items, NULL, &layer))
		r = take_artifact_layer(layer, &image->layers[image->n_layers++], err);
	return r;
}

/* An artifact's config is anything but that of an image. */
static bool is_artifact(const struct sfd_remote_image *image)
{
	struct sfd_json_value manifest, config, type;

	return sfd_oci_check(image->manifest, image->manifest_size, SFD_OCI_MANIFEST, SFD_OCI_STORE,
		       &manifest, NULL) == 0 &&
	       sfd_json_find(manifest, "config", &config) &&
	       sfd_json_find(config, "mediaType", &type) &&
	       sfd_json_kind(type) == SFD_JSON_STRING && !sfd_json_is(type, "") &&
	       !sfd_json_is(type, SFD_OCI_TYPE_CONFIG) &&
	       !sfd_json_is(type, SFD_DOCKER_TYPE_CONFIG);
}

/* The list of blobs, from GetLayerInfo or the manifest: they have the same shape. */
static int take_blobs(struct sfd_remote_image *image, const cJSON *list, struct splitfd_error *err)
{
	const cJSON *item;
	size_t i = 0;

	/* No layers at all are null in Go. */
	if (image->n_layers == 0 && (list == NULL || cJSON_IsNull(list)))
		return 0;
	if (!cJSON_IsArray(list) || (size_t)cJSON_GetArraySize(list) != image->n_layers)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"the image has %d layers but its config %zu diff_ids",
			cJSON_GetArraySize(list), image->n_layers);
	cJSON_ArrayForEach (item, list) {
		const cJSON *size = cJSON_GetObjectItemCaseSensitive(item, "size");
		const char *digest = sfd_member_text(item, "digest");

		if (digest == NULL || !sfd_parse_sha256(digest, NULL) || !cJSON_IsNumber(size) ||
			size->valuedouble > SFD_JSON_EXACT_MAX - 1)
			return bad_image(err, "a layer has no sha256 digest or no sensible size");
		image->layers[i].size = size->valuedouble >= 0 ? (uint64_t)size->valuedouble
							       : UINT64_MAX;
		image->layers[i].digest = strdup(digest);
		if (image->layers[i++].digest == NULL)
			return splitfd_error_oom(err);
	}
	return 0;
}

static int fetch_info(struct sfd_remote_image *image, struct splitfd_error *err)
{
	bool piped = sfd_proxy_version(image->proxy) >= 207;
	sfd_cleanup_free char *text = NULL;
	struct sfd_proxy_reply reply;
	char args[32];
	cJSON *list;
	size_t size;
	int r;

	snprintf(args, sizeof(args), "[%" PRIu64 "]", image->id);
	if (piped) {
		r = sfd_proxy_fetch(image->proxy, "GetLayerInfoPiped", args, DOCUMENT_MAX, &text,
			&size, NULL, err);
		if (r < 0)
			return r;
		if (sfd_json_tree(text, size, &list) == -ENOMEM)
			return splitfd_error_oom(err);
		r = take_blobs(image, list, err);
		cJSON_Delete(list);
		return r;
	}
	r = sfd_proxy_call(image->proxy, "GetLayerInfo", args, -1, &reply, err);
	if (r < 0)
		return r;
	r = sfd_proxy_check(&reply, "GetLayerInfo", err);
	if (r == 0)
		r = take_blobs(image, reply.value, err);
	sfd_proxy_reply_done(&reply);
	return r;
}

static int get_layers(
	struct sfd_remote_image *image, const cJSON *manifest, struct splitfd_error *err)
{
	int r = image->artifact ? take_artifact(image, err) : take_diff_ids(image, err);

	if (r < 0 || image->artifact)
		return r;
	if (sfd_proxy_version(image->proxy) >= 205)
		return fetch_info(image, err);
	return take_blobs(image, cJSON_GetObjectItemCaseSensitive(manifest, "layers"), err);
}

int sfd_remote_open(struct sfd_proxy *proxy, const char *reference, struct sfd_remote_image **ret,
	struct splitfd_error *err)
{
	sfd_cleanup(cleanup_image) struct sfd_remote_image *image = calloc(1, sizeof(*image));
	bool converted = false;
	cJSON *manifest;
	int r;

	if (image == NULL)
		return splitfd_error_oom(err);
	image->proxy = proxy;
	image->splitfd = -1;
	r = open_image(image, reference, err);
	if (r == 0)
		r = get_manifest(image, &converted, err);
	if (r < 0)
		return r;
	if (sfd_json_tree(image->manifest, image->manifest_size, &manifest) == -ENOMEM)
		return splitfd_error_oom(err);
	image->artifact = !converted && is_artifact(image);
	r = get_config(image, converted, err);
	if (r == 0)
		r = get_layers(image, manifest, err);
	cJSON_Delete(manifest);
	if (r < 0)
		return r;
	*ret = sfd_take_ptr(&image);
	return 0;
}
