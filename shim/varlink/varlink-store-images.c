/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/varlink/varlink-store-images.h"
#include "shim/common/rootless.h"
#include "transport/json/json-member.h"
#include "splitfdstream/base/cleanup.h"
#include "transport/containers-storage/store-private.h"
#include "transport/oci/oci-json.h"

#include <string.h>

SFD_DEFINE_CLEANUP(cleanup_store, struct splitfd_store, splitfd_store_close);
SFD_DEFINE_CLEANUP(cleanup_image, struct splitfd_image, splitfd_image_close);

int sfd_varlink_store(struct sfd_varlink_session *s, struct splitfd_store **ret,
	struct sfd_varlink_result *result, struct splitfd_error *err)
{
	struct splitfd_store_options options = s->settings->store;
	int r;

	if (s->store != NULL) {
		*ret = sfd_store_ref(s->store);
		return 1;
	}
	options.cancel_fd = s->settings->cancel_fd;
	r = sfd_rootless_store_open(&options, ret, err);
	if (r >= 0)
		return 1;
	if (err->kind != SPLITFD_ERROR_NOT_FOUND)
		return r;
	return sfd_varlink_fail(result, SFD_IFACE_OCI ".RepoNotFound", "message", err->text, err);
}

static bool fill_row(cJSON *row, const char *name, const struct splitfd_image *image,
	const struct sfd_oci_config *config)
{
	return sfd_json_add_text(row, "name", name) &&
	       sfd_json_add_text(row, "manifest_digest", splitfd_image_manifest_digest(image)) &&
	       cJSON_AddTrueToObject(row, "is_container") != NULL &&
	       sfd_json_add_text(row, "architecture",
		       config->architecture != NULL ? config->architecture : "") &&
	       sfd_json_add_text(row, "os", config->os != NULL ? config->os : "") &&
	       sfd_json_add_text(row, "created", config->created) &&
	       cJSON_AddNumberToObject(row, "layer_count", (double)splitfd_image_n_layers(image)) !=
		       NULL &&
	       cJSON_AddNumberToObject(row, "referrer_count", 0) != NULL;
}

static int add_row(cJSON *array, const char *name, const struct splitfd_image *image,
	struct splitfd_error *err)
{
	struct sfd_oci_config facts;
	cJSON *row = cJSON_CreateObject();
	size_t size;
	const char *json = splitfd_image_config(image, &size);
	int r;

	if (!cJSON_AddItemToArray(array, row)) {
		cJSON_Delete(row);
		return splitfd_error_oom(err);
	}
	r = sfd_oci_config_parse(json, size, SFD_OCI_STORE, &facts, err);
	if (r >= 0 && !fill_row(row, name, image, &facts))
		r = splitfd_error_oom(err);
	sfd_oci_config_done(&facts);
	if (r < 0)
		cJSON_DeleteItemFromArray(array, cJSON_GetArraySize(array) - 1);
	return r;
}

struct listing {
	struct splitfd_store *store;
	cJSON *array;
	const char *filter;
	bool no_memory;
};

/* An image that cannot be read is left out, as cfsctl does; the others are still there. */
static int list_row(void *ctx, const struct splitfd_image_row *row)
{
	struct listing *l = ctx;
	sfd_cleanup(cleanup_image) struct splitfd_image *image = NULL;
	struct splitfd_error why = { 0 };
	int r = 0;

	for (size_t i = 0; row->names[i] != NULL && r >= 0; i++) {
		if (l->filter != NULL && strstr(row->names[i], l->filter) == NULL)
			continue;
		if (image == NULL)
			r = splitfd_image_open(
				l->store, row->id, SPLITFD_LOOKUP_TRANSPORT, &image, &why);
		if (r >= 0)
			r = add_row(l->array, row->names[i], image, &why);
	}
	if (r == -ENOMEM)
		l->no_memory = true;
	else if (r < 0)
		fprintf(stderr, "splitfd serve: image %.12s is left out: %s\n", row->id, why.text);
	return l->no_memory;
}

int sfd_varlink_store_list_images(struct sfd_varlink_session *s,
	const struct sfd_varlink_call *call, struct sfd_varlink_result *ret,
	struct splitfd_error *err)
{
	sfd_cleanup(cleanup_store) struct splitfd_store *store = NULL;
	const cJSON *handle, *filter;
	const struct sfd_varlink_param params[] = {
		{ "handle", SFD_VARLINK_INT, false, &handle },
		{ "filter", SFD_VARLINK_STRING, true, &filter },
		{ NULL },
	};
	struct listing listing = { 0 };
	int r;

