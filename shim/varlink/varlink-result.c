/* SPDX-License-Identifier: Apache-2.0 */
/* A call's parameters by their types, and results and errors as objects. */
#include "shim/varlink/varlink-session.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"
#include "transport/json/json-member.h"

#include <string.h>

static bool is_a(const cJSON *value, enum sfd_varlink_type type)
{
	switch (type) {
	case SFD_VARLINK_STRING:
		return cJSON_IsString(value);
	case SFD_VARLINK_BOOL:
		return cJSON_IsBool(value);
	case SFD_VARLINK_INT:
		return sfd_json_is_whole(value, SFD_JSON_EXACT_MAX - 1);
	case SFD_VARLINK_OBJECT:
		return cJSON_IsObject(value);
	case SFD_VARLINK_ARRAY:
		return cJSON_IsArray(value);
	}
	return false;
}

bool sfd_varlink_params(
	const cJSON *object, const struct sfd_varlink_param *params, struct sfd_varlink_result *ret)
{
	for (; params->name != NULL; params++) {
		const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, params->name);

		*params->ret = NULL;
		if (value == NULL || cJSON_IsNull(value)) {
			if (params->optional)
				continue;
		} else if (is_a(value, params->type)) {
			*params->ret = value;
			continue;
		}
		(void)sfd_varlink_fail(ret, SFD_IFACE_SERVICE ".InvalidParameter", "parameter",
			params->name, NULL);
		return false;
	}
	return true;
}

static int fail_with(struct sfd_varlink_result *ret, const char *error, const char *key,
	cJSON *value, struct splitfd_error *err)
{
	cJSON *parameters = cJSON_CreateObject();

	sfd_varlink_result_done(ret);
	ret->error = error;
	if (!cJSON_AddItemToObject(parameters, key, value)) {
		cJSON_Delete(value);
		cJSON_Delete(parameters);
		return splitfd_error_oom(err);
	}
	ret->parameters = parameters;
	return 0;
}

int sfd_varlink_fail(struct sfd_varlink_result *ret, const char *error, const char *key,
	const char *value, struct splitfd_error *err)
{
	return fail_with(ret, error, key, cJSON_CreateString(value), err);
}

int sfd_varlink_fail_number(struct sfd_varlink_result *ret, const char *error, const char *key,
	double value, struct splitfd_error *err)
{
	return fail_with(ret, error, key, cJSON_CreateNumber(value), err);
}

cJSON *sfd_varlink_object(struct sfd_varlink_result *ret)
{
	if (ret->parameters == NULL)
		ret->parameters = cJSON_CreateObject();
	return ret->parameters;
}

bool sfd_varlink_digest(const char *digest, struct sfd_varlink_result *ret)
{
	if (sfd_parse_sha256(digest, NULL))
		return true;
	(void)sfd_varlink_fail(ret, SFD_IFACE_OCI ".InvalidDigest", "message",
		strchr(digest, ':') == NULL ? "missing ':' in digest"
					    : "not \"sha256:\" and 64 hexadecimal digits",
		NULL);
	return false;
}

void sfd_varlink_result_done(struct sfd_varlink_result *ret)
{
	cJSON_Delete(ret->parameters);
	ret->parameters = NULL;
	ret->error = NULL;
	for (size_t i = 0; i < ret->n_fds; i++)
		sfd_close(ret->fds[i]);
	ret->n_fds = 0;
}
