/* SPDX-License-Identifier: Apache-2.0 */
/* The service's half of varlink.h. */
#include "splitfdstream/base/cleanup.h"
#include "transport/json/json-member.h"
#include "transport/rpc/varlink.h"

#include <cjson/cJSON.h>

static int no_call(struct splitfd_error *err, const char *why)
{
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
		"a message of the client is not a call: %s", why);
}

static int get_flag(const cJSON *json, const char *name, bool *ret, struct splitfd_error *err)
{
	const cJSON *flag = cJSON_GetObjectItemCaseSensitive(json, name);

	if (flag != NULL && !cJSON_IsNull(flag) && !cJSON_IsBool(flag))
		return no_call(err, "\"more\", \"oneway\" and \"upgrade\" are truth values");
	*ret = cJSON_IsTrue(flag);
	return 0;
}

int sfd_varlink_next_call(
	struct sfd_varlink *v, struct sfd_varlink_call *ret, struct splitfd_error *err)
{
	const cJSON *method, *parameters;
	bool upgrade = false;
	int r = sfd_varlink_receive(v, &ret->message, err);

	ret->method = NULL;
	ret->parameters = NULL;
	ret->more = ret->oneway = false;
	if (r <= 0)
		return r;
	r = get_flag(ret->message.json, "oneway", &ret->oneway, err);
	if (r == 0)
		r = get_flag(ret->message.json, "more", &ret->more, err);
	if (r == 0)
		r = get_flag(ret->message.json, "upgrade", &upgrade, err);
	if (r < 0)
		return r;
	method = cJSON_GetObjectItemCaseSensitive(ret->message.json, "method");
	parameters = cJSON_GetObjectItemCaseSensitive(ret->message.json, "parameters");
	if (!cJSON_IsString(method))
		return no_call(err, "\"method\" is not a string");
	if (parameters != NULL && !cJSON_IsNull(parameters) && !cJSON_IsObject(parameters))
		return no_call(err, "\"parameters\" is not an object");
	if (upgrade)
		return no_call(err, "this connection has no other protocol");
	ret->method = method->valuestring;
	ret->parameters = cJSON_IsObject(parameters) ? parameters : NULL;
	return 1;
}

void sfd_varlink_call_done(struct sfd_varlink_call *call)
{
	sfd_varlink_message_done(&call->message);
	call->method = NULL;
	call->parameters = NULL;
}

/* Always takes both. */
static int answer(struct sfd_varlink *v, const struct sfd_varlink_call *call, cJSON *reply,
	const int *fds, size_t n_fds, struct splitfd_error *err)
{
	sfd_cleanup_json cJSON *owned = reply;

	if (owned == NULL)
		return splitfd_error_oom(err);
	return call->oneway ? 0 : sfd_varlink_send(v, owned, fds, n_fds, err);
}

static bool add_parameters(cJSON *reply, cJSON *parameters)
{
	if (parameters == NULL || cJSON_AddItemToObject(reply, "parameters", parameters))
		return true;
	cJSON_Delete(parameters);
	return false;
}

int sfd_varlink_answer(struct sfd_varlink *v, const struct sfd_varlink_call *call,
	struct cJSON *parameters, bool continues, const int *fds, size_t n_fds,
	struct splitfd_error *err)
{
	cJSON *reply = cJSON_CreateObject();

	/* Zlink's services always say it, so this one does. */
	if (!add_parameters(reply, parameters) ||
		cJSON_AddBoolToObject(reply, "continues", continues) == NULL) {
		cJSON_Delete(reply);
		reply = NULL;
	}
	return answer(v, call, reply, fds, n_fds, err);
}

int sfd_varlink_answer_error(struct sfd_varlink *v, const struct sfd_varlink_call *call,
	const char *name, struct cJSON *parameters, struct splitfd_error *err)
{
	cJSON *reply = cJSON_CreateObject();

	if (cJSON_AddStringToObject(reply, "error", name) == NULL) {
		cJSON_Delete(parameters);
		cJSON_Delete(reply);
		reply = NULL;
	} else if (!add_parameters(reply, parameters)) {
		cJSON_Delete(reply);
		reply = NULL;
	}
	return answer(v, call, reply, NULL, 0, err);
}
