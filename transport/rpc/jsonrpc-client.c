/* SPDX-License-Identifier: Apache-2.0 */
/* The client's half of jsonrpc.h. */
#include "splitfdstream/base/cleanup.h"
#include "transport/json/json-member.h"
#include "transport/rpc/jsonrpc-private.h"
#include "transport/rpc/unix-connect.h"

#include <cjson/cJSON.h>
#include <string.h>

/* Notifications before an answer, which this client has no use for. */
#define NOTIFICATIONS_MAX 64

int sfd_jsonrpc_connect(const char *path, const struct sfd_jsonrpc_options *options,
	struct sfd_jsonrpc **ret, struct splitfd_error *err)
{
	static const struct sfd_jsonrpc_options none = { 0 };
	const struct sfd_jsonrpc_options *o = options != NULL ? options : &none;
	int socket = sfd_unix_connect(path, strlen(path), o->timeout_ms, o->cancel_fd, err);

	return socket < 0 ? socket : sfd_jsonrpc_new(socket, options, ret, err);
}

static int send_request(struct sfd_jsonrpc *c, const char *method, cJSON *params, int64_t id,
	struct splitfd_error *err)
{
	sfd_cleanup_json cJSON *owned = params;
	sfd_cleanup_json cJSON *request = cJSON_CreateObject();

	if (cJSON_AddStringToObject(request, "jsonrpc", "2.0") == NULL ||
		cJSON_AddStringToObject(request, "method", method) == NULL ||
		!cJSON_AddItemToObject(request, "params", owned))
		return splitfd_error_oom(err);
	(void)sfd_take_ptr(&owned);
	if (cJSON_AddNumberToObject(request, "id", (double)id) == NULL)
		return splitfd_error_oom(err);
	return sfd_jsonrpc_send(c, request, 0, err);
}

static enum splitfd_error_kind kind_of(const cJSON *error)
{
	const cJSON *data = cJSON_GetObjectItemCaseSensitive(error, "data");
	const char *kind = sfd_member_text(data, "kind");

	if (kind != NULL && strcmp(kind, "not-found") == 0)
		return SPLITFD_ERROR_NOT_FOUND;
	return kind != NULL && strcmp(kind, "refused") == 0 ? SPLITFD_ERROR_REFUSED
							    : SPLITFD_ERROR_FAILED;
}

static int service_error(const char *method, const cJSON *error, struct splitfd_error *err)
{
	const char *text = sfd_member_text(error, "message");
	const cJSON *code = cJSON_GetObjectItemCaseSensitive(error, "code");

	return splitfd_error_set(err, kind_of(error), EREMOTEIO, "%s: the service answers %.0f: %s",
		method, cJSON_IsNumber(code) ? code->valuedouble : 0.0,
		text != NULL ? text : "no reason given");
}

static int check_answer(const char *method, int64_t id, const struct sfd_jsonrpc_message *m,
	struct splitfd_error *err)
{
	bool error = m->error != NULL && !cJSON_IsNull(m->error);
	bool ours = cJSON_IsNumber(m->id) && m->id->valuedouble == (double)id;

	/* A service that did not understand the request does not know its id. */
	if (m->kind != SFD_JSONRPC_RESPONSE || (!ours && !(error && cJSON_IsNull(m->id))))
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"%s: what the service sends is not an answer to it", method);
	if (error)
		return service_error(method, m->error, err);
	if (m->result == NULL)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"%s: the answer has no result", method);
	return 0;
}

int sfd_jsonrpc_call(struct sfd_jsonrpc *c, const char *method, struct cJSON *params,
	struct sfd_jsonrpc_message *ret, struct splitfd_error *err)
{
	int64_t id = ++c->next_id;
	int r;

	*ret = (struct sfd_jsonrpc_message){ 0 };
	r = send_request(c, method, params, id, err);
	for (int i = 0; r == 0 && i < NOTIFICATIONS_MAX; i++) {
		r = sfd_jsonrpc_receive(c, ret, err);
		if (r == 0)
			return splitfd_error_set(err, SPLITFD_ERROR_PEER, ECONNRESET,
				"%s: the service closed the connection instead of answering",
				method);
		if (r < 0)
			return splitfd_error_wrap(err, r, "%s", method);
		if (ret->kind != SFD_JSONRPC_NOTIFICATION)
			return check_answer(method, id, ret, err);
		sfd_jsonrpc_message_done(ret);
		r = 0;
	}
	return r < 0 ? splitfd_error_wrap(err, r, "%s", method)
		     : splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			       "%s: the service sends notifications instead of an answer", method);
}
