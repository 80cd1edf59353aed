/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/rpc/jsonrpc-private.h"
#include "splitfdstream/base/text.h"
#include "transport/json/json-member.h"
#include "transport/json/json-tree.h"

#include <errno.h>
#include <string.h>

/* The member of that name, where there is exactly one. */
static const cJSON *member(const cJSON *json, const char *name, bool *twice)
{
	const cJSON *found = NULL;

	for (const cJSON *item = json->child; item != NULL; item = item->next) {
		if (strcmp(item->string, name) != 0)
			continue;
		*twice = *twice || found != NULL;
		found = item;
	}
	return found;
}

static int read_count(struct sfd_jsonrpc_message *m, int *ret_code, struct splitfd_error *err)
{
	bool twice = false;
	const cJSON *fds = member(m->json, "fds", &twice);

	if (!twice && (fds == NULL || cJSON_IsNull(fds)))
		return 0;
	if (twice || !sfd_json_is_whole(fds, SFD_JSON_EXACT_MAX) || fds->valuedouble < 0) {
		*ret_code = SFD_JSONRPC_FDS;
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"\"fds\" of a message is not a number of descriptors");
	}
	m->n_fds = (uint64_t)fds->valuedouble;
	return 0;
}

static void invalid(struct sfd_jsonrpc_message *m, const char *why)
{
	m->kind = SFD_JSONRPC_INVALID;
	m->why = why;
}

static void classify(struct sfd_jsonrpc_message *m)
{
	bool twice = false;
	const cJSON *method = member(m->json, "method", &twice);
	const cJSON *id = member(m->json, "id", &twice);

	m->params = member(m->json, "params", &twice);
	m->result = member(m->json, "result", &twice);
	m->error = member(m->json, "error", &twice);
	if (twice)
		return invalid(m, "a member occurs twice");
	if (id != NULL && !cJSON_IsString(id) && !cJSON_IsNull(id) &&
		!sfd_json_is_whole(id, SFD_JSON_EXACT_MAX))
		return invalid(m, "\"id\" is neither a string nor an integer of at most 2^53");
	m->id = id;
	if (method != NULL && !cJSON_IsString(method))
		return invalid(m, "\"method\" is not a string");
	m->method = cJSON_GetStringValue(method);
	if (m->method != NULL && id != NULL)
		m->kind = SFD_JSONRPC_REQUEST;
	else if (m->result != NULL || m->error != NULL)
		m->kind = SFD_JSONRPC_RESPONSE;
	else if (m->method != NULL)
		m->kind = SFD_JSONRPC_NOTIFICATION;
	else
		invalid(m, "it has no \"method\", \"result\" or \"error\"");
}

int sfd_jsonrpc_parse(const char *text, size_t len, struct sfd_jsonrpc_message *ret, int *ret_code,
	struct splitfd_error *err)
{
	int r;

	*ret = (struct sfd_jsonrpc_message){ 0 };
	*ret_code = SFD_JSONRPC_PARSE_ERROR;
	if (!sfd_utf8_valid(text, len))
		return splitfd_error_set(
			err, SPLITFD_ERROR_REFUSED, EBADMSG, "a message is not UTF-8");
	r = sfd_json_tree(text, len, &ret->json);
	if (r == -ENOMEM)
		return splitfd_error_oom(err);
	if (r < 0)
		return splitfd_error_set(
			err, SPLITFD_ERROR_REFUSED, EBADMSG, "a message is not JSON");
	r = read_count(ret, ret_code, err);
	if (r == 0)
		classify(ret);
	return r;
}

void sfd_jsonrpc_message_done(struct sfd_jsonrpc_message *m)
{
	cJSON_Delete(m->json);
	*m = (struct sfd_jsonrpc_message){ 0 };
}
