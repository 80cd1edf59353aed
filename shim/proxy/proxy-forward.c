/* SPDX-License-Identifier: Apache-2.0 */
/* What the real skopeo does for a client: requests, replies, and its verdict by the policy. */
#include "transport/json/go-json.h"
#include "shim/proxy/proxy-session.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "transport/skopeo/policy-old-skopeo.h"
#include "transport/skopeo/proxy-fetch.h"
#include "transport/skopeo/real-skopeo.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>

#define MANIFEST_MAX ((size_t)4 * 1024 * 1024)
/* How often a skopeo is looked at of which a client has pipes. */
#define LOOK_MS 500

/* Skopeo before 1.21 does not know the flag, which is no more than a word to registries. The other
 * arguments, malloc'd; NULL where it is not among them. */
static const char **without_user_agent(const char *const *arguments)
{
	static const char flag[] = "--user-agent-prefix=";
	const char **others;
	size_t n = 0, kept = 0;

	while (arguments != NULL && arguments[n] != NULL)
		n++;
	others = calloc(n + 1, sizeof(*others));
	for (size_t i = 0; others != NULL && i < n; i++) {
		if (strncmp(arguments[i], flag, sizeof(flag) - 1) != 0)
			others[kept++] = arguments[i];
	}
	if (kept == n) {
		free(others);
		return NULL;
	}
	return others;
}

static int start_skopeo(struct sfd_proxy_session *s, const char *program, struct splitfd_error *err)
{
	struct sfd_proxy_options options = { .program = program,
		.arguments = s->settings->arguments,
		.stall_ms = s->settings->stall_ms,
		.cancel_fd = s->settings->cancel_fd };
	sfd_cleanup_free const char **others = NULL;
	int r = sfd_proxy_start(&options, &s->skopeo, err);

	if (r != -ECONNRESET)
		return r;
	others = without_user_agent(options.arguments);
	if (others == NULL)
		return r;
	fprintf(stderr, "splitfd: %s may not know --user-agent-prefix, and is tried without\n",
		program);
	options.arguments = others;
	return sfd_proxy_start(&options, &s->skopeo, err);
}

/* The real skopeo, started when first needed; a new one where it went away. */
static int need_skopeo(struct sfd_proxy_session *s, struct splitfd_error *err)
{
	sfd_cleanup_free char *program = NULL;
	int r;

	if (s->skopeo != NULL && sfd_proxy_look_alive(s->skopeo, 0, NULL) == 0)
		return 0;
	s->skopeo = sfd_proxy_stop(s->skopeo);
	r = sfd_find_skopeo(s->settings->skopeo, &program, err);
	if (r < 0)
		return r;
	r = start_skopeo(s, program, err);
	if (r == 0)
		s->generation++;
	return r;
}

static int print_value(const cJSON *value, struct sfd_buffer *b, struct splitfd_error *err)
{
	char *text = value != NULL ? cJSON_PrintUnformatted(value) : NULL;
	int r;

	if (value == NULL)
		return 0;
	r = text == NULL ? -ENOMEM : sfd_buffer_append_str(b, text);
	cJSON_free(text);
	return r < 0 ? splitfd_error_sys(err, -r, "skopeo's answer is too long") : 0;
}

static int take_failure(const struct sfd_proxy_reply *reply, struct sfd_proxy_answer *answer,
	struct splitfd_error *err)
{
	const char *code = reply->code;

	if (code[0] == '\0') /* an old skopeo tells no class */
		code = strstr(reply->error, "broken pipe") != NULL ? "EPIPE" : "other";
	answer->error = strdup(reply->error);
	if (answer->error == NULL)
		return splitfd_error_oom(err);
	answer->failed = true;
	snprintf(answer->code, sizeof(answer->code), "%s", code);
	return 0;
}

/* The reply as the client's, its pipe under a number of ours. */
static int take_reply(struct sfd_proxy_session *s, struct sfd_proxy_reply *reply,
	struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	int r;

	if (!reply->success)
		return take_failure(reply, answer, err);
	r = print_value(reply->value, &answer->value, err);
	if (r == 0 && reply->pipeid != 0)
		r = sfd_pipes_adopt(s->pipes,
			&(struct sfd_foreign_pipe){ reply->pipeid, s->generation }, &answer->pipeid,
			err);
	for (size_t i = 0; r == 0 && i < reply->n_fds; i++)
		answer->fds[answer->n_fds++] = sfd_take_fd(&reply->fds[i]);
	return r;
}

