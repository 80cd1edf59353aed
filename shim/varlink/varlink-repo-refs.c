/* SPDX-License-Identifier: Apache-2.0 */
/* org.composefs.Repository: EROFS images by name. */
#include "shim/varlink/varlink-repo.h"
#include "splitfdstream/base/cleanup.h"
#include "transport/composefs/erofs/image-refs.h"

#include <string.h>

static bool add_ref(cJSON *array, const struct sfd_image_ref *ref)
{
	const char *slash = strrchr(ref->target, '/');
	cJSON *o = cJSON_CreateObject();

	if (!cJSON_AddItemToArray(array, o)) {
		cJSON_Delete(o);
		return false;
	}
	return cJSON_AddStringToObject(o, "name", ref->name) != NULL &&
	       cJSON_AddStringToObject(o, "digest", slash != NULL ? slash + 1 : ref->target) !=
		       NULL;
}

int sfd_varlink_repo_list_image_refs(struct sfd_varlink_session *s,
	const struct sfd_varlink_call *call, struct sfd_varlink_result *ret,
	struct splitfd_error *err)
{
	const cJSON *handle;
	const struct sfd_varlink_param params[] = {
		{ "handle", SFD_VARLINK_INT, false, &handle },
		{ NULL },
	};
	struct sfd_image_ref *refs = NULL;
	cJSON *array;
	size_t n = 0;
	int r;

	if (!sfd_varlink_params(call->parameters, params, ret))
		return 0;
	r = sfd_varlink_repo_itself(s, handle, ret, err);
	if (r > 0)
		r = sfd_image_refs_list(s->repository, &refs, &n, err);
	if (r < 0 || ret->error != NULL)
		return r;
	array = cJSON_AddArrayToObject(sfd_varlink_object(ret), "images");
	r = array != NULL ? 0 : splitfd_error_oom(err);
	for (size_t i = 0; i < n && r == 0; i++)
		r = add_ref(array, &refs[i]) ? 0 : splitfd_error_oom(err);
	sfd_image_refs_free(refs, n);
	return r;
}

static int compare(const void *a, const void *b, void *size)
{
	return memcmp(a, b, *(const uint8_t *)size);
}

/* "sha512:HEX", as cfsctl writes objects here. Sorts them in place: their hex has the same order.
 */
static int fill_objects(
	struct sfd_digest_table *t, struct sfd_varlink_result *ret, struct splitfd_error *err)
{
	cJSON *array = cJSON_AddArrayToObject(sfd_varlink_object(ret), "object_ids");
	char id[7 + 2 * SPLITFD_DIGEST_MAX + 1];

	memcpy(id, t->digest_size == 32 ? "sha256:" : "sha512:", 7);
	if (array == NULL)
		return splitfd_error_oom(err);
	if (t->n > 0)
		qsort_r(t->digests, t->n, t->digest_size, compare, &t->digest_size);
	for (size_t i = 0; i < t->n; i++) {
		struct splitfd_digest digest;

		sfd_digest_table_get(t, i, &digest);
		splitfd_digest_hex(&digest, id + 7);
		if (!cJSON_AddItemToArray(array, cJSON_CreateString(id)))
			return splitfd_error_oom(err);
	}
	return 0;
}

int sfd_varlink_repo_image_objects(struct sfd_varlink_session *s,
	const struct sfd_varlink_call *call, struct sfd_varlink_result *ret,
	struct splitfd_error *err)
{
	const cJSON *handle, *name;
	const struct sfd_varlink_param params[] = {
		{ "handle", SFD_VARLINK_INT, false, &handle },
		{ "name", SFD_VARLINK_STRING, false, &name },
		{ NULL },
	};
	sfd_cleanup(sfd_digest_table_done) struct sfd_digest_table objects = { 0 };
	int r;

	if (!sfd_varlink_params(call->parameters, params, ret))
		return 0;
	r = sfd_varlink_repo_itself(s, handle, ret, err);
	if (r <= 0)
		return r;
	sfd_digest_table_init(&objects, splitfd_repository_algorithm(s->repository));
	r = sfd_image_objects(s->repository, name->valuestring, &objects, err);
	if (r < 0 && err->kind == SPLITFD_ERROR_NOT_FOUND)
		return sfd_varlink_fail(ret, SFD_IFACE_REPOSITORY ".NoSuchRef", "reference",
			name->valuestring, err);
	return r < 0 ? r : fill_objects(&objects, ret, err);
}