	if (!sfd_varlink_params(call->parameters, params, ret))
		return 0;
	r = sfd_varlink_store(s, &store, ret, err);
	if (r <= 0)
		return r;
	listing.store = store;
	listing.filter = filter != NULL ? filter->valuestring : NULL;
	listing.array = cJSON_AddArrayToObject(sfd_varlink_object(ret), "images");
	if (listing.array == NULL)
		return splitfd_error_oom(err);
	r = splitfd_store_list_images(store, list_row, &listing, err);
	return listing.no_memory ? splitfd_error_oom(err) : r;
}

struct search {
	const char *digest;
	char id[65];
};

static int compare_digest(void *ctx, const struct splitfd_image_row *row)
{
	struct search *search = ctx;

	if (row->digest == NULL || strcmp(row->digest, search->digest) != 0)
		return 0;
	(void)snprintf(search->id, sizeof(search->id), "%s", row->id);
	return 1;
}

/* By name, ID, or the manifest's digest. 1; 0 where the result is NoSuchImage. */
static int open_image(struct splitfd_store *store, const char *name, struct splitfd_image **ret,
	struct sfd_varlink_result *result, struct splitfd_error *err)
{
	/* A digest is written with "@" in front, too, as cfsctl wants it. */
	struct search search = { .digest = strncmp(name, "@sha256:", 8) == 0 ? name + 1 : name };
	enum splitfd_lookup lookup = SPLITFD_LOOKUP_PODMAN;
	int r = 0;

	if (strncmp(search.digest, "sha256:", 7) == 0)
		r = splitfd_store_list_images(store, compare_digest, &search, err);
	if (r < 0)
		return r;
	if (search.id[0] != '\0')
		lookup = SPLITFD_LOOKUP_TRANSPORT;
	r = splitfd_image_open(store, search.id[0] != '\0' ? search.id : name, lookup, ret, err);
	if (r >= 0)
		return 1;
	if (err->kind == SPLITFD_ERROR_NOT_FOUND)
		return sfd_varlink_fail(result, SFD_IFACE_OCI ".NoSuchImage", "image", name, err);
	if (err->kind == SPLITFD_ERROR_USAGE)
		return sfd_varlink_fail(
			result, SFD_IFACE_OCI ".InvalidRequest", "message", err->text, err);
	return r;
}

static int describe(const struct splitfd_image *image, struct sfd_varlink_result *ret,
	struct splitfd_error *err)
{
	cJSON *o = sfd_varlink_object(ret);
	size_t manifest_size, config_size;
	const char *manifest = splitfd_image_manifest(image, &manifest_size);
	const char *config = splitfd_image_config(image, &config_size);

	if (strlen(manifest) != manifest_size || strlen(config) != config_size)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"the image's manifest or config holds a NUL");
	if (!sfd_json_add_text(o, "manifest", manifest) ||
		!sfd_json_add_text(o, "config", config) ||
		cJSON_AddArrayToObject(o, "referrers") == NULL ||
		!sfd_json_add_text(o, "composefs_erofs", NULL) ||
		!sfd_json_add_text(o, "composefs_boot_erofs", NULL))
		return splitfd_error_oom(err);
	return 0;
}

int sfd_varlink_store_inspect(struct sfd_varlink_session *s, const struct sfd_varlink_call *call,
	struct sfd_varlink_result *ret, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_store) struct splitfd_store *store = NULL;
	sfd_cleanup(cleanup_image) struct splitfd_image *image = NULL;
	const cJSON *handle, *name;
	const struct sfd_varlink_param params[] = {
		{ "handle", SFD_VARLINK_INT, false, &handle },
		{ "image", SFD_VARLINK_STRING, false, &name },
		{ NULL },
	};
	int r;

	if (!sfd_varlink_params(call->parameters, params, ret))
		return 0;
	r = sfd_varlink_store(s, &store, ret, err);
	if (r > 0)
		r = open_image(store, name->valuestring, &image, ret, err);
	return r > 0 ? describe(image, ret, err) : r;
}
