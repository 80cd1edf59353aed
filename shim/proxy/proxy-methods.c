/* SPDX-License-Identifier: Apache-2.0 */
/* The proxy's methods: arguments, and who answers, splitfd itself or the real skopeo. */
#include "shim/proxy/proxy-methods.h"
#include "splitfdstream/base/shortage.h"
#include "transport/json/go-json.h"
#include "splitfdstream/base/cleanup.h"
#include "transport/skopeo/policy.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

SFD_DEFINE_CLEANUP(cleanup_native, struct sfd_native, sfd_native_unref);
SFD_DEFINE_CLEANUP(cleanup_policy, struct sfd_policy, sfd_policy_free);

static int bad(struct splitfd_error *err, const char *text)
{
	return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL, "%s", text);
}

static int initialize(struct sfd_proxy_session *s, const cJSON *args,
	struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	if (cJSON_GetArraySize(args) != 0)
		return bad(err, "invalid request, expecting zero arguments");
	if (s->initialized)
		return bad(err, "already initialized");
	if (s->settings->conflict != NULL)
		return bad(err, s->settings->conflict);
	s->initialized = true;
	if (sfd_buffer_printf(&answer->value, "\"%s\"", s->settings->announce) < 0)
		return splitfd_error_oom(err);
	return 0;
}

static int answer_id(struct sfd_proxy_answer *answer, uint64_t id, struct splitfd_error *err)
{
	return sfd_buffer_printf(&answer->value, "%" PRIu64, id) < 0 ? splitfd_error_oom(err) : 0;
}

/* Ten thousand handles of one image share its documents. */
static struct sfd_native *share(struct sfd_proxy_session *s, struct sfd_native *native)
{
	for (size_t i = 0; i < s->n_images; i++) {
		struct sfd_native *other = s->images[i].native;

		if (other != NULL && sfd_native_same(other, native)) {
			sfd_native_unref(native);
			return sfd_native_ref(other);
		}
	}
	return native;
}

static int add_native(struct sfd_proxy_session *s, struct sfd_native **native,
	struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	struct sfd_native *shared = share(s, sfd_take_ptr(native));
	struct sfd_proxy_image *image = NULL;
	int r = sfd_proxy_add_image(s, &image, err);

	if (r < 0) {
		sfd_native_unref(shared);
		return r;
	}
	image->native = shared;
	return answer_id(answer, image->id, err);
}

static int add_foreign(struct sfd_proxy_session *s, const char *reference, bool optional,
	struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	struct sfd_proxy_image *image = NULL;
	uint64_t id;
	int r = sfd_forward_open(s, reference, optional, &id, answer, err);

	if (r < 0 || answer->failed)
		return r;
	if (id == 0)
		return answer_id(answer, 0, err);
	r = sfd_proxy_add_image(s, &image, err);
	if (r < 0)
		return r;
	image->foreign_id = id;
	image->generation = s->generation;
	return answer_id(answer, image->id, err);
}

static int apply_policy(struct sfd_proxy_session *s, const char *reference,
	const struct sfd_native *native, struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_policy) struct sfd_policy *policy = NULL;
	int r;

	if (s->settings->insecure_policy)
		return 0;
	r = sfd_policy_load(s->settings->policy, &policy, err);
	if (r < 0)
		return r;
	switch (sfd_policy_verdict(policy, "containers-storage", sfd_native_scopes(native))) {
	case SFD_POLICY_ACCEPT:
		return 0;
	case SFD_POLICY_REJECT:
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EACCES,
			"Running image containers-storage:%s is rejected by policy.",
			sfd_native_scopes(native)[0]);
	default:
		return sfd_forward_check(s, reference, native, answer, err);
	}
}

/* What we do not read, such as stores of other drivers, skopeo may; it takes lists apart, and goes
 * into a user namespace of its own. What the system refuses to root or cannot do is refused to
 * skopeo, too: its reason would be a later one. It would wait for a lock without a deadline. */
