/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/json/go-json.h"
#include "splitfdstream/base/text.h"
#include "transport/json/json-scan.h"
#include "transport/json/json-tree.h"

#include <stdbool.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

/* Bytes of the valid UTF-8 sequence at `text`, 0 where there is none. */
static size_t sequence(const char *text, size_t left)
{
	left = left < 4 ? left : 4;
	for (size_t n = 1; n <= left; n++) {
		if (sfd_utf8_valid(text, n))
			return n;
	}
	return 0;
}

static int escape(struct sfd_buffer *b, const char *text, size_t n)
{
	unsigned char c = (unsigned char)text[0];
	static const char *const short_forms = "\"\\\b\f\n\r\t", *const letters = "\"\\bfnrt";
	const char *at = n == 1 && c != 0 ? strchr(short_forms, c) : NULL;

	if (n == 0)
		return sfd_buffer_append_str(b, "\\ufffd");
	if (at != NULL)
		return sfd_buffer_printf(b, "\\%c", letters[at - short_forms]);
	if (n == 1 && (c < 0x20 || c == '<' || c == '>' || c == '&'))
		return sfd_buffer_printf(b, "\\u%04x", c);
	if (n == 3 && memcmp(text, "\xe2\x80\xa8", 3) == 0)
		return sfd_buffer_append_str(b, "\\u2028");
	if (n == 3 && memcmp(text, "\xe2\x80\xa9", 3) == 0)
		return sfd_buffer_append_str(b, "\\u2029");
	return sfd_buffer_append(b, text, n);
}

int sfd_json_string_n(struct sfd_buffer *b, const char *text, size_t len)
{
	int r = sfd_buffer_append(b, "\"", 1);

	while (r == 0 && len > 0) {
		size_t n = sequence(text, len), used = n > 0 ? n : 1;

		r = escape(b, text, n);
		text += used;
		len -= used;
	}
	return r == 0 ? sfd_buffer_append(b, "\"", 1) : r;
}

int sfd_json_string(struct sfd_buffer *b, const char *text)
{
	return sfd_json_string_n(b, text, strlen(text));
}

const cJSON *sfd_json_member(const cJSON *object, const char *key)
{
	const cJSON *found = NULL;

	if (!cJSON_IsObject(object))
		return NULL;
	for (const cJSON *item = object->child; item != NULL; item = item->next) {
		/* To Go, null behind a text is nothing at all. */
		if (strcasecmp(item->string, key) == 0 &&
			!(cJSON_IsNull(item) && cJSON_IsString(found)))
			found = item;
	}
	return cJSON_IsNull(found) ? NULL : found;
}

const char *sfd_json_type(const cJSON *value)
{
	if (cJSON_IsString(value))
		return "string";
	if (cJSON_IsNumber(value))
		return "float64";
	if (cJSON_IsBool(value))
		return "bool";
	if (cJSON_IsArray(value))
		return "[]interface {}";
	if (cJSON_IsObject(value))
		return "map[string]interface {}";
	return "<nil>";
}

/* cJSON alone would take numbers such as 01 and line feeds in strings. */
int sfd_json_parse(const char *text, size_t len, cJSON **ret)
{
	struct sfd_json_scan scan = { .values_max = SIZE_MAX };
	size_t used = 0;

	*ret = NULL;
	while (len > 0 && sfd_json_blank((uint8_t)text[len - 1]))
		len--;
	while (len > 0 && sfd_json_blank((uint8_t)*text)) {
		text++;
		len--;
	}
	if (sfd_json_scan(&scan, (const uint8_t *)text, len, &used) != 1 || used != len)
		return -EBADMSG;
	return sfd_json_tree(text, len, ret);
}
