/* SPDX-License-Identifier: Apache-2.0 */
/* A docker schema 2 manifest as an OCI manifest, in the form that skopeo's conversion gives it. */
#include "splitfdstream/base/buffer.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"
#include "transport/oci/oci-json.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

#define DOCKER "application/vnd.docker."
#define OCI    "application/vnd.oci.image."

/* The largest whole number that a JSON number of cJSON holds exactly. */
#define EXACT_MAX 9007199254740992.0

SFD_DEFINE_CLEANUP(cleanup_json_, cJSON, cJSON_Delete);

static const struct {
	const char *docker, *oci;
} layer_types[] = {
	{ DOCKER "image.rootfs.diff.tar", OCI "layer.v1.tar" },
	{ DOCKER "image.rootfs.diff.tar.gzip", OCI "layer.v1.tar+gzip" },
	{ DOCKER "image.rootfs.diff.tar.zstd", OCI "layer.v1.tar+zstd" },
	{ DOCKER "image.rootfs.foreign.diff.tar", OCI "layer.nondistributable.v1.tar" },
	{ DOCKER "image.rootfs.foreign.diff.tar.gzip", OCI "layer.nondistributable.v1.tar+gzip" },
};

static const char *text_member(const cJSON *object, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

/* A string as Go's encoder writes it: also <, >, & and the two line separators are escaped. */
static int put_string(struct sfd_buffer *out, const char *text)
{
	int r = sfd_buffer_append(out, "\"", 1);

	for (const char *p = text; r == 0 && *p != '\0'; p++) {
		unsigned char c = (unsigned char)*p;

		if (c == '"' || c == '\\')
			r = sfd_buffer_printf(out, "\\%c", c);
		else if (c == '\n' || c == '\r' || c == '\t')
			r = sfd_buffer_printf(out, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
		else if (c < 0x20 || c == '<' || c == '>' || c == '&')
			r = sfd_buffer_printf(out, "\\u%04x", c);
		else if (c == 0xe2 && (unsigned char)p[1] == 0x80 &&
			 ((unsigned char)p[2] & 0xfe) == 0xa8) {
			r = sfd_buffer_printf(out, "\\u202%c", p[2] & 1 ? '9' : '8');
			p += 2;
		} else
			r = sfd_buffer_append(out, p, 1);
	}
	return r < 0 ? r : sfd_buffer_append(out, "\"", 1);
}

static int put_urls(struct sfd_buffer *out, const cJSON *urls)
{
	const cJSON *url;
	bool first = true;
	int r;

	if (cJSON_GetArraySize(urls) == 0)
		return 0;
	r = sfd_buffer_append_str(out, ",\"urls\":[");
	cJSON_ArrayForEach (url, urls) {
		if (r == 0 && !first)
			r = sfd_buffer_append(out, ",", 1);
		if (r == 0)
			r = put_string(out, cJSON_IsString(url) ? url->valuestring : "");
		first = false;
	}
	return r < 0 ? r : sfd_buffer_append(out, "]", 1);
}

static int put_descriptor(struct sfd_buffer *out, const cJSON *d, const char *type,
	const char *what, struct splitfd_error *err)
{
	const char *digest = text_member(d, "digest");
	const cJSON *size = cJSON_GetObjectItemCaseSensitive(d, "size");
	int r;

	if (digest == NULL || !cJSON_IsNumber(size) || size->valuedouble < 0 ||
		size->valuedouble > EXACT_MAX || size->valuedouble != floor(size->valuedouble))
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"the docker manifest has a %s without digest or size", what);
	r = sfd_buffer_printf(out, "{\"mediaType\":\"%s\",\"digest\":", type);
	if (r == 0)
		r = put_string(out, digest);
	if (r == 0)
		r = sfd_buffer_printf(out, ",\"size\":%.0f", size->valuedouble);
	if (r == 0)
		r = put_urls(out, cJSON_GetObjectItemCaseSensitive(d, "urls"));
	if (r == 0)
		r = sfd_buffer_append(out, "}", 1);
	return r < 0 ? splitfd_error_oom(err) : 0;
}

static const char *oci_layer_type(const cJSON *layer)
{
	const char *type = text_member(layer, "mediaType");

	for (size_t i = 0; type != NULL && i < sizeof(layer_types) / sizeof(layer_types[0]); i++) {
		if (strcmp(type, layer_types[i].docker) == 0)
			return layer_types[i].oci;
	}
	return NULL;
}

static int put_layers(struct sfd_buffer *out, const cJSON *layers, struct splitfd_error *err)
{
	const cJSON *layer;

	cJSON_ArrayForEach (layer, layers) {
		const char *type = oci_layer_type(layer);
		int r;

		if (type == NULL)
			return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EPROTONOSUPPORT,
				"the docker manifest has a layer of a media type that OCI has no "
				"name for: '%s'",
				text_member(layer, "mediaType") != NULL
					? text_member(layer, "mediaType")
					: "");
		if (layer != layers->child && sfd_buffer_append(out, ",", 1) < 0)
			return splitfd_error_oom(err);
		r = put_descriptor(out, layer, type, "layer", err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int put_manifest(struct sfd_buffer *out, const cJSON *root, struct splitfd_error *err)
{
	int r = sfd_buffer_append_str(
		out, "{\"schemaVersion\":2,\"mediaType\":\"" OCI "manifest.v1+json\",\"config\":");

	if (r < 0)
		return splitfd_error_oom(err);
	r = put_descriptor(out, cJSON_GetObjectItemCaseSensitive(root, "config"),
		OCI "config.v1+json", "config", err);
	if (r < 0)
		return r;
	if (sfd_buffer_append_str(out, ",\"layers\":[") < 0)
		return splitfd_error_oom(err);
	r = put_layers(out, cJSON_GetObjectItemCaseSensitive(root, "layers"), err);
	if (r < 0)
		return r;
	/* The NUL is behind the text, not in it. */
	if (sfd_buffer_append(out, "]}", 3) < 0)
		return splitfd_error_oom(err);
	out->len--;
	return 0;
}

int sfd_oci_convert_docker(
	const char *json, size_t size, char **ret, size_t *ret_size, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_json_) cJSON *root = NULL;
	sfd_cleanup_buffer struct sfd_buffer out = { .max = 2 * SFD_OCI_JSON_MAX };
	const char *type;
	int r;

	root = size <= SFD_OCI_JSON_MAX ? cJSON_ParseWithLength(json, size) : NULL;
	if (!cJSON_IsObject(root))
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"the manifest is no JSON object of at most 16 MiB");
	type = text_member(root, "mediaType");
	if (cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(root, "manifests")) ||
		cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(root, "fsLayers")))
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EPROTONOSUPPORT,
			"the manifest is a list or of docker's schema 1, not that of one image");
	if (type == NULL || strcmp(type, DOCKER "distribution.manifest.v2+json") != 0)
		return 0;
	r = put_manifest(&out, root, err);
	if (r < 0)
		return r;
	*ret_size = out.len;
	*ret = (char *)out.data;
	out.data = NULL;
	return 1;
}