static bool skopeo_may_know(const struct splitfd_error *ours)
{
	switch (ours->errnum) {
	case EOPNOTSUPP:
	case EISDIR:
		return true;
	case EACCES:
	case EPERM:
		return ours->kind == SPLITFD_ERROR_FAILED && geteuid() != 0;
	case EIO:
	case EINTR:
	case ENOSPC:
	case EDQUOT:
	case EROFS:
	case EUCLEAN:
	case ECANCELED:
	case ETIMEDOUT:
		return false;
	default:
		return ours->kind == SPLITFD_ERROR_FAILED && !sfd_is_shortage(-ours->errnum);
	}
}

static int open_native(struct sfd_proxy_session *s, const char *reference, bool optional,
	struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_native) struct sfd_native *native = NULL;
	struct splitfd_error ours = { 0 };
	int r = sfd_native_open(reference, s->settings->lock_timeout, &native, &ours);

	if (r < 0 && skopeo_may_know(&ours) &&
		add_foreign(s, reference, optional, answer, err) == 0)
		return 0;
	if (r < 0 && optional && ours.kind == SPLITFD_ERROR_NOT_FOUND)
		return answer_id(answer, 0, err);
	if (r < 0) {
		return splitfd_error_copy(err, r, &ours);
	}
	r = apply_policy(s, reference, native, answer, err);
	if (r < 0 || answer->failed)
		return r;
	return add_native(s, &native, answer, err);
}

/* The rule by which container tools cut a name: before the first colon is the transport. */
static int check_transport(const char *reference, struct splitfd_error *err)
{
	if (strchr(reference, ':') == NULL)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"Invalid image name \"%s\", expected colon-separated transport:reference",
			reference);
	return 0;
}

static int open_image_any(struct sfd_proxy_session *s, const cJSON *args, bool optional,
	struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	const cJSON *reference = cJSON_GetArrayItem(args, 0);
	int r;

	if (cJSON_GetArraySize(args) != 1)
		return bad(err, "invalid request, expecting one argument");
	if (!cJSON_IsString(reference))
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"expecting string imageref, not %s", sfd_json_type(reference));
	r = check_transport(reference->valuestring, err);
	if (r < 0)
		return r;
	if (sfd_native_is_ours(reference->valuestring))
		return open_native(s, reference->valuestring, optional, answer, err);
	return add_foreign(s, reference->valuestring, optional, answer, err);
}

static int open_image(struct sfd_proxy_session *s, const cJSON *args,
	struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	return open_image_any(s, args, false, answer, err);
}

static int open_image_optional(struct sfd_proxy_session *s, const cJSON *args,
	struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	return open_image_any(s, args, true, answer, err);
}

static int close_native(struct sfd_proxy_session *s, struct sfd_proxy_image *image,
	const cJSON *args, struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	(void)s, (void)image, (void)args, (void)answer, (void)err;
	return 0;
}

static int get_manifest(struct sfd_proxy_session *s, struct sfd_proxy_image *image,
	const cJSON *args, struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	sfd_cleanup_buffer struct sfd_buffer b = { .max = SFD_PROXY_DOCUMENT_MAX };
	int r = sfd_native_manifest(image->native, &b, err);

	(void)args;
	if (r == 0)
		r = sfd_proxy_answer_bytes(s, b.data, b.len, answer, err);
	if (r == 0 && sfd_json_string(&answer->value, sfd_native_digest(image->native)) < 0)
		r = splitfd_error_oom(err);
	return r;
}

static int answer_config(struct sfd_proxy_session *s, struct sfd_proxy_image *image, bool inner,
	struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	sfd_cleanup_buffer struct sfd_buffer b = { .max = SFD_PROXY_DOCUMENT_MAX };
	int r = sfd_native_config(image->native, inner, &b, err);

	return r == 0 ? sfd_proxy_answer_bytes(s, b.data, b.len, answer, err) : r;
}

static int get_config(struct sfd_proxy_session *s, struct sfd_proxy_image *image, const cJSON *args,
	struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	(void)args;
	return answer_config(s, image, true, answer, err);
}

static int get_full_config(struct sfd_proxy_session *s, struct sfd_proxy_image *image,
	const cJSON *args, struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	(void)args;
	return answer_config(s, image, false, answer, err);
}