static int call(struct sfd_proxy_session *s, const char *method, const char *args,
	struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	struct sfd_proxy_reply reply;
	int r = sfd_proxy_call(s->skopeo, method, args, s->settings->socket, &reply, err);

	if (r < 0)
		return r;
	r = take_reply(s, &reply, answer, err);
	sfd_proxy_reply_done(&reply);
	return r;
}

/* The texts by which skopeo before 0.2.4 says that there is no such image. */
static bool says_not_found(const char *error)
{
	static const char *const texts[] = { "manifest unknown",
		"no descriptor found for reference", "does not resolve to an image ID",
		"identifier is not an image" };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (strstr(error, texts[i]) != NULL)
			return true;
	}
	return false;
}

static void close_foreign(struct sfd_proxy_session *s, uint64_t id)
{
	struct sfd_proxy_reply reply;
	char args[32];

	snprintf(args, sizeof(args), "[%" PRIu64 "]", id);
	if (sfd_proxy_call(s->skopeo, "CloseImage", args, -1, &reply, NULL) == 0)
		sfd_proxy_reply_done(&reply);
}

int sfd_forward_open(struct sfd_proxy_session *s, const char *reference, bool optional,
	uint64_t *ret_foreign_id, struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	sfd_cleanup_buffer struct sfd_buffer args = { .max = SFD_PROXY_REQUEST_MAX };
	struct sfd_proxy_reply reply;
	bool native;
	int r = need_skopeo(s, err);

	if (r < 0)
		return r;
	native = sfd_proxy_version(s->skopeo) >= 204;
	if (sfd_buffer_append_str(&args, "[") < 0 || sfd_json_string(&args, reference) < 0 ||
		sfd_buffer_append(&args, "]", 2) < 0)
		return splitfd_error_set(
			err, SPLITFD_ERROR_USAGE, EMSGSIZE, "the reference is too long");
	r = sfd_proxy_call(s->skopeo, optional && native ? "OpenImageOptional" : "OpenImage",
		(const char *)args.data, s->settings->socket, &reply, err);
	if (r < 0)
		return r;
	*ret_foreign_id = 0;
	if (!reply.success && optional && !native && says_not_found(reply.error))
		r = 0;
	else if (!reply.success)
		r = take_failure(&reply, answer, err);
	else if (!cJSON_IsNumber(reply.value) || reply.value->valuedouble < 0)
		r = splitfd_error_set(err, SPLITFD_ERROR_PEER, EPROTO,
			"skopeo's reply to OpenImage has no number");
	else
		*ret_foreign_id = (uint64_t)reply.value->valuedouble;
	sfd_proxy_reply_done(&reply);
	if (r < 0 || *ret_foreign_id == 0)
		return r;
	/* As announced, which an old skopeo does not do. */
	r = sfd_policy_check_reference(s->skopeo, s->settings->arguments, reference, err);
	if (r < 0)
		close_foreign(s, *ret_foreign_id);
	return r;
}

static int check_alive(
	struct sfd_proxy_session *s, const struct sfd_proxy_image *image, struct splitfd_error *err)
{
	if (s->skopeo != NULL && !sfd_proxy_broken(s->skopeo) && image->generation == s->generation)
		return 0;
	return splitfd_error_set(err, SPLITFD_ERROR_PEER, ECONNRESET,
		"the skopeo that had opened image %" PRIu64 " is gone; open it again", image->id);
}

/* The client's arguments with the image's number there. */
static int foreign_args(const struct sfd_proxy_image *image, const cJSON *args,
	struct sfd_buffer *b, struct splitfd_error *err)
{
	int r = sfd_buffer_printf(b, "[%" PRIu64, image->foreign_id);

	for (int i = 1; r == 0 && i < cJSON_GetArraySize(args); i++) {
		char *text = cJSON_PrintUnformatted(cJSON_GetArrayItem(args, i));

		r = text == NULL ? -ENOMEM : sfd_buffer_printf(b, ",%s", text);
		cJSON_free(text);
	}
	if (r == 0)
		r = sfd_buffer_append(b, "]", 2);
	return r < 0 ? splitfd_error_sys(err, -r, "the request is too long") : 0;
}

