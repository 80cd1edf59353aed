/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/proxy/proxy-native.h"
#include "shim/common/repo-options.h"
#include "shim/common/rootless.h"
#include "transport/json/go-json.h"
#include "transport/oci/go-oci.h"
#include "transport/skopeo/policy-scopes.h"
#include "splitfdstream/base/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define TRANSPORT "containers-storage:"

struct sfd_native {
	unsigned int refs;
	char *spec;
	struct splitfd_store *store;
	struct splitfd_image *image;
	char **scopes;
};

SFD_DEFINE_CLEANUP(cleanup_native, struct sfd_native, sfd_native_unref);

bool sfd_native_is_ours(const char *reference)
{
	return strncmp(reference, TRANSPORT, sizeof(TRANSPORT) - 1) == 0;
}

struct sfd_native *sfd_native_ref(struct sfd_native *native)
{
	native->refs++;
	return native;
}

struct sfd_native *sfd_native_unref(struct sfd_native *native)
{
	if (native == NULL || --native->refs > 0)
		return NULL;
	sfd_policy_scopes_free(native->scopes);
	splitfd_image_close(native->image);
	splitfd_store_close(native->store);
	free(native->spec);
	free(native);
	return NULL;
}

int sfd_native_open(const char *reference, long lock_seconds, struct sfd_native **ret,
	struct splitfd_error *err)
{
	sfd_cleanup(cleanup_native) struct sfd_native *native = calloc(1, sizeof(*native));
	struct splitfd_store_options options = { 0 };
	const char *rest;
	int r;

	if (native == NULL)
		return splitfd_error_oom(err);
	native->refs = 1;
	sfd_lock_options_apply(lock_seconds, 0, &options);
	r = splitfd_store_parse_reference(reference, &options, &native->spec, &rest, err);
	if (r == 0)
		r = sfd_rootless_store_open(&options, &native->store, err);
	if (r == 0)
		r = splitfd_image_open(
			native->store, rest, SPLITFD_LOOKUP_TRANSPORT, &native->image, err);
	if (r == 0)
		r = sfd_policy_scopes(rest, splitfd_store_driver(native->store),
			splitfd_store_graphroot(native->store), splitfd_image_id(native->image),
			&native->scopes, err);
	if (r < 0)
		return r;
	*ret = sfd_take_ptr(&native);
	return 0;
}

bool sfd_native_same(const struct sfd_native *a, const struct sfd_native *b)
{
	return strcmp(splitfd_store_graphroot(a->store), splitfd_store_graphroot(b->store)) == 0 &&
	       strcmp(splitfd_store_driver(a->store), splitfd_store_driver(b->store)) == 0 &&
	       strcmp(splitfd_image_id(a->image), splitfd_image_id(b->image)) == 0 &&
	       strcmp(sfd_native_digest(a), sfd_native_digest(b)) == 0;
}

const char *const *sfd_native_scopes(const struct sfd_native *native)
{
	return (const char *const *)native->scopes;
}

const char *sfd_native_digest(const struct sfd_native *native)
{
	return splitfd_image_manifest_digest(native->image);
}

struct splitfd_image *sfd_native_image(struct sfd_native *native)
{
	return native->image;
}

struct splitfd_store *sfd_native_store(struct sfd_native *native)
{
	return native->store;
}

int sfd_native_manifest(
	struct sfd_native *native, struct sfd_buffer *ret, struct splitfd_error *err)
{
	size_t manifest_size, config_size;
	const char *manifest = splitfd_image_manifest(native->image, &manifest_size);
	const char *config = splitfd_image_config(native->image, &config_size);

	return sfd_oci_manifest(manifest, manifest_size, config, config_size, ret, err);
}

int sfd_native_config(
	struct sfd_native *native, bool inner, struct sfd_buffer *ret, struct splitfd_error *err)
{
	size_t size;
	const char *config = splitfd_image_config(native->image, &size);

	return sfd_oci_config(config, size, inner, ret, err);
}

static int write_info(
	const struct splitfd_layer_info *layer, const char *type, struct sfd_buffer *b)
{
	int r = sfd_buffer_append_str(b, "{\"digest\":");

	if (r == 0)
		r = sfd_json_string(b, layer->diff_id);
	if (r == 0 && layer->size == UINT64_MAX)
		r = sfd_buffer_append_str(b, ",\"size\":-1");
	else if (r == 0)
		r = sfd_buffer_printf(b, ",\"size\":%" PRIu64, layer->size);
	return r == 0 ? sfd_buffer_printf(b, ",\"media_type\":\"%s\"}", type) : r;
}

int sfd_native_layer_info(
	struct sfd_native *native, struct sfd_buffer *ret, struct splitfd_error *err)
{
	size_t size;
	const char *manifest = splitfd_image_manifest(native->image, &size);
	const char *type = sfd_manifest_type(manifest, size);
	bool oci = type != NULL && strcmp(type, SFD_OCI_TYPE_MANIFEST) == 0;
	int r = type != NULL ? sfd_buffer_append_str(ret, "[") : -ENOMEM;

	for (size_t i = 0; r == 0 && i < splitfd_image_n_layers(native->image); i++) {
		if (i > 0)
			r = sfd_buffer_append_str(ret, ",");
		if (r == 0)
			r = write_info(splitfd_image_layer(native->image, i),
				oci ? SFD_OCI_TYPE_LAYER : SFD_DOCKER_TYPE_LAYER, ret);
	}
	if (r == 0)
		r = sfd_buffer_append_str(ret, "]");
	return r < 0 ? splitfd_error_sys(err, -r, "the list of layers is too large") : 0;
}
