/* SPDX-License-Identifier: Apache-2.0 */
/* FinalizeImage: config, manifest and tag of an image whose layers are there. */
#include "transport/copy/pull-image.h"
#include "transport/copy/pull-tree.h"
#include "shim/varlink/varlink-repo.h"
#include "splitfdstream/base/cleanup.h"
#include "transport/composefs/images/oci.h"
#include "transport/composefs/stream/layer-proof.h"
#include "transport/composefs/stream/layer-whole.h"

#include <errno.h>
#include <string.h>

SFD_DEFINE_CLEANUP(cleanup_names, struct sfd_names, sfd_names_free);
SFD_DEFINE_CLEANUP(cleanup_tree, struct sfd_pull_tree, sfd_pull_tree_free);

/* The call's layers, checked to be there with these digests. */
struct layers {
	size_t n;
	const char **diff_ids;
	struct splitfd_digest *digests;
};

static void layers_done(struct layers *l)
{
	free(l->digests);
	free(l->diff_ids);
}

/* 1; 0 where the result says what is wrong with it. */
static int find_layer(struct sfd_varlink_session *s, const cJSON *item, const char **ret_diff_id,
	struct splitfd_digest *ret, struct sfd_varlink_result *result, struct splitfd_error *err)
{
	const cJSON *diff_id, *verity;
	const struct sfd_varlink_param params[] = {
		{ "diff_id", SFD_VARLINK_STRING, false, &diff_id },
		{ "layer_verity", SFD_VARLINK_STRING, false, &verity },
		{ NULL },
	};
	char hex[2 * SPLITFD_DIGEST_MAX + 1];
	int r;

	if (!sfd_varlink_params(cJSON_IsObject(item) ? item : NULL, params, result) ||
		!sfd_varlink_digest(diff_id->valuestring, result))
		return 0;
	*ret_diff_id = diff_id->valuestring;
	r = splitfd_repository_has_layer(s->repository, diff_id->valuestring, ret, err);
	if (r == 0)
		r = sfd_layer_not_found(s->repository, diff_id->valuestring, err);
	if (r < 0 && err->kind == SPLITFD_ERROR_NOT_FOUND)
		return sfd_varlink_fail(
			result, SFD_IFACE_OCI ".NoSuchLayer", "diff_id", diff_id->valuestring, err);
	if (r < 0)
		return r;
	splitfd_digest_hex(ret, hex);
	if (strcmp(hex, verity->valuestring) != 0)
		return sfd_varlink_fail(result, SFD_IFACE_OCI ".InvalidRequest", "message",
			"layer_verity is not that of the layer in the repository", err);
	/* It may be from a pull that has checked nothing. */
	r = sfd_layer_prove(s->repository, diff_id->valuestring, ret, s->settings->cancel, err);
	if (r == -EBADMSG)
		return sfd_varlink_fail(
			result, SFD_IFACE_OCI ".InvalidRequest", "message", err->text, err);
	return r < 0 ? r : 1;
}

static int find_layers(struct sfd_varlink_session *s, const cJSON *array, struct layers *ret,
	struct sfd_varlink_result *result, struct splitfd_error *err)
{
	size_t n = (size_t)cJSON_GetArraySize(array);
	const cJSON *item;

	ret->diff_ids = calloc(n + 1, sizeof(*ret->diff_ids));
	ret->digests = calloc(n + 1, sizeof(*ret->digests));
	if (ret->diff_ids == NULL || ret->digests == NULL)
		return splitfd_error_oom(err);
	cJSON_ArrayForEach (item, array) {
		int r = find_layer(
			s, item, &ret->diff_ids[ret->n], &ret->digests[ret->n], result, err);

		if (r <= 0)
			return r;
		ret->n++;
	}
	return 1;
}

/* The layers have to be those that the config names, in its order. */
static int compare(const struct layers *l, const struct sfd_oci_config *config,
	struct sfd_varlink_result *result, struct splitfd_error *err)
{
	bool same = l->n == config->n_diff_ids;

	for (size_t i = 0; i < l->n && same; i++)
		same = strcmp(l->diff_ids[i], config->diff_ids[i]) == 0;
	return same ? 1
		    : sfd_varlink_fail(result, SFD_IFACE_OCI ".InvalidRequest", "message",
			      "the layers are not those of the config's rootfs", err);
}

static int check_config(const char *json, const struct layers *l, struct sfd_varlink_result *result,
	struct splitfd_error *err)
{
	struct sfd_oci_config config;
	int r = sfd_oci_config_parse(json, strlen(json), SFD_OCI_REPOSITORY, &config, err);

	if (r >= 0)
		r = compare(l, &config, result, err);
	else if (err->kind == SPLITFD_ERROR_REFUSED)
		r = sfd_varlink_fail(
			result, SFD_IFACE_OCI ".InvalidRequest", "message", err->text, err);
	sfd_oci_config_done(&config);
	return r;
}