/* ALGORITHM:HEX as container tools check it. */
static int check_digest(const char *digest, struct splitfd_error *err)
{
	static const struct {
		const char *name;
		size_t digits;
	} known[] = { { "sha256", 64 }, { "sha384", 96 }, { "sha512", 128 } };
	const char *colon = strchr(digest, ':');

	if (colon == NULL || colon == digest || colon[1] == '\0')
		return bad(err, "invalid checksum digest format");
	for (size_t i = 0; i < 3; i++) {
		if (strncmp(digest, known[i].name, (size_t)(colon - digest)) != 0 ||
			known[i].name[colon - digest] != '\0')
			continue;
		if (strlen(colon + 1) != known[i].digits)
			return bad(err, "invalid checksum digest length");
		if (strspn(colon + 1, "0123456789abcdef") != known[i].digits)
			return bad(err, "invalid checksum digest format");
		return 0;
	}
	return bad(err, "unsupported digest algorithm");
}

static int check_raw_blob(const cJSON *args, struct splitfd_error *err)
{
	const cJSON *digest = cJSON_GetArrayItem(args, 1);

	if (!cJSON_IsString(digest))
		return bad(err, "expecting string blobid");
	return check_digest(digest->valuestring, err);
}

static int check_blob(const cJSON *args, struct splitfd_error *err)
{
	const cJSON *digest = cJSON_GetArrayItem(args, 1);
	uint64_t size;
	int r;

	if (!cJSON_IsString(digest))
		return bad(err, "expecting string blobid");
	r = sfd_proxy_arg_number(args, 2, &size, err);
	return r == 0 ? check_digest(digest->valuestring, err) : r;
}

static int answer_size(
	struct sfd_proxy_answer *answer, size_t n_fds, uint64_t size, struct splitfd_error *err)
{
	answer->n_fds = n_fds;
	if (sfd_buffer_printf(&answer->value, "%" PRId64, (int64_t)size) < 0)
		return splitfd_error_oom(err);
	return 0;
}

static int get_blob(struct sfd_proxy_session *s, struct sfd_proxy_image *image, const cJSON *args,
	struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	const char *digest = cJSON_GetArrayItem(args, 1)->valuestring;
	struct sfd_pipe_work work;
	uint64_t wanted = 0, size = 0;
	int r = sfd_proxy_arg_number(args, 2, &wanted, err);

	if (r == 0)
		r = sfd_native_blob(image->native, digest, &wanted, &work, &size, err);
	if (r == 0)
		r = sfd_pipes_start(s->pipes, &work, &answer->fds[0], &answer->pipeid, err);
	return r == 0 ? answer_size(answer, 1, size, err) : r;
}

static int get_raw_blob(struct sfd_proxy_session *s, struct sfd_proxy_image *image,
	const cJSON *args, struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	const char *digest = cJSON_GetArrayItem(args, 1)->valuestring;
	struct sfd_pipe_work work;
	uint64_t size = 0;
	int r = sfd_native_blob(image->native, digest, NULL, &work, &size, err);

	if (r == 0)
		r = sfd_pipes_start_raw(s->pipes, &work, answer->fds, err);
	return r == 0 ? answer_size(answer, 2, size, err) : r;
}

static int get_layer_info(struct sfd_proxy_session *s, struct sfd_proxy_image *image,
	const cJSON *args, struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	(void)s, (void)args;
	return sfd_native_layer_info(image->native, &answer->value, err);
}

static int get_layer_info_piped(struct sfd_proxy_session *s, struct sfd_proxy_image *image,
	const cJSON *args, struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	sfd_cleanup_buffer struct sfd_buffer b = { .max = SFD_PROXY_DOCUMENT_MAX };
	int r = sfd_native_layer_info(image->native, &b, err);

	(void)args;
	return r == 0 ? sfd_proxy_answer_bytes(s, b.data, b.len, answer, err) : r;
}

static int get_layer_splitfd(struct sfd_proxy_session *s, const cJSON *args,
	struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	int n = cJSON_GetArraySize(args);

	if (n != 2 && n != 3)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"found %d args, expecting (imgid, digest, {options})", n);
	return sfd_proxy_get_layer_splitfd(s, args, answer, err);
}

