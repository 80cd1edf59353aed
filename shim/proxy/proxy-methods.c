/* SPDX-License-Identifier: Apache-2.0 */
/* The proxy's methods: arguments, and who answers, splitfd itself or the real skopeo. */
#include "shim/proxy/proxy-json.h"
#include "shim/proxy/proxy-session.h"
#include "splitfdstream/base/cleanup.h"
#include "transport/skopeo/policy.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

SFD_DEFINE_CLEANUP(cleanup_native, struct sfd_native, sfd_native_unref);
SFD_DEFINE_CLEANUP(cleanup_policy, struct sfd_policy, sfd_policy_free);

/* The largest whole number that every JSON reader keeps exact. */
#define NUMBER_MAX 9007199254740991.0

static int bad(struct splitfd_error *err, const char *text)
{
	return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL, "%s", text);
}

static int check_initialized(const struct sfd_proxy_session *s, struct splitfd_error *err)
{
	return s->initialized ? 0 : bad(err, "client error: must invoke Initialize");
}

static int arg_number(const cJSON *args, int i, uint64_t *ret, struct splitfd_error *err)
{
	const cJSON *item = cJSON_GetArrayItem(args, i);

	if (!cJSON_IsNumber(item))
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"expecting numeric, not %s", sfd_json_type(item));
	if (item->valuedouble > NUMBER_MAX)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, ERANGE,
			"out of range integer for numeric %f", item->valuedouble);
	if (item->valuedouble >= 0)
		*ret = (uint64_t)item->valuedouble;
	else if (item->valuedouble >= -NUMBER_MAX)
		*ret = (uint64_t)(int64_t)item->valuedouble;
	else
		*ret = UINT64_C(1) << 63;
	return 0;
}

int sfd_proxy_arg_image(struct sfd_proxy_session *s, const cJSON *args,
	struct sfd_proxy_image **ret, struct splitfd_error *err)
{
	uint64_t id = 0;
	size_t low = 0, high = s->n_images;
	int r = arg_number(args, 0, &id, err);

	if (r < 0)
		return r;
	if (id == 0)
		return bad(err, "invalid imageid value of zero");
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->images[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == s->n_images || s->images[low].id != id)
		return splitfd_error_set(
			err, SPLITFD_ERROR_NOT_FOUND, ENOENT, "no image %" PRIu64, id);
	*ret = &s->images[low];
	return 0;
}

/* What most methods begin with: `n` arguments, the first an image. */
static int begin(struct sfd_proxy_session *s, const cJSON *args, int n, const char *usage,
	struct sfd_proxy_image **ret, struct splitfd_error *err)
{
	int r = check_initialized(s, err);

	if (r < 0)
		return r;
	if (cJSON_GetArraySize(args) != n)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"found %d args, expecting %s", cJSON_GetArraySize(args), usage);
	return sfd_proxy_arg_image(s, args, ret, err);
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
	if (sfd_buffer_append_str(&answer->value, "\"" SFD_PROXY_PROTOCOL "\"") < 0)
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

/* What we do not read, such as stores of other drivers, skopeo may. */
static bool skopeo_may_know(enum splitfd_error_kind kind)
{
	return kind == SPLITFD_ERROR_FAILED;
}