static void told(void *ctx, const char *text)
{
	(void)ctx;
	fprintf(stderr, "splitfd serve: note: %s\n", text);
}

/* The EROFS images; none where no image can follow cfsctl's rules. */
static int make_images(struct sfd_varlink_session *s, const char *config, const struct layers *l,
	struct sfd_names *names, struct sfd_pull_images *ret, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_tree) struct sfd_pull_tree *layers = NULL;
	const struct sfd_readings readings = { .repository = s->repository,
		.diff_ids = l->diff_ids,
		.streams = l->digests,
		.n_layers = l->n,
		.xattrs = SFD_TREE_XATTRS_ALLOWLIST,
		.store = true,
		.told = told };
	struct splitfd_error why = { 0 };
	const struct sfd_tree *tree;
	int r;

	if (sfd_pull_find_images(
		    s->repository, config, strlen(config), l->diff_ids, l->digests, l->n, ret))
		return 0;
	r = sfd_pull_tree_new(s->repository, l->diff_ids, l->n, told, NULL, &layers, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < l->n; i++)
		sfd_pull_tree_stored(layers, i, &l->digests[i]);
	r = sfd_pull_tree_finish(layers, &tree, &why);
	if (r >= 0)
		return sfd_pull_make_images(s->repository, tree, names, ret, err);
	if (r != -EOPNOTSUPP)
		return splitfd_error_copy(err, r, &why);
	r = sfd_pull_make_images_of_readings(&readings, why.text, names, ret, err);
	if (r != -EOPNOTSUPP)
		return r;
	told(NULL, err->text);
	ret->n = 0;
	return 0;
}

static int commit(struct sfd_varlink_session *s, const char *manifest, const char *config,
	const char *tag, struct layers *l, struct sfd_oci_result *ret, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_names) struct sfd_names *names = sfd_names_new(s->repository);
	struct sfd_oci_ref refs[SFD_PULL_IMAGES_MAX];
	struct sfd_pull_images images = { 0 };
	struct sfd_oci_image image = { .manifest = manifest,
		.manifest_size = strlen(manifest),
		.config = config,
		.config_size = strlen(config),
		.images = refs,
		.tag = tag };
	int r;

	if (names == NULL)
		return splitfd_error_oom(err);
	r = make_images(s, config, l, names, &images, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < images.n; i++)
		refs[i] = (struct sfd_oci_ref){ images.rows[i].name, images.rows[i].digest };
	image.n_images = images.n;
	return sfd_oci_commit(s->repository, names, &image, ret, err);
}

static int answer(const struct sfd_oci_result *result, struct sfd_varlink_result *ret,
	struct splitfd_error *err)
{
	cJSON *o = sfd_varlink_object(ret);

	if (cJSON_AddStringToObject(o, "manifest_digest", result->manifest_digest) == NULL ||
		!sfd_varlink_add_digest(o, "manifest_verity", &result->manifest) ||
		cJSON_AddStringToObject(o, "config_digest", result->config_digest) == NULL ||
		!sfd_varlink_add_digest(o, "config_verity", &result->config))
		return splitfd_error_oom(err);
	return 0;
}

int sfd_varlink_repo_finalize(struct sfd_varlink_session *s, const struct sfd_varlink_call *call,
	struct sfd_varlink_result *ret, struct splitfd_error *err)
{
	const cJSON *handle, *manifest, *config, *array, *name;
	const struct sfd_varlink_param params[] = {
		{ "handle", SFD_VARLINK_INT, false, &handle },
		{ "manifest_json", SFD_VARLINK_STRING, false, &manifest },
		{ "config_json", SFD_VARLINK_STRING, false, &config },
		{ "layers", SFD_VARLINK_ARRAY, false, &array },
		{ "name", SFD_VARLINK_STRING, true, &name },
		{ NULL },
	};
	struct layers layers = { 0 };
	struct sfd_oci_result result;
	int r;

	if (!sfd_varlink_params(call->parameters, params, ret))
		return 0;
	r = sfd_varlink_repo(s, handle, true, ret, err);
	if (r > 0)
		r = find_layers(s, array, &layers, ret, err);
	if (r > 0)
		r = check_config(config->valuestring, &layers, ret, err);
	if (r > 0) {
		r = commit(s, manifest->valuestring, config->valuestring,
			name != NULL ? name->valuestring : NULL, &layers, &result, err);
		if (r >= 0)
			r = answer(&result, ret, err);
		else if (err->kind == SPLITFD_ERROR_REFUSED || err->kind == SPLITFD_ERROR_USAGE)
			r = sfd_varlink_fail(
				ret, SFD_IFACE_OCI ".InvalidRequest", "message", err->text, err);
	}
	layers_done(&layers);
	return r;
}