int sfd_forward_image(struct sfd_proxy_session *s, struct sfd_proxy_image *image,
	const char *method, const cJSON *args, struct sfd_proxy_answer *answer,
	struct splitfd_error *err)
{
	sfd_cleanup_buffer struct sfd_buffer b = { .max = SFD_PROXY_REQUEST_MAX };
	unsigned int version;
	int r;

	if (strcmp(method, "CloseImage") == 0 && check_alive(s, image, NULL) < 0)
		return 0;
	r = check_alive(s, image, err);
	if (r < 0)
		return r;
	version = sfd_proxy_version(s->skopeo);
	if (strcmp(method, "GetLayerInfo") == 0 && version < 205)
		return sfd_supply_layer_info(s, image, false, answer, err);
	if (strcmp(method, "GetLayerInfoPiped") == 0 && version < 207)
		return sfd_supply_layer_info(s, image, true, answer, err);
	if (strcmp(method, "GetRawBlob") == 0 && version < 208)
		return sfd_supply_raw_blob(
			s, image, cJSON_GetArrayItem(args, 1)->valuestring, answer, err);
	r = foreign_args(image, args, &b, err);
	if (r == 0)
		r = call(s, method, (const char *)b.data, answer, err);
	if (r == 0 && !answer->failed && strcmp(method, "GetRawBlob") == 0)
		r = sfd_supply_raw_errors(s, answer, err);
	return r;
}

int sfd_forward_finish(struct sfd_proxy_session *s, const struct sfd_foreign_pipe *pipe,
	struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	char args[32];

	if (s->skopeo == NULL || pipe->generation != s->generation)
		return splitfd_error_set(err, SPLITFD_ERROR_PEER, ECONNRESET,
			"the skopeo that had opened this pipe is gone");
	snprintf(args, sizeof(args), "[%u]", pipe->id);
	return call(s, "FinishPipe", args, answer, err);
}

/* Without this a client that only reads would wait for ever for a source that sends no more. */
int sfd_forward_wait_request(struct sfd_proxy_session *s, struct splitfd_error *err)
{
	struct sfd_proxy_watch watch = { 0 };
	int look_ms = s->settings->stall_ms < LOOK_MS ? s->settings->stall_ms : LOOK_MS;

	while (s->skopeo != NULL && sfd_pipes_any_foreign(s->pipes, s->generation)) {
		int r = sfd_wait_fd(s->settings->socket, POLLIN, look_ms);

		if (r < 0)
			return splitfd_error_sys(err, -r, "cannot wait for the client");
		if (r > 0 || sfd_proxy_look_moving(s->skopeo, &watch, NULL) < 0)
			break;
	}
	return 0;
}

/* What skopeo has opened, and whose signatures it has checked, must be the image that we serve. */
static int compare(struct sfd_proxy_session *s, uint64_t id, const struct sfd_native *native,
	struct splitfd_error *err)
{
	sfd_cleanup_free char *manifest = NULL, *digest = NULL;
	size_t size;
	char args[32];
	int r;

	snprintf(args, sizeof(args), "[%" PRIu64 "]", id);
	r = sfd_proxy_fetch(
		s->skopeo, "GetManifest", args, MANIFEST_MAX, &manifest, &size, &digest, err);
	if (r < 0)
		return r;
	close_foreign(s, id);
	if (digest == NULL || strcmp(digest, sfd_native_digest(native)) != 0)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EAGAIN,
			"the image changed while its signatures were checked; try again");
	return 0;
}

int sfd_forward_check(struct sfd_proxy_session *s, const char *reference,
	const struct sfd_native *native, struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	uint64_t id = 0;
	int r = need_skopeo(s, err);

	if (r < 0)
		return splitfd_error_wrap(
			err, r, "the policy requires signatures, which skopeo has to check");
	if (!sfd_proxy_applies_policy(s->skopeo))
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, ENOTSUP,
			"the policy requires signatures, but this skopeo's proxy does not check "
			"them; "
			"install skopeo 1.13 or later");
	r = sfd_forward_open(s, reference, false, &id, answer, err);
	if (r < 0 || answer->failed)
		return r;
	return compare(s, id, native, err);
}
