/* SPDX-License-Identifier: Apache-2.0 */
/* The images of a repository: list, inspect, tag, untag, and the EROFS image's digest. */
#include "shim/common/image-argument.h"
#include "shim/common/image-json.h"
#include "shim/varlink/varlink-repo.h"
#include "transport/json/json-member.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"
#include "transport/composefs/erofs/erofs-writer.h"
#include "transport/composefs/images/listing.h"
#include "transport/composefs/images/names.h"
#include "transport/composefs/repository-private.h"
#include "transport/composefs/images/tags.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

SFD_DEFINE_CLEANUP(cleanup_tree, struct sfd_tree, sfd_tree_free);
SFD_DEFINE_CLEANUP(cleanup_names, struct sfd_names, sfd_names_free);

static int no_image(const char *name, struct sfd_varlink_result *ret, struct splitfd_error *err)
{
	return sfd_varlink_fail(ret, SFD_IFACE_OCI ".NoSuchImage", "image", name, err);
}

static bool add_row(cJSON *array, const struct sfd_image_row *row)
{
	cJSON *o = cJSON_CreateObject();

	if (!cJSON_AddItemToArray(array, o)) {
		cJSON_Delete(o);
		return false;
	}
	return sfd_image_json(o, row);
}

int sfd_varlink_repo_list_images(struct sfd_varlink_session *s, const struct sfd_varlink_call *call,
	struct sfd_varlink_result *ret, struct splitfd_error *err)
{
	const cJSON *handle, *filter;
	const struct sfd_varlink_param params[] = {
		{ "handle", SFD_VARLINK_INT, false, &handle },
		{ "filter", SFD_VARLINK_STRING, true, &filter },
		{ NULL },
	};
	struct sfd_image_list list = { 0 };
	cJSON *array;
	int r;

	if (!sfd_varlink_params(call->parameters, params, ret))
		return 0;
	r = sfd_varlink_repo(s, handle, false, ret, err);
	if (r <= 0)
		return r;
	r = sfd_images_list(s->repository, NULL, NULL, &list, err);
	array = cJSON_AddArrayToObject(sfd_varlink_object(ret), "images");
	for (size_t i = 0; i < list.n && r == 0; i++) {
		if (filter != NULL && strstr(list.rows[i].name, filter->valuestring) == NULL)
			continue;
		if (!add_row(array, &list.rows[i]))
			r = splitfd_error_oom(err);
	}
	sfd_images_done(&list);
	return r;
}

/* A tag, or "sha256:…", as a manifest's digest; 0 where the result is NoSuchImage. */
static int resolve(struct sfd_varlink_session *s, const char *image, char **ret,
	struct sfd_varlink_result *result, struct splitfd_error *err)
{
	sfd_cleanup_free char *name =
		sfd_asprintf("%s%s", strncmp(image, "sha256:", 7) == 0 ? "@" : "", image);
	int r;

	if (name == NULL)
		return splitfd_error_oom(err);
	r = sfd_tag_resolve(s->repository, name, ret, err);
	if (r >= 0)
		return 1;
	if (err->kind == SPLITFD_ERROR_NOT_FOUND || err->kind == SPLITFD_ERROR_USAGE)
		return no_image(image, result, err);
	return r;
}

static bool add_erofs(struct sfd_varlink_session *s, cJSON *o, const char *key,
	const struct sfd_oci_stored *stored, bool boot)
{
	struct splitfd_digest digest;

	if (!sfd_oci_stored_erofs(s->repository, stored, boot, &digest))
		return cJSON_AddNullToObject(o, key) != NULL;
	return sfd_varlink_add_digest(o, key, &digest);
}

static int describe(struct sfd_varlink_session *s, const struct sfd_oci_stored *stored,
	struct sfd_varlink_result *ret, struct splitfd_error *err)
{
	struct sfd_tag *tags = NULL;
	size_t n = 0;
	int r = sfd_referrers_list(s->repository, stored->manifest_digest, &tags, &n, err);
	cJSON *o = sfd_varlink_object(ret), *array;
	bool good;

