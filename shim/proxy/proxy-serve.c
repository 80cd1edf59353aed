/* SPDX-License-Identifier: Apache-2.0 */
/* The loop of a client of the image proxy: requests and answers as packets. */
#include "shim/proxy/proxy-serve.h"
#include "transport/json/go-json.h"
#include "shim/proxy/proxy-methods.h"
#include "shim/varlink/varlink-socket.h"
#include "splitfdstream/base/cleanup.h"
#include "transport/rpc/seqpacket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void answer_done(struct sfd_proxy_answer *answer)
{
	for (size_t i = 0; i < answer->n_fds; i++)
		sfd_close(answer->fds[i]);
	sfd_buffer_done(&answer->value);
	free(answer->error);
}

static int write_answer(struct sfd_buffer *b, const struct sfd_proxy_answer *answer, int result,
	const struct splitfd_error *err)
{
	bool failed = result < 0 || answer->failed;
	const char *error = result < 0 ? err->text : failed ? answer->error : "";
	const char *code = result < 0 ? sfd_proxy_error_code(err) : failed ? answer->code : "";
	int r;

	r = sfd_buffer_printf(b, "{\"success\":%s,\"value\":", failed ? "false" : "true");
	if (r == 0 && !failed && answer->value.len > 0)
		r = sfd_buffer_append(b, answer->value.data, answer->value.len);
	else if (r == 0)
		r = sfd_buffer_append_str(b, "null");
	if (r == 0)
		r = sfd_buffer_printf(b, ",\"pipeid\":%u,\"error_code\":\"%s\",\"error\":",
			failed ? 0 : answer->pipeid, code);
	if (r == 0)
		r = sfd_json_string(b, error);
	return r == 0 ? sfd_buffer_append_str(b, "}") : r;
}

/* A pipe that the client will not hear of. */
static void drop_pipe(struct sfd_proxy_session *s, struct sfd_proxy_answer *answer)
{
	for (size_t i = 0; i < answer->n_fds; i++)
		sfd_close(answer->fds[i]);
	answer->n_fds = 0;
	if (answer->pipeid != 0)
		(void)sfd_pipes_finish(s->pipes, answer->pipeid, NULL);
	answer->pipeid = 0;
}

static int send_answer(struct sfd_proxy_session *s, struct sfd_proxy_answer *answer, int result,
	struct splitfd_error *err)
{
	sfd_cleanup_buffer struct sfd_buffer b = { .max = SFD_PROXY_REPLY_MAX };
	struct splitfd_error too_long = { 0 };
	int r = write_answer(&b, answer, result, err);

	if (r < 0)
		drop_pipe(s, answer);
	if (r == -ENOMEM)
		return splitfd_error_oom(err);
	if (r < 0) {
		b.len = 0;
		result = splitfd_error_set(&too_long, SPLITFD_ERROR_FAILED, EMSGSIZE,
			"the reply does not fit into %zu bytes; see GetLayerInfoPiped",
			SFD_PROXY_REPLY_MAX);
		if (write_answer(&b, answer, result, &too_long) < 0)
			return splitfd_error_oom(err);
	}
	return sfd_seqpacket_send(s->settings->socket, b.data, b.len, answer->fds,
		result < 0 || answer->failed ? 0 : answer->n_fds, s->settings->stall_ms, err);
}

static int invalid(struct splitfd_error *err, const char *why)
{
	return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL, "invalid request: %s", why);
}

static int run_method(struct sfd_proxy_session *s, const cJSON *json,
	struct sfd_proxy_answer *answer, bool *ret_end, struct splitfd_error *err)
{
	const cJSON *method = sfd_json_member(json, "method");
	const cJSON *args = sfd_json_member(json, "args");
	const char *name = method != NULL ? method->valuestring : "";

	if (json == NULL)
		return invalid(err, "one JSON object is expected");
	if (method != NULL && !cJSON_IsString(method))
		return invalid(err, "\"method\" must be a string");
	if (args != NULL && !cJSON_IsArray(args))
		return invalid(err, "\"args\" must be an array");
	*ret_end = strcmp(name, "Shutdown") == 0;
	if (*ret_end)
		return 0;
	return sfd_proxy_run_method(s, name, args, answer, err);
}

/* One request and its answer. 0: go on; 1: the end that the client wanted; -errno. */
static int serve_packet(
	struct sfd_proxy_session *s, struct sfd_packet *packet, struct splitfd_error *err)
{
	struct sfd_proxy_answer answer = { .value = { .max = SFD_PROXY_REPLY_MAX } };
	struct splitfd_error failure = { 0 };
	bool end = false;
	cJSON *json;
	int result, r;

	s->received_fd = packet->n_fds > 0 ? sfd_take_fd(&packet->fds[0]) : -EBADF;
	r = sfd_json_parse(packet->data, packet->len, &json);
	if (r == -ENOMEM)
		result = splitfd_error_oom(&failure);
	else if (packet->cut)
		result = invalid(&failure, "it is too long, or too many descriptors came with it");
	else
		result = run_method(s, json, &answer, &end, &failure);
	cJSON_Delete(json);
	s->received_fd = sfd_close(s->received_fd);
	r = end ? 1 : send_answer(s, &answer, result, &failure);
	/* A client that cannot be told everything is not left with half a conversation. */
	if (r == 0 && result == -ENOMEM)
		r = result;
	if (r < 0 && failure.errnum != 0)
		(void)splitfd_error_copy(err, r, &failure);
	answer_done(&answer);
	return r;
}

static int loop(struct sfd_proxy_session *s, char *buffer, struct splitfd_error *err)
{
	struct sfd_packet packet = { .data = buffer, .size = SFD_PROXY_REQUEST_MAX + 1 };
	int r;

	for (;;) {
		r = sfd_forward_wait_request(s, err);
		if (r == 0)
			r = sfd_seqpacket_receive(s->settings->socket, &packet, -1, err);
		if (r <= 0)
			return r;
		sfd_pipes_reap(s->pipes);
		r = serve_packet(s, &packet, err);
		sfd_packet_close_fds(&packet);
		if (r > 0 || r == -EPIPE) /* the client may leave at any time */
			return 0;
		if (r < 0)
			return r;
	}
}

int sfd_proxy_serve(const struct sfd_proxy_settings *settings, struct splitfd_error *err)
{
	struct sfd_proxy_session s = { .settings = settings, .received_fd = -EBADF };
	sfd_cleanup_free char *buffer = malloc(SFD_PROXY_REQUEST_MAX + 1);
	int r;

	if (buffer == NULL)
		return splitfd_error_oom(err);
	r = sfd_pipes_new(settings->stall_ms, settings->cancel_fd, &s.pipes, err);
	if (r == 0)
		r = loop(&s, buffer, err);
	if (s.skopeo != NULL)
		sfd_proxy_hang_up(s.skopeo); /* workers may wait for it */
	sfd_pipes_free(s.pipes);
	sfd_varlink_sockets_free(s.varlink);
	sfd_proxy_stop(s.skopeo);
	sfd_proxy_drop_images(&s);
	return r;
}
