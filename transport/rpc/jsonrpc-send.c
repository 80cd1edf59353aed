/* SPDX-License-Identifier: Apache-2.0 */
/* What goes out: any message, and the service's answers. */
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"
#include "transport/json/json-member.h"
#include "transport/rpc/jsonrpc-private.h"
#include "transport/rpc/socket-wait.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>

/* Of one write: a peer that takes nothing, and somebody who cancels, show between two of them. */
#define PIECE ((size_t)64 * 1024)

static int send_all(struct sfd_jsonrpc *c, const char *text, const int *fds, size_t n_fds,
	struct splitfd_error *err)
{
	size_t n = strlen(text);

	while (n > 0) {
		int timeout = c->options.timeout_ms > 0 ? c->options.timeout_ms : -1;
		size_t piece = n < PIECE ? n : PIECE;
		int r = sfd_socket_wait(
			c->socket, POLLOUT, sfd_deadline(timeout), c->options.cancel_fd, err);

		if (r == 0)
			r = splitfd_fds_send(c->socket, text, piece, fds, n_fds, timeout, err);
		if (r < 0)
			return r;
		text += piece;
		n -= piece;
		n_fds = 0;
	}
	return 0;
}

int sfd_jsonrpc_send(
	struct sfd_jsonrpc *c, struct cJSON *message, uint64_t n_fds, struct splitfd_error *err)
{
	sfd_cleanup_free char *text = NULL;

	if (c->to_go > 0)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, EBUSY,
			"the descriptors of the last message were not all sent");
	if (n_fds > 0 && cJSON_AddNumberToObject(message, "fds", (double)n_fds) == NULL)
		return splitfd_error_oom(err);
	text = cJSON_PrintUnformatted(message);
	if (text == NULL)
		return splitfd_error_oom(err);
	if (!sfd_utf8_valid(text, strlen(text)))
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, EILSEQ,
			"text that is not UTF-8 cannot be sent in JSON");
	if (n_fds == 0)
		return send_all(c, text, NULL, 0, err);
	c->out = sfd_take_ptr(&text);
	c->to_go = n_fds;
	return 0;
}

int sfd_jsonrpc_send_fds(struct sfd_jsonrpc *c, const int *fds, size_t n, struct splitfd_error *err)
{
	sfd_cleanup_free char *text = NULL;

	if (n > c->to_go)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, EOVERFLOW,
			"there are more descriptors than the message announced");
	if (n == 0)
		return 0;
	text = sfd_take_ptr(&c->out);
	c->to_go -= n;
	return send_all(c, text != NULL ? text : " ", fds, n, err);
}

/* The id, as it came: cJSON would print large numbers with 15 digits. */
static cJSON *same_id(const cJSON *id)
{
	char text[32];

	if (id == NULL || cJSON_IsNull(id))
		return cJSON_CreateNull();
	if (cJSON_IsString(id))
		return cJSON_CreateString(id->valuestring);
	(void)snprintf(text, sizeof(text), "%" PRId64, (int64_t)id->valuedouble);
	return cJSON_CreateRaw(text);
}

/* Takes `value`. */
static int answer(struct sfd_jsonrpc *c, const struct sfd_jsonrpc_message *request,
	const char *name, cJSON *value, uint64_t n_fds, struct splitfd_error *err)
{
	sfd_cleanup_json cJSON *owned = value, *id = NULL;
	sfd_cleanup_json cJSON *message = cJSON_CreateObject();

	if (cJSON_AddStringToObject(message, "jsonrpc", "2.0") == NULL ||
		!cJSON_AddItemToObject(message, name, owned))
		return splitfd_error_oom(err);
	(void)sfd_take_ptr(&owned);
	id = same_id(request != NULL ? request->id : NULL);
	if (!cJSON_AddItemToObject(message, "id", id))
		return splitfd_error_oom(err);
	(void)sfd_take_ptr(&id);
	return sfd_jsonrpc_send(c, message, n_fds, err);
}

int sfd_jsonrpc_answer(struct sfd_jsonrpc *c, const struct sfd_jsonrpc_message *request,
	struct cJSON *result, uint64_t n_fds, struct splitfd_error *err)
{
	return answer(c, request, "result", result, n_fds, err);
}

static const char *kind_name(enum splitfd_error_kind kind)
{
	if (kind == SPLITFD_ERROR_NOT_FOUND)
		return "not-found";
	return kind == SPLITFD_ERROR_REFUSED ? "refused" : NULL;
}

int sfd_jsonrpc_answer_error(struct sfd_jsonrpc *c, const struct sfd_jsonrpc_message *request,
	int code, const struct splitfd_error *error, struct splitfd_error *err)
{
	sfd_cleanup_json cJSON *o = cJSON_CreateObject();
	const char *kind = kind_name(error->kind);

	if (cJSON_AddNumberToObject(o, "code", code) == NULL ||
		cJSON_AddStringToObject(o, "message", error->text) == NULL)
		return splitfd_error_oom(err);
	if (kind != NULL &&
		cJSON_AddStringToObject(cJSON_AddObjectToObject(o, "data"), "kind", kind) == NULL)
		return splitfd_error_oom(err);
	return answer(c, request, "error", sfd_take_ptr(&o), 0, err);
}
