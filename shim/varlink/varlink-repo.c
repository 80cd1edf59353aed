/* SPDX-License-Identifier: Apache-2.0 */
/* org.composefs.Oci and org.composefs.Repository of a composefs repository. */
#include "shim/varlink/varlink-repo.h"
#include "shim/common/repo-options.h"
#include "shim/varlink/varlink-descriptions.h"
#include "shim/varlink/varlink-served.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"
#include "transport/composefs/algorithm.h"
#include "transport/composefs/repository-private.h"
#include "transport/containers-storage/store-lock.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int get_info(struct sfd_varlink_session *s, const struct sfd_varlink_call *call,
	struct sfd_varlink_result *ret, struct splitfd_error *err)
{
	static const char *const features[] = { "splitdirfdstream-v0", NULL };

	(void)s;
	(void)call;
	return sfd_varlink_features(features, ret, err);
}

static int not_served(const struct sfd_varlink_session *s, const char *path,
	struct sfd_varlink_result *ret, struct splitfd_error *err)
{
	struct splitfd_error why;

	(void)splitfd_error_set(&why, SPLITFD_ERROR_NOT_FOUND, ENOENT,
		"%s is not the repository of this service, which is %s", path,
		s->settings->repository);
	return sfd_varlink_fail(
		ret, SFD_IFACE_REPOSITORY ".RepoNotFound", "message", why.text, err);
}

static int describe(
	struct sfd_varlink_session *s, struct sfd_varlink_result *ret, struct splitfd_error *err)
{
	sfd_cleanup_free char *objects = sfd_asprintf("%s/objects", s->settings->repository);
	const char *hash = sfd_algorithm_hash(splitfd_repository_algorithm(s->repository));
	cJSON *o = sfd_varlink_object(ret);
	uint64_t handle;
	struct stat st;

	if (objects == NULL || sfd_varlink_handles_open(&s->shared->handles, &handle) < 0)
		return splitfd_error_oom(err);
	if (cJSON_AddNumberToObject(o, "handle", (double)handle) == NULL ||
		cJSON_AddStringToObject(o, "hash_algorithm", hash) == NULL)
		return splitfd_error_oom(err);
	if (stat(objects, &st) < 0 && stat(s->settings->repository, &st) < 0)
		return splitfd_error_sys(err, errno, "%s", s->settings->repository);
	if (cJSON_AddNumberToObject(o, "objects_device_id", (double)st.st_dev) == NULL)
		return splitfd_error_oom(err);
	return 0;
}

static int open_method(struct sfd_varlink_session *s, const struct sfd_varlink_call *call,
	struct sfd_varlink_result *ret, struct splitfd_error *err)
{
	const cJSON *path, *user, *system;
	const struct sfd_varlink_param params[] = {
		{ "path", SFD_VARLINK_STRING, true, &path },
		{ "user", SFD_VARLINK_BOOL, true, &user },
		{ "system", SFD_VARLINK_BOOL, true, &system },
		{ NULL },
	};
	struct sfd_repo_options options = { 0 };
	char wanted[PATH_MAX];
	int r;

	if (!sfd_varlink_params(call->parameters, params, ret))
		return 0;
	options.repo = path != NULL ? path->valuestring : NULL;
	options.user = cJSON_IsTrue(user);
	options.system = cJSON_IsTrue(system);
	if ((path != NULL) + options.user + options.system != 1)
		return sfd_varlink_fail(ret, SFD_IFACE_REPOSITORY ".InvalidSpec", "message",
			"exactly one of path, user, system must be set", err);
	if (sfd_repo_path(&options, wanted, err) < 0)
		return sfd_varlink_fail(
			ret, SFD_IFACE_REPOSITORY ".InvalidSpec", "message", err->text, err);
	if (!sfd_varlink_is_served(s->settings->repository, wanted))
		return not_served(s, wanted, ret, err);
	r = sfd_varlink_repo_open(s, false, ret, err);
	if (r == 0 && ret->error != NULL)
		ret->error = SFD_IFACE_REPOSITORY ".RepoNotFound";
	if (r <= 0)
		return r;
	return describe(s, ret, err);
}

static int close_method(struct sfd_varlink_session *s, const struct sfd_varlink_call *call,
	struct sfd_varlink_result *ret, struct splitfd_error *err)
{
	const cJSON *handle;
	const struct sfd_varlink_param params[] = {
		{ "handle", SFD_VARLINK_INT, false, &handle },
		{ NULL },
	};

	if (!sfd_varlink_params(call->parameters, params, ret))
		return 0;
	if (!sfd_varlink_handles_close(&s->shared->handles, handle->valuedouble))
		return sfd_varlink_fail_number(ret, SFD_IFACE_REPOSITORY ".InvalidHandle", "handle",
			handle->valuedouble, err);
	s->repository = splitfd_repository_close(s->repository);
	return 0;
}

/* What InitRepository and EnsureRepository are given, checked in cfsctl's order. */
struct init_words {
	struct splitfd_init_options options;
	bool existed; /* there is a meta.json */
};

/* 1; 0 where the result says why not. */
static int init_words(struct sfd_varlink_session *s, const struct sfd_varlink_call *call,
	struct init_words *w, struct sfd_varlink_result *ret, struct splitfd_error *err)
{
	const cJSON *path, *algorithm, *insecure;
	const struct sfd_varlink_param params[] = {
		{ "path", SFD_VARLINK_STRING, false, &path },
		{ "algorithm", SFD_VARLINK_STRING, true, &algorithm },
		{ "insecure", SFD_VARLINK_BOOL, true, &insecure },
		{ NULL },
	};
	sfd_cleanup_free char *meta = NULL;