static int open_native(struct sfd_proxy_session *s, const char *reference, bool optional,
	struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_native) struct sfd_native *native = NULL;
	struct splitfd_error ours = { 0 };
	int r = sfd_native_open(reference, &native, &ours);

	if (r < 0 && skopeo_may_know(ours.kind) &&
		add_foreign(s, reference, optional, answer, err) == 0)
		return 0;
	if (r < 0 && optional && ours.kind == SPLITFD_ERROR_NOT_FOUND)
		return answer_id(answer, 0, err);
	if (r < 0) {
		*err = ours;
		return r;
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
	int r = check_initialized(s, err);

	if (r < 0)
		return r;
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

static int close_image(struct sfd_proxy_session *s, const cJSON *args,
	struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	struct sfd_proxy_image *image = NULL;
	int r = begin(s, args, 1, "(imgid)", &image, err);

	if (r == 0 && image->native == NULL)
		r = sfd_forward_image(s, image, "CloseImage", args, answer, err);
	if (r == 0 && !answer->failed)
		sfd_proxy_remove_image(s, image);
	return r;
}

static int get_manifest(struct sfd_proxy_session *s, const cJSON *args,
	struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	sfd_cleanup_buffer struct sfd_buffer b = { .max = SFD_PROXY_DOCUMENT_MAX };
	struct sfd_proxy_image *image = NULL;
	int r = begin(s, args, 1, "(imgid)", &image, err);

	if (r < 0)
		return r;
	if (image->native == NULL)
		return sfd_forward_image(s, image, "GetManifest", args, answer, err);
	r = sfd_native_manifest(image->native, &b, err);
	if (r == 0)
		r = sfd_proxy_answer_bytes(s, b.data, b.len, answer, err);
	if (r == 0 && sfd_json_string(&answer->value, sfd_native_digest(image->native)) < 0)
		r = splitfd_error_oom(err);
	return r;
}

static int get_config_any(struct sfd_proxy_session *s, const cJSON *args, bool inner,
	struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	sfd_cleanup_buffer struct sfd_buffer b = { .max = SFD_PROXY_DOCUMENT_MAX };
	struct sfd_proxy_image *image = NULL;
	int r = begin(s, args, 1, "(imgid)", &image, err);

	if (r < 0)
		return r;
	if (image->native == NULL)
		return sfd_forward_image(
			s, image, inner ? "GetConfig" : "GetFullConfig", args, answer, err);
	r = sfd_native_config(image->native, inner, &b, err);
	return r == 0 ? sfd_proxy_answer_bytes(s, b.data, b.len, answer, err) : r;
}

static int get_config(struct sfd_proxy_session *s, const cJSON *args,
	struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	return get_config_any(s, args, true, answer, err);
}

static int get_full_config(struct sfd_proxy_session *s, const cJSON *args,
	struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	return get_config_any(s, args, false, answer, err);
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

static int get_blob(struct sfd_proxy_session *s, const cJSON *args, struct sfd_proxy_answer *answer,
	struct splitfd_error *err)
{
	const cJSON *digest = cJSON_GetArrayItem(args, 1);
	struct sfd_proxy_image *image = NULL;
	struct sfd_pipe_work work;
	uint64_t wanted = 0, size = 0;
	int r = begin(s, args, 3, "(imgid, digest, size)", &image, err);

	if (r == 0 && !cJSON_IsString(digest))
		r = bad(err, "expecting string blobid");
	if (r == 0)
		r = arg_number(args, 2, &wanted, err);
	if (r == 0)
		r = check_digest(digest->valuestring, err);
	if (r < 0)
		return r;
	if (image->native == NULL)
		return sfd_forward_image(s, image, "GetBlob", args, answer, err);
	r = sfd_native_blob(image->native, digest->valuestring, &wanted, &work, &size, err);
	if (r == 0)
		r = sfd_pipes_start(s->pipes, &work, &answer->fds[0], &answer->pipeid, err);
	if (r < 0)
		return r;
	answer->n_fds = 1;
	r = sfd_buffer_printf(&answer->value, "%" PRId64, (int64_t)size);
	return r < 0 ? splitfd_error_oom(err) : 0;
}

static int get_raw_blob(struct sfd_proxy_session *s, const cJSON *args,
	struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	const cJSON *digest = cJSON_GetArrayItem(args, 1);
	struct sfd_proxy_image *image = NULL;
	struct sfd_pipe_work work;
	uint64_t size;
	int r = begin(s, args, 2, "(imgid, digest)", &image, err);

	if (r == 0 && !cJSON_IsString(digest))
		r = bad(err, "expecting string blobid");
	if (r == 0)
		r = check_digest(digest->valuestring, err);
	if (r < 0)
		return r;
	if (image->native == NULL)
		return sfd_forward_image(s, image, "GetRawBlob", args, answer, err);
	r = sfd_native_blob(image->native, digest->valuestring, NULL, &work, &size, err);
	if (r == 0)
		r = sfd_pipes_start_raw(s->pipes, &work, answer->fds, err);
	if (r < 0)
		return r;
	answer->n_fds = 2;
	r = sfd_buffer_printf(&answer->value, "%" PRId64, (int64_t)size);
	return r < 0 ? splitfd_error_oom(err) : 0;
}

static int get_layer_info(struct sfd_proxy_session *s, const cJSON *args,
	struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	struct sfd_proxy_image *image = NULL;
	int r = begin(s, args, 1, "(imgid)", &image, err);

	if (r < 0)
		return r;
	if (image->native == NULL)
		return sfd_forward_image(s, image, "GetLayerInfo", args, answer, err);
	return sfd_native_layer_info(image->native, &answer->value, err);
}

static int get_layer_info_piped(struct sfd_proxy_session *s, const cJSON *args,
	struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	sfd_cleanup_buffer struct sfd_buffer b = { .max = SFD_PROXY_DOCUMENT_MAX };
	struct sfd_proxy_image *image = NULL;
	int r = begin(s, args, 1, "(imgid)", &image, err);

	if (r < 0)
		return r;
	if (image->native == NULL)
		return sfd_forward_image(s, image, "GetLayerInfoPiped", args, answer, err);
	r = sfd_native_layer_info(image->native, &b, err);
	return r == 0 ? sfd_proxy_answer_bytes(s, b.data, b.len, answer, err) : r;
}

static int get_layer_splitfd(struct sfd_proxy_session *s, const cJSON *args,
	struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	int n = cJSON_GetArraySize(args), r = check_initialized(s, err);

	if (r == 0 && n != 2 && n != 3)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"found %d args, expecting (imgid, digest, {options})", n);
	return r == 0 ? sfd_proxy_get_layer_splitfd(s, args, answer, err) : r;
}

static int open_varlink_socket(struct sfd_proxy_session *s, const cJSON *args,
	struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	int r = check_initialized(s, err);

	return r == 0 ? sfd_proxy_open_varlink_socket(s, args, answer, err) : r;
}

static int finish_pipe(struct sfd_proxy_session *s, const cJSON *args,
	struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	struct sfd_foreign_pipe foreign;
	uint64_t id = 0;
	int r;

	if (cJSON_GetArraySize(args) < 1)
		return bad(err, "invalid request, expecting one argument");
	r = arg_number(args, 0, &id, err);
	if (r < 0)
		return r;
	if (sfd_pipes_take_foreign(s->pipes, (uint32_t)id, &foreign) > 0)
		return sfd_forward_finish(s, &foreign, answer, err);
	return sfd_pipes_finish(s->pipes, (uint32_t)id, err);
}

sfd_proxy_method *sfd_proxy_find_method(const char *name)
{
	static const struct {
		const char *name;
		sfd_proxy_method *run;
	} methods[] = {
		{ "Initialize", initialize },
		{ "OpenImage", open_image },
		{ "OpenImageOptional", open_image_optional },
		{ "CloseImage", close_image },
		{ "GetManifest", get_manifest },
		{ "GetConfig", get_config },
		{ "GetFullConfig", get_full_config },
		{ "GetBlob", get_blob },
		{ "GetRawBlob", get_raw_blob },
		{ "GetLayerInfo", get_layer_info },
		{ "GetLayerInfoPiped", get_layer_info_piped },
		{ "FinishPipe", finish_pipe },
		{ "GetLayerSplitfd", get_layer_splitfd },
		{ "OpenVarlinkSocket", open_varlink_socket },
	};

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (strcmp(methods[i].name, name) == 0)
			return methods[i].run;
	}
	return NULL;
}