	if (r < 0)
		return r;
	good = sfd_json_add_text(o, "manifest", stored->manifest.json) &&
	       sfd_json_add_text(o, "config", stored->config.json);
	array = cJSON_AddArrayToObject(o, "referrers");
	for (size_t i = 0; i < n && good; i++)
		good = cJSON_AddItemToArray(array, cJSON_CreateString(tags[i].manifest));
	sfd_tags_free(tags, n);
	good = good && add_erofs(s, o, "composefs_erofs", stored, false) &&
	       add_erofs(s, o, "composefs_boot_erofs", stored, true);
	return good ? 0 : splitfd_error_oom(err);
}

int sfd_varlink_repo_inspect(struct sfd_varlink_session *s, const struct sfd_varlink_call *call,
	struct sfd_varlink_result *ret, struct splitfd_error *err)
{
	sfd_cleanup_free char *manifest = NULL;
	const cJSON *handle, *image;
	const struct sfd_varlink_param params[] = {
		{ "handle", SFD_VARLINK_INT, false, &handle },
		{ "image", SFD_VARLINK_STRING, false, &image },
		{ NULL },
	};
	struct sfd_oci_stored stored;
	int r;

	if (!sfd_varlink_params(call->parameters, params, ret))
		return 0;
	r = sfd_varlink_repo(s, handle, false, ret, err);
	if (r > 0)
		r = resolve(s, image->valuestring, &manifest, ret, err);
	if (r <= 0)
		return r;
	r = sfd_oci_stored_read(s->repository, manifest, &stored, err);
	if (r >= 0)
		r = describe(s, &stored, ret, err);
	else if (err->kind == SPLITFD_ERROR_NOT_FOUND)
		r = no_image(image->valuestring, ret, err);
	sfd_oci_stored_done(&stored);
	return r;
}

static int set_tag(struct sfd_varlink_session *s, const char *tag, const char *digest,
	struct sfd_varlink_result *ret, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_names) struct sfd_names *names = NULL;
	struct splitfd_digest stream;
	char target[128];
	int r;

	(void)snprintf(target, sizeof(target), "streams/" SFD_MANIFEST_NAME "%s", digest);
	r = sfd_name_read(s->repository, target, &stream, err);
	if (r == 0)
		return no_image(digest, ret, err);
	names = sfd_names_new(s->repository);
	if (names == NULL)
		return splitfd_error_oom(err);
	if (r > 0)
		r = sfd_names_add_ref(names, tag, target, err);
	return r < 0 ? r : sfd_names_commit(names, err);
}

/* What Tag and Untag have in common: the repository, open for writing, and the tag's name in it. 1;
 * 0 where the result says why not. `digest` is NULL where the method has no such parameter. */
static int tag_params(struct sfd_varlink_session *s, const struct sfd_varlink_call *call,
	const cJSON **name, const cJSON **digest, char **ret_tag, struct sfd_varlink_result *ret,
	struct splitfd_error *err)
{
	const cJSON *handle;
	const struct sfd_varlink_param params[] = {
		{ "handle", SFD_VARLINK_INT, false, &handle },
		{ "name", SFD_VARLINK_STRING, false, name },
		{ digest != NULL ? "manifest_digest" : NULL, SFD_VARLINK_STRING, false, digest },
		{ NULL },
	};
	int r;

	if (!sfd_varlink_params(call->parameters, params, ret))
		return 0;
	r = sfd_varlink_repo(s, handle, true, ret, err);
	if (r <= 0)
		return r;
	if (sfd_tag_name((*name)->valuestring, ret_tag, err) >= 0)
		return 1;
	return sfd_varlink_fail(ret, SFD_IFACE_OCI ".InvalidRequest", "message", err->text, err);
}