static int finish_pipe(struct sfd_proxy_session *s, const cJSON *args,
	struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	struct sfd_foreign_pipe foreign;
	uint64_t id = 0;
	int r;

	if (cJSON_GetArraySize(args) < 1)
		return bad(err, "invalid request, expecting one argument");
	r = sfd_proxy_arg_number(args, 0, &id, err);
	if (r < 0)
		return r;
	if (sfd_pipes_take_foreign(s->pipes, (uint32_t)id, &foreign) > 0)
		return sfd_forward_finish(s, &foreign, answer, err);
	return sfd_pipes_finish(s->pipes, (uint32_t)id, err);
}

/* A method of an opened image: its arguments, and what answers for an image of ours. Another image
 * is skopeo's, which gets the same method. */
struct image_method {
	int n_args; /* the first is the image */
	const char *usage;
	int (*check)(const cJSON *args, struct splitfd_error *err); /* the others; may be NULL */
	int (*native)(struct sfd_proxy_session *s, struct sfd_proxy_image *image, const cJSON *args,
		struct sfd_proxy_answer *answer, struct splitfd_error *err);
	bool closes;
};

struct method {
	const char *name;
	struct image_method image; /* where `run` is NULL */
	int (*run)(struct sfd_proxy_session *s, const cJSON *args, struct sfd_proxy_answer *answer,
		struct splitfd_error *err);
	bool any_time; /* also before Initialize */
};

static const struct method methods[] = {
	{ "Initialize", .run = initialize, .any_time = true },
	{ "OpenImage", .run = open_image },
	{ "OpenImageOptional", .run = open_image_optional },
	{ "CloseImage", { 1, "(imgid)", NULL, close_native, true } },
	{ "GetManifest", { 1, "(imgid)", NULL, get_manifest } },
	{ "GetConfig", { 1, "(imgid)", NULL, get_config } },
	{ "GetFullConfig", { 1, "(imgid)", NULL, get_full_config } },
	{ "GetBlob", { 3, "(imgid, digest, size)", check_blob, get_blob } },
	{ "GetRawBlob", { 2, "(imgid, digest)", check_raw_blob, get_raw_blob } },
	{ "GetLayerInfo", { 1, "(imgid)", NULL, get_layer_info } },
	{ "GetLayerInfoPiped", { 1, "(imgid)", NULL, get_layer_info_piped } },
	{ "FinishPipe", .run = finish_pipe, .any_time = true },
	{ "GetLayerSplitfd", .run = get_layer_splitfd },
	{ "OpenVarlinkSocket", .run = sfd_proxy_open_varlink_socket },
};

static int run_image_method(struct sfd_proxy_session *s, const struct method *method,
	const cJSON *args, struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	const struct image_method *m = &method->image;
	struct sfd_proxy_image *image = NULL;
	int r;

	if (cJSON_GetArraySize(args) != m->n_args)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"found %d args, expecting %s", cJSON_GetArraySize(args), m->usage);
	r = sfd_proxy_arg_image(s, args, &image, err);
	if (r == 0 && m->check != NULL)
		r = m->check(args, err);
	if (r < 0)
		return r;
	if (image->native != NULL)
		r = m->native(s, image, args, answer, err);
	else
		r = sfd_forward_image(s, image, method->name, args, answer, err);
	if (r == 0 && m->closes && !answer->failed)
		sfd_proxy_remove_image(s, image);
	return r;
}

int sfd_proxy_run_method(struct sfd_proxy_session *s, const char *name, const cJSON *args,
	struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	const struct method *m = NULL;

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]) && m == NULL; i++)
		if (strcmp(methods[i].name, name) == 0)
			m = &methods[i];
	if (m == NULL)
		return splitfd_error_set(
			err, SPLITFD_ERROR_USAGE, ENOSYS, "unknown method: %s", name);
	if (!m->any_time && !s->initialized)
		return bad(err, "client error: must invoke Initialize");
	return m->run != NULL ? m->run(s, args, answer, err)
			      : run_image_method(s, m, args, answer, err);
}
