/* SPDX-License-Identifier: Apache-2.0 */
/* org.composefs.Oci of a containers-storage store: its layers, one by one, and its images. */
#include "shim/varlink/varlink-descriptions.h"
#include "shim/varlink/varlink-layer.h"
#include "shim/varlink/varlink-served.h"
#include "shim/varlink/varlink-session.h"
#include "shim/varlink/varlink-store-images.h"
#include "splitfdstream/base/cleanup.h"
#include "transport/containers-storage/layer-lookup.h"
#include "transport/containers-storage/store-cleanup.h"

static int get_info(struct sfd_varlink_session *s, const struct sfd_varlink_call *call,
	struct sfd_varlink_result *ret, struct splitfd_error *err)
{
	static const char *const features[] = { "splitdirfdstream-v0", "source-containers-storage",
		"read-only", NULL };

	(void)s;
	(void)call;
	return sfd_varlink_features(features, ret, err);
}

/* As an error of the protocol: there is no such layer. */
static int no_layer(
	int r, const char *layer, struct sfd_varlink_result *ret, struct splitfd_error *err)
{
	if (err->kind != SPLITFD_ERROR_NOT_FOUND)
		return r;
	return sfd_varlink_fail(ret, SFD_IFACE_OCI ".NoSuchLayer", "diff_id", layer, err);
}

/* 1 where the layer is there. */
static int has(struct sfd_varlink_session *s, const char *diff_id, struct sfd_varlink_result *ret,
	struct splitfd_error *err)
{
	sfd_cleanup_store struct splitfd_store *store = NULL;
	size_t i;
	int r;

	if (s->image != NULL)
		return splitfd_image_find_layer(s->image, diff_id, &i, err) >= 0;
	r = sfd_varlink_store(s, &store, ret, err);
	return r <= 0 ? r : sfd_store_has_layer(store, SFD_LAYER_BY_DIFF_ID, diff_id, err);
}

static int has_layer(struct sfd_varlink_session *s, const struct sfd_varlink_call *call,
	struct sfd_varlink_result *ret, struct splitfd_error *err)
{
	const cJSON *handle, *diff_id;
	const struct sfd_varlink_param params[] = {
		{ "handle", SFD_VARLINK_INT, false, &handle },
		{ "diff_id", SFD_VARLINK_STRING, false, &diff_id },
		{ NULL },
	};
	int r;

	if (!sfd_varlink_params(call->parameters, params, ret) ||
		!sfd_varlink_digest(diff_id->valuestring, ret))
		return 0;
	r = has(s, diff_id->valuestring, ret, err);
	if (r < 0 || ret->error != NULL)
		return r;
	if (cJSON_AddBoolToObject(sfd_varlink_object(ret), "present", r) == NULL ||
		cJSON_AddNullToObject(ret->parameters, "layer_verity") == NULL)
		return splitfd_error_oom(err);
	return 0;
}

/* 1 with the source; 0 where the result says why there is none. */
static int by_locator(struct splitfd_store *store, const struct sfd_varlink_get_layer *q,
	struct splitfd_source **ret, struct sfd_varlink_result *result, struct splitfd_error *err)
{
	int r;

	if (!sfd_varlink_is_served(splitfd_store_graphroot(store), q->storage_path)) {
		(void)splitfd_error_set(err, SPLITFD_ERROR_NOT_FOUND, ENOENT,
			"storage root not found at %s; this service serves %s", q->storage_path,
			splitfd_store_graphroot(store));
		return sfd_varlink_fail(
			result, SFD_IFACE_OCI ".RepoNotFound", "message", err->text, err);
	}
	r = sfd_store_open_layer(store, SFD_LAYER_BY_ID, q->layer_id, ret, err);
	return r < 0 ? no_layer(r, q->layer_id, result, err) : 1;
}

static int by_diff_id(struct sfd_varlink_session *s, struct splitfd_store *store,
	const char *diff_id, struct splitfd_source **ret, struct sfd_varlink_result *result,
	struct splitfd_error *err)
{
	size_t i;
	int r;

	if (!sfd_varlink_digest(diff_id, result))
		return 0;
	if (s->image == NULL) {
		r = sfd_store_open_layer(store, SFD_LAYER_BY_DIFF_ID, diff_id, ret, err);
	} else {
		r = splitfd_image_find_layer(s->image, diff_id, &i, err);
		if (r >= 0)
			r = splitfd_image_open_layer(s->image, i, ret, err);
	}
	return r < 0 ? no_layer(r, diff_id, result, err) : 1;
}

static int find_layer(struct sfd_varlink_session *s, const struct sfd_varlink_get_layer *q,
	struct splitfd_source **ret, struct sfd_varlink_result *result, struct splitfd_error *err)
{
	sfd_cleanup_store struct splitfd_store *store = NULL;
	int r;

	if (s->image != NULL && q->storage_path != NULL)
		return sfd_varlink_fail(result, SFD_IFACE_OCI ".InvalidRequest", "message",
			"GetLayer: this connection is for the layers of one image, by diff_id",
			err);
	if (q->storage_path == NULL && q->diff_id == NULL)
		return sfd_varlink_fail(result, SFD_IFACE_OCI ".InvalidRequest", "message",
			"GetLayer: params.diff_id or params.storage is required", err);
	r = s->image != NULL ? 1 : sfd_varlink_store(s, &store, result, err);
	if (r <= 0)
		return r;
	if (q->storage_path != NULL)
		return by_locator(store, q, ret, result, err);
	return by_diff_id(s, store, q->diff_id, ret, result, err);
}

static int get_layer(struct sfd_varlink_session *s, const struct sfd_varlink_call *call,
	struct sfd_varlink_result *ret, struct splitfd_error *err)
{
	struct sfd_varlink_get_layer q;
	struct sfd_layer_to_send layer = { 0 };
	int r;

	if (!sfd_varlink_get_layer_params(call, &q, ret))
		return 0;
	r = find_layer(s, &q, &layer.source, ret, err);
	if (r <= 0)
		return r;
	/* Nothing guards the layer: locks are never held while data moves, and a file that goes
	 * away meanwhile is an error at the client's. */
	layer.consumer_reads_all = q.reads_all;
	return sfd_varlink_send_layer(s, &layer, ret, err);
}

static const struct sfd_varlink_row rows[] = {
	{ "GetInfo", get_info },
	{ "ListImages", sfd_varlink_store_list_images },
	{ "Inspect", sfd_varlink_store_inspect },
	{ "HasLayer", has_layer },
	{ "GetLayer", get_layer },
	{ NULL },
};

static const struct sfd_varlink_row layer_rows[] = {
	{ "GetInfo", get_info },
	{ "ListImages", NULL },
	{ "Inspect", NULL },
	{ "HasLayer", has_layer },
	{ "GetLayer", get_layer },
	{ NULL },
};

const struct sfd_varlink_interface sfd_varlink_oci_of_layers = {
	.name = SFD_IFACE_OCI,
	.description = sfd_varlink_oci_store_description,
	.rows = layer_rows,
};

const struct sfd_varlink_interface sfd_varlink_oci_of_store = {
	.name = SFD_IFACE_OCI,
	.description = sfd_varlink_oci_store_description,
	.rows = rows,
};