int sfd_varlink_repo_tag(struct sfd_varlink_session *s, const struct sfd_varlink_call *call,
	struct sfd_varlink_result *ret, struct splitfd_error *err)
{
	sfd_cleanup_free char *tag = NULL;
	const cJSON *digest, *name;
	int r = tag_params(s, call, &name, &digest, &tag, ret, err);

	if (r <= 0 || !sfd_varlink_digest(digest->valuestring, ret))
		return r < 0 ? r : 0;
	return set_tag(s, tag, digest->valuestring, ret, err);
}

int sfd_varlink_repo_untag(struct sfd_varlink_session *s, const struct sfd_varlink_call *call,
	struct sfd_varlink_result *ret, struct splitfd_error *err)
{
	sfd_cleanup_free char *tag = NULL;
	const cJSON *name;
	int r = tag_params(s, call, &name, NULL, &tag, ret, err);

	if (r <= 0)
		return r;
	r = sfd_tag_remove(s->repository, tag, err);
	if (r == 0)
		return no_image(name->valuestring, ret, err);
	return r < 0 ? r : 0;
}

static const char *xattrs_word(const cJSON *xattrs)
{
	if (xattrs == NULL || strcmp(xattrs->valuestring, "AllowlistOnly") == 0)
		return "allowlist-only";
	return strcmp(xattrs->valuestring, "KeepUserXattrs") == 0 ? "keep-user-xattrs" : NULL;
}

static int compute(struct sfd_varlink_session *s, const char *image, const char *xattrs,
	struct sfd_varlink_result *ret, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_tree) struct sfd_tree *tree = NULL;
	sfd_cleanup_free char *manifest = NULL, *name = NULL;
	int formats[SFD_IMAGE_FORMATS];
	struct splitfd_digest digest;
	int r = resolve(s, image, &manifest, ret, err);

	if (r <= 0)
		return r;
	name = sfd_asprintf("@%s", manifest);
	if (name == NULL)
		return splitfd_error_oom(err);
	sfd_image_formats(s->repository, formats);
	r = sfd_image_argument_tree(s->repository, "serve", name, xattrs, NULL, &tree, err);
	if (r < 0 && err->kind == SPLITFD_ERROR_NOT_FOUND)
		return no_image(image, ret, err);
	if (r >= 0)
		r = sfd_erofs_digest(tree, formats[0], &digest, err);
	if (r >= 0 && !sfd_varlink_add_digest(sfd_varlink_object(ret), "image_id", &digest))
		r = splitfd_error_oom(err);
	return r < 0 ? r : 0;
}

int sfd_varlink_repo_compute_id(struct sfd_varlink_session *s, const struct sfd_varlink_call *call,
	struct sfd_varlink_result *ret, struct splitfd_error *err)
{
	const cJSON *handle, *image, *verity, *bootable, *xattrs;
	const struct sfd_varlink_param params[] = {
		{ "handle", SFD_VARLINK_INT, false, &handle },
		{ "image", SFD_VARLINK_STRING, false, &image },
		{ "verity", SFD_VARLINK_STRING, true, &verity },
		{ "bootable", SFD_VARLINK_BOOL, false, &bootable },
		{ "xattrs", SFD_VARLINK_STRING, true, &xattrs },
		{ NULL },
	};
	int r;

	if (!sfd_varlink_params(call->parameters, params, ret))
		return 0;
	if (xattrs_word(xattrs) == NULL)
		return sfd_varlink_fail(
			ret, SFD_IFACE_SERVICE ".InvalidParameter", "parameter", "xattrs", err);
	if (cJSON_IsTrue(bootable) || verity != NULL)
		return sfd_varlink_fail(ret, SFD_IFACE_OCI ".InvalidRequest", "message",
			"bootable and verity are not supported by this service", err);
	r = sfd_varlink_repo(s, handle, false, ret, err);
	return r <= 0 ? r : compute(s, image->valuestring, xattrs_word(xattrs), ret, err);
}
