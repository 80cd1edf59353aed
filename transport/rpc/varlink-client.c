/* SPDX-License-Identifier: Apache-2.0 */
/* The client's half of varlink.h. */
#include "splitfdstream/base/cleanup.h"
#include "transport/json/json-member.h"
#include "transport/rpc/unix-connect.h"
#include "transport/rpc/varlink.h"

#include <cjson/cJSON.h>
#include <string.h>

int sfd_varlink_connect(const char *address, const struct sfd_varlink_options *options,
	struct sfd_varlink **ret, struct splitfd_error *err)
{
	const char *path = strncmp(address, "unix:", 5) == 0 ? address + 5 : address;
	static const struct sfd_varlink_options none = { 0 };
	const struct sfd_varlink_options *o = options != NULL ? options : &none;
	int socket = sfd_unix_connect(path, strcspn(path, ";"), o->timeout_ms, o->cancel_fd, err);

	return socket < 0 ? socket : sfd_varlink_new(socket, options, ret, err);
}

int sfd_varlink_call(struct sfd_varlink *v, const char *method, struct cJSON *parameters,
	unsigned int flags, const int *fds, size_t n_fds, struct splitfd_error *err)
{
	sfd_cleanup_json cJSON *call = cJSON_CreateObject();
	bool good = cJSON_AddStringToObject(call, "method", method) != NULL;

	if (parameters != NULL && !cJSON_AddItemToObject(call, "parameters", parameters)) {
		cJSON_Delete(parameters);
		good = false;
	}
	if ((flags & SFD_VARLINK_MORE) != 0)
		good = good && cJSON_AddTrueToObject(call, "more") != NULL;
	if ((flags & SFD_VARLINK_ONEWAY) != 0)
		good = good && cJSON_AddTrueToObject(call, "oneway") != NULL;
	if (!good)
		return splitfd_error_oom(err);
	return sfd_varlink_send(v, call, fds, n_fds, err);
}

static int no_reply(struct splitfd_error *err, const char *why)
{
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
		"a message of the service is not a reply: %s", why);
}

int sfd_varlink_reply(
	struct sfd_varlink *v, struct sfd_varlink_reply *ret, struct splitfd_error *err)
{
	const cJSON *error, *parameters, *continues;
	int r = sfd_varlink_receive(v, &ret->message, err);

	ret->error = NULL;
	ret->parameters = NULL;
	ret->continues = false;
	if (r == 0)
		return splitfd_error_set(err, SPLITFD_ERROR_PEER, EPIPE,
			"the service has closed the connection instead of answering");
	if (r < 0)
		return r;
	error = cJSON_GetObjectItemCaseSensitive(ret->message.json, "error");
	parameters = cJSON_GetObjectItemCaseSensitive(ret->message.json, "parameters");
	continues = cJSON_GetObjectItemCaseSensitive(ret->message.json, "continues");
	if (error != NULL && !cJSON_IsNull(error) && !cJSON_IsString(error))
		return no_reply(err, "\"error\" is not a string");
	if (parameters != NULL && !cJSON_IsNull(parameters) && !cJSON_IsObject(parameters))
		return no_reply(err, "\"parameters\" is not an object");
	if (continues != NULL && !cJSON_IsNull(continues) && !cJSON_IsBool(continues))
		return no_reply(err, "\"continues\" is not a truth value");
	ret->error = cJSON_GetStringValue(error);
	ret->parameters = cJSON_IsObject(parameters) ? parameters : NULL;
	ret->continues = cJSON_IsTrue(continues);
	return 0;
}

void sfd_varlink_reply_done(struct sfd_varlink_reply *reply)
{
	sfd_varlink_message_done(&reply->message);
	reply->error = NULL;
	reply->parameters = NULL;
}

static enum splitfd_error_kind kind_of(const char *error)
{
	static const char *const missing[] = { "NoSuchLayer", "NoSuchImage", "NoSuchRef",
		"RepoNotFound" };
	const char *name = strrchr(error, '.');

	if (strncmp(error, "org.varlink.service.", 20) == 0)
		return SPLITFD_ERROR_USAGE;
	for (size_t i = 0; name != NULL && i < sizeof(missing) / sizeof(missing[0]); i++) {
		if (strcmp(name + 1, missing[i]) == 0)
			return SPLITFD_ERROR_NOT_FOUND;
	}
	/* A full disk, no memory: nothing was refused. */
	if (name != NULL && strcmp(name, ".InternalError") == 0)
		return SPLITFD_ERROR_FAILED;
	return SPLITFD_ERROR_REFUSED;
}

int sfd_varlink_reply_check(
	const struct sfd_varlink_reply *reply, const char *method, struct splitfd_error *err)
{
	sfd_cleanup_free char *text = NULL;
	const char *message;

	if (reply->error == NULL)
		return 0;
	message = cJSON_GetStringValue(
		cJSON_GetObjectItemCaseSensitive(reply->parameters, "message"));
	if (message == NULL && reply->parameters != NULL) {
		text = cJSON_PrintUnformatted(reply->parameters);
		if (text == NULL)
			return splitfd_error_oom(err);
		message = text;
	}
	return splitfd_error_set(err, kind_of(reply->error), EREMOTEIO, "%s: %s: %s", method,
		reply->error, message != NULL ? message : "no reason given");
}

int sfd_varlink_call_simple(struct sfd_varlink *v, const char *method, struct cJSON *parameters,
	const int *fds, size_t n_fds, struct sfd_varlink_reply *ret, struct splitfd_error *err)
{
	int r;

	*ret = (struct sfd_varlink_reply){ 0 };
	r = sfd_varlink_call(v, method, parameters, 0, fds, n_fds, err);
	if (r == 0)
		r = sfd_varlink_reply(v, ret, err);
	if (r == 0)
		r = sfd_varlink_reply_check(ret, method, err);
	if (r == 0 && ret->continues)
		r = no_reply(err, "more are announced than were requested");
	return r;
}
