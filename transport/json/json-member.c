/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/json/json-member.h"
#include "splitfdstream/base/text.h"

const char *sfd_member_text(const cJSON *object, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

bool sfd_json_is_whole(const cJSON *item, double max)
{
	return cJSON_IsNumber(item) && item->valuedouble >= -max && item->valuedouble <= max &&
	       item->valuedouble == (double)(int64_t)item->valuedouble;
}

bool sfd_member_u64(const cJSON *object, const char *name, uint64_t *ret)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	if (!sfd_json_is_whole(item, SFD_JSON_EXACT_MAX) || item->valuedouble < 0)
		return false;
	*ret = (uint64_t)item->valuedouble;
	return true;
}

bool sfd_json_add(cJSON *object, const char *name, cJSON *item)
{
	if (cJSON_AddItemToObject(object, name, item))
		return true;
	cJSON_Delete(item);
	return false;
}

bool sfd_json_add_text(cJSON *object, const char *name, const char *text)
{
	sfd_cleanup_free char *clean = NULL;

	if (text == NULL)
		return cJSON_AddNullToObject(object, name) != NULL;
	clean = sfd_utf8_replaced(text);
	return clean != NULL && cJSON_AddStringToObject(object, name, clean) != NULL;
}
