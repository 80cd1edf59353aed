/* SPDX-License-Identifier: Apache-2.0 */
/* A docker schema 2 manifest as an OCI manifest, in the form that skopeo's conversion gives it. */
#include "splitfdstream/base/buffer.h"
#include "splitfdstream/base/cleanup.h"
#include "transport/json/go-json.h"
#include "transport/oci/oci-json.h"

#include <inttypes.h>
#include <string.h>

static int refuse(struct splitfd_error *err, const char *what, const char *why)
{
	return splitfd_error_set(
		err, SPLITFD_ERROR_REFUSED, EBADMSG, "the docker manifest has a %s %s", what, why);
}

static int put_json_string(struct sfd_buffer *out, struct sfd_json_value v)
{
	sfd_cleanup_free char *text = NULL;
	size_t len = 0;
	int r = sfd_json_text(v, &text, &len);

	return r < 0 ? r : sfd_json_string_n(out, text, len);
}

static int put_urls(struct sfd_buffer *out, struct sfd_json_value urls)
{
	struct sfd_json_items items = sfd_json_items(urls);
	struct sfd_json_value url;
	bool first = true;
	int r = 0;

	while (r == 0 && sfd_json_next(&items, NULL, &url)) {
		r = sfd_buffer_append_str(out, first ? ",\"urls\":[" : ",");
		if (r == 0)
			r = put_json_string(out, url);
		first = false;
	}
	return r < 0 || first ? r : sfd_buffer_append(out, "]", 1);
}

static int put_descriptor(struct sfd_buffer *out, struct sfd_json_value d, const char *type,
	const char *what, struct splitfd_error *err)
{
	struct sfd_json_value digest, size, urls;
	uint64_t n;
	int r;

	if (!sfd_json_find(d, "digest", &digest) || sfd_json_kind(digest) != SFD_JSON_STRING)
		return refuse(err, what, "without digest");
	if (!sfd_json_find(d, "size", &size) || !sfd_json_u64(size, &n) || n > INT64_MAX)
		return refuse(err, what, "without size");
	r = sfd_buffer_printf(out, "{\"mediaType\":\"%s\",\"digest\":", type);
	if (r == 0)
		r = put_json_string(out, digest);
	if (r == 0)
		r = sfd_buffer_printf(out, ",\"size\":%" PRIu64, n);
	if (r == 0 && sfd_json_find(d, "urls", &urls))
		r = put_urls(out, urls);
	if (r == 0)
		r = sfd_buffer_append(out, "}", 1);
	if (r == -EBADMSG)
		return refuse(err, what, "with a member that is not a string");
	return r < 0 ? splitfd_error_oom(err) : 0;
}

/* OCI's name for a layer's type: NULL where it has none. -ENOMEM. */
static int layer_type(struct sfd_json_value type, const char **ret)
{
	sfd_cleanup_free char *text = NULL;
	int r = sfd_json_text(type, &text, NULL);

	*ret = r == 0 ? sfd_oci_layer_type(text) : NULL;
	return r == -ENOMEM ? r : 0;
}

static int put_layers(
	struct sfd_buffer *out, struct sfd_json_value layers, struct splitfd_error *err)
{
	struct sfd_json_items items = sfd_json_items(layers);
	struct sfd_json_value layer, type;
	int r = sfd_buffer_append_str(out, ",\"layers\":[");

	for (bool first = true; r == 0 && sfd_json_next(&items, NULL, &layer); first = false) {
		const char *oci = NULL;

		if (sfd_json_find(layer, "mediaType", &type))
			r = layer_type(type, &oci);
		else
			type = (struct sfd_json_value){ "none", "none" + 4 };
		if (r < 0)
			return splitfd_error_oom(err);
		if (oci == NULL)
			return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EPROTONOSUPPORT,
				"the docker manifest has a layer of a media type that OCI has no "
				"name for: %.*s",
				(int)(type.end - type.at < 200 ? type.end - type.at : 200),
				type.at);
		if (!first && sfd_buffer_append(out, ",", 1) < 0)
			return splitfd_error_oom(err);
		r = put_descriptor(out, layer, oci, "layer", err);
		if (r < 0)
			return r;
	}
	return r < 0 ? splitfd_error_oom(err) : 0;
}

static int put_manifest(
	struct sfd_buffer *out, struct sfd_json_value root, struct splitfd_error *err)
{
	struct sfd_json_value config, layers;
	int r = sfd_buffer_append_str(out,
		"{\"schemaVersion\":2,\"mediaType\":\"" SFD_OCI_TYPE_MANIFEST "\",\"config\":");

	if (r < 0)
		return splitfd_error_oom(err);
	if (!sfd_json_find(root, "config", &config))
		return splitfd_error_set(
			err, SPLITFD_ERROR_REFUSED, EBADMSG, "the docker manifest has no 'config'");
	if (!sfd_json_find(root, "layers", &layers))
		return splitfd_error_set(
			err, SPLITFD_ERROR_REFUSED, EBADMSG, "the docker manifest has no 'layers'");
	if (sfd_json_kind(layers) != SFD_JSON_ARRAY)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"the docker manifest's member 'layers' is %s, not an array",
			sfd_json_kind_name(layers));
	r = put_descriptor(out, config, SFD_OCI_TYPE_CONFIG, "config", err);
	if (r == 0)
		r = put_layers(out, layers, err);
	if (r < 0)
		return r;
	/* The NUL follows the text, it is not in it. */
	if (sfd_buffer_append(out, "]}", 3) < 0)
		return splitfd_error_oom(err);
	out->len--;
	return 0;
}

static bool is_array(struct sfd_json_value root, const char *name)
{
	struct sfd_json_value v;

	return sfd_json_find(root, name, &v) && sfd_json_kind(v) == SFD_JSON_ARRAY;
}

int sfd_oci_convert_docker(
	const char *json, size_t size, char **ret, size_t *ret_size, struct splitfd_error *err)
{
	sfd_cleanup_buffer struct sfd_buffer out = { .max = 2 * SFD_OCI_JSON_MAX };
	struct sfd_json_value root, type;
	int r = sfd_oci_check(json, size, SFD_OCI_MANIFEST, SFD_OCI_STORE, &root, err);

	if (r < 0)
		return r;
	if (is_array(root, "manifests") || is_array(root, "fsLayers"))
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EPROTONOSUPPORT,
			"the manifest is a list or of docker's schema 1, not that of one image");
	if (!sfd_json_find(root, "mediaType", &type) ||
		!sfd_json_is(type, SFD_DOCKER_TYPE_MANIFEST))
		return 0;
	r = put_manifest(&out, root, err);
	if (r < 0)
		return r;
	*ret_size = out.len;
	*ret = (char *)out.data;
	out.data = NULL;
	return 1;
}
