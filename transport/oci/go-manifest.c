/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/oci/go-oci.h"
#include "transport/json/go-json.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/digest.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static const char *text_of(const cJSON *object, const char *key)
{
	const cJSON *item = sfd_json_member(object, key);

	return cJSON_IsString(item) ? item->valuestring : "";
}

static const char *type_of(const cJSON *json)
{
	static const char *const own_word[] = { SFD_OCI_TYPE_MANIFEST, SFD_OCI_TYPE_INDEX,
		SFD_DOCKER_TYPE_MANIFEST, SFD_DOCKER_TYPE_LIST };
	const char *type = text_of(json, "mediaType");
	const cJSON *version = sfd_json_member(json, "schemaVersion");
	const cJSON *layers = sfd_json_member(json, "layers");
	const cJSON *manifests = sfd_json_member(json, "manifests");

	for (size_t i = 0; i < sizeof(own_word) / sizeof(own_word[0]); i++) {
		if (strcmp(type, own_word[i]) == 0)
			return own_word[i];
	}
	if (!cJSON_IsNumber(version) || (version->valueint != 1 && version->valueint != 2))
		return "";
	if (version->valueint == 1)
		return SFD_DOCKER_TYPE_SCHEMA1;
	if (strcmp(text_of(sfd_json_member(json, "config"), "mediaType"), SFD_OCI_TYPE_CONFIG) ==
			0 &&
		cJSON_GetArraySize(layers) > 0)
		return SFD_OCI_TYPE_MANIFEST;
	if (cJSON_GetArraySize(manifests) > 0)
		return SFD_OCI_TYPE_INDEX;
	return SFD_DOCKER_TYPE_MANIFEST;
}

const char *sfd_manifest_type(const char *manifest, size_t size)
{
	cJSON *json;
	const char *type = sfd_json_parse(manifest, size, &json) != -ENOMEM ? type_of(json) : NULL;

	cJSON_Delete(json);
	return type;
}

static int write_urls(struct sfd_buffer *b, const cJSON *urls)
{
	const cJSON *item;
	int r;

	if (cJSON_GetArraySize(urls) == 0)
		return 0;
	r = sfd_buffer_append_str(b, ",\"urls\":[");
	cJSON_ArrayForEach (item, urls) {
		if (r == 0 && item != urls->child)
			r = sfd_buffer_append_str(b, ",");
		if (r == 0)
			r = cJSON_IsString(item) ? sfd_json_string(b, item->valuestring) : -EINVAL;
	}
	return r == 0 ? sfd_buffer_append_str(b, "]") : r;
}

static int write_layer(struct sfd_buffer *b, const cJSON *layer, struct splitfd_error *err)
{
	const cJSON *size = sfd_json_member(layer, "size");
	const char *docker = text_of(layer, "mediaType"), *oci = sfd_oci_layer_type(docker);
	int r;

	if (oci == NULL)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, EINVAL,
			"Unknown media type during manifest conversion: \"%s\"", docker);
	r = sfd_buffer_printf(b, "{\"mediaType\":\"%s\",\"digest\":", oci);
	if (r == 0)
		r = sfd_json_string(b, text_of(layer, "digest"));
	if (r == 0)
		r = sfd_buffer_printf(b, ",\"size\":%" PRId64,
			cJSON_IsNumber(size) ? (int64_t)size->valuedouble : 0);
	if (r == 0)
		r = write_urls(b, sfd_json_member(layer, "urls"));
	if (r == 0)
		r = sfd_buffer_append_str(b, "}");
	if (r < 0)
		return splitfd_error_sys(err, -r, "cannot convert the manifest");
	return 0;
}

static int convert(const cJSON *json, const struct sfd_buffer *config, struct sfd_buffer *b,
	struct splitfd_error *err)
{
	const cJSON *layers = sfd_json_member(json, "layers"), *layer;
	char digest[72];
	int r;

	r = splitfd_sha256_text(config->data, config->len, digest, err);
	if (r < 0)
		return r;
	r = sfd_buffer_printf(b,
		"{\"schemaVersion\":2,\"mediaType\":\"%s\",\"config\":{\"mediaType\":\"%s\","
		"\"digest\":\"%s\",\"size\":%zu},\"layers\":[",
		SFD_OCI_TYPE_MANIFEST, SFD_OCI_TYPE_CONFIG, digest, config->len);
	if (r < 0)
		return splitfd_error_oom(err);
	cJSON_ArrayForEach (layer, layers) {
		if (layer != layers->child && sfd_buffer_append_str(b, ",") < 0)
			return splitfd_error_oom(err);
		r = write_layer(b, layer, err);
		if (r < 0)
			return r;
	}
	return sfd_buffer_append_str(b, "]}") < 0 ? splitfd_error_oom(err) : 0;
}

int sfd_oci_manifest(const char *manifest, size_t manifest_size, const char *config,
	size_t config_size, struct sfd_buffer *ret, struct splitfd_error *err)
{
	sfd_cleanup_buffer struct sfd_buffer converted = { .max = ret->max };
	const char *type = sfd_manifest_type(manifest, manifest_size);
	cJSON *json;
	int r;

	if (type == NULL)
		return splitfd_error_oom(err);
	if (strcmp(type, SFD_OCI_TYPE_MANIFEST) == 0) {
		r = sfd_buffer_append(ret, manifest, manifest_size);
		return r < 0 ? splitfd_error_sys(err, -r, "the manifest is too large") : 0;
	}
	if (strcmp(type, SFD_DOCKER_TYPE_SCHEMA1) == 0)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, ENOTSUP,
			"unsupported legacy manifest MIME type: %s", type);
	if (strcmp(type, SFD_DOCKER_TYPE_MANIFEST) != 0)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, ENOTSUP,
			"unsupported manifest MIME type: %s", type);
	r = sfd_oci_config(config, config_size, false, &converted, err);
	if (r < 0)
		return r;
	if (sfd_json_parse(manifest, manifest_size, &json) == -ENOMEM)
		return splitfd_error_oom(err);
	r = convert(json, &converted, ret, err);
	cJSON_Delete(json);
	return r;
}