	*w = (struct init_words){ .options.algorithm = SPLITFD_SHA512 };
	if (!sfd_varlink_params(call->parameters, params, ret))
		return 0;
	if (algorithm != NULL &&
		!sfd_algorithm_parse(algorithm->valuestring, &w->options.algorithm))
		return sfd_varlink_fail(ret, SFD_IFACE_REPOSITORY ".InvalidSpec", "message",
			"algorithm is fsverity-sha512-12 or fsverity-sha256-12", err);
	if (!sfd_varlink_is_served(s->settings->repository, path->valuestring))
		return not_served(s, path->valuestring, ret, err);
	meta = sfd_asprintf("%s/meta.json", s->settings->repository);
	if (meta == NULL)
		return splitfd_error_oom(err);
	w->existed = access(meta, F_OK) == 0;
	w->options.insecure = cJSON_IsTrue(insecure);
	return 1;
}

static int init_method(struct sfd_varlink_session *s, const struct sfd_varlink_call *call,
	struct sfd_varlink_result *ret, struct splitfd_error *err)
{
	struct init_words w;
	int r = init_words(s, call, &w, ret, err);

	if (r <= 0)
		return r;
	/* What is there may be insecure, as for cfsctl: nobody is told that it were not. */
	w.options.insecure = w.options.insecure || w.existed;
	r = splitfd_repository_init(s->settings->repository, &w.options, err);
	if (r < 0)
		return r;
	if (cJSON_AddBoolToObject(sfd_varlink_object(ret), "created", !w.existed) == NULL)
		return splitfd_error_oom(err);
	return 0;
}

/* 0 where the repository is there and has that algorithm. */
static int check_there(
	struct sfd_varlink_session *s, enum splitfd_algorithm algorithm, struct splitfd_error *err)
{
	struct sfd_lock_options lock =
		sfd_store_lock_options(&s->settings->store, s->settings->cancel_fd);
	struct splitfd_repository *repository = NULL;
	enum splitfd_algorithm has;
	int r = sfd_repository_open(s->settings->repository, false, &lock, &repository, err);

	if (r < 0)
		return r;
	has = splitfd_repository_algorithm(repository);
	splitfd_repository_close(repository);
	if (has == algorithm)
		return 0;
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EEXIST,
		"the repository '%s' has fsverity-%s-12, not fsverity-%s-12",
		s->settings->repository, sfd_algorithm_hash(has), sfd_algorithm_hash(algorithm));
}

static int ensure_method(struct sfd_varlink_session *s, const struct sfd_varlink_call *call,
	struct sfd_varlink_result *ret, struct splitfd_error *err)
{
	sfd_cleanup_free char *objects = sfd_asprintf("%s/objects", s->settings->repository);
	struct init_words w;
	int r = objects == NULL ? splitfd_error_oom(err) : init_words(s, call, &w, ret, err);

	if (r <= 0)
		return r;
	/* Objects without meta.json, which cfsctl upgrades, are not read here: the error says so.
	 */
	if (w.existed || access(objects, F_OK) == 0)
		r = check_there(s, w.options.algorithm, err);
	else
		r = splitfd_repository_init(s->settings->repository, &w.options, err);
	if (r < 0)
		return r;
	if (cJSON_AddStringToObject(
		    sfd_varlink_object(ret), "status", w.existed ? "Opened" : "Created") == NULL)
		return splitfd_error_oom(err);
	return 0;
}

static const struct sfd_varlink_row oci_rows[] = {
	{ "GetInfo", get_info },
	{ "ListImages", sfd_varlink_repo_list_images },
	{ "Inspect", sfd_varlink_repo_inspect },
	{ "HasLayer", sfd_varlink_repo_has_layer },
	{ "GetLayer", sfd_varlink_repo_get_layer },
	{ "PutLayer", sfd_varlink_repo_put_layer },
	{ "FinalizeImage", sfd_varlink_repo_finalize },
	{ "Tag", sfd_varlink_repo_tag },
	{ "Untag", sfd_varlink_repo_untag },
	{ "ComputeId", sfd_varlink_repo_compute_id },
	{ "Check", sfd_varlink_repo_check },
	{ "Pull", sfd_varlink_repo_pull },
	{ "OciMount", NULL },
	{ NULL },
};

const struct sfd_varlink_interface sfd_varlink_oci_of_repository = {
	.name = SFD_IFACE_OCI,
	.description = sfd_varlink_oci_description,
	.rows = oci_rows,
};

static const struct sfd_varlink_row repository_rows[] = {
	{ "InitRepository", init_method },
	{ "OpenRepository", open_method },
	{ "CloseRepository", close_method },
	{ "Fsck", sfd_varlink_repo_fsck },
	{ "ImageObjects", sfd_varlink_repo_image_objects },
	{ "ListImageRefs", sfd_varlink_repo_list_image_refs },
	{ "EnsureRepository", ensure_method },
	{ "Gc", NULL },
	{ "Mount", NULL },
	{ NULL },
};

const struct sfd_varlink_interface sfd_varlink_repository = {
	.name = SFD_IFACE_REPOSITORY,
	.description = sfd_varlink_repository_description,
	.rows = repository_rows,
};
