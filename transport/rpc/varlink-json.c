/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/rpc/varlink-json.h"
#include "splitfdstream/base/text.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

static int refuse(struct splitfd_error *err, const char *why)
{
	return splitfd_error_set(
		err, SPLITFD_ERROR_REFUSED, EBADMSG, "a message of the peer %s", why);
}

/* Behind the closing quote; NULL where there is none, or the string holds a NUL, which cJSON would
 * end it at. */
static const char *skip_string(const char *at, const char *end)
{
	while (at < end && *at != '"') {
		if (*at == '\\') {
			if (end - at >= 6 && memcmp(at, "\\u0000", 6) == 0)
				return NULL;
			at++;
		}
		at++;
	}
	return at < end ? at + 1 : NULL;
}

/* Counts what cJSON would make of it: each value follows '[', '{', ',' or ':', or is the whole. */
static int measure(const char *text, size_t len, size_t depth_max, size_t values_max,
	struct splitfd_error *err)
{
	const char *at = text, *end = text + len;
	size_t depth = 0, values = 0;

	while (at < end) {
		char c = *at++;

		if (c == '"') {
			at = skip_string(at, end);
			if (at == NULL)
				return refuse(err, "has a string without end or with a NUL");
		} else if (c == '{' || c == '[') {
			values++;
			if (++depth > depth_max)
				return refuse(err, "is nested too deeply");
		} else if (c == '}' || c == ']') {
			depth -= depth > 0;
		} else if (c == ',') {
			values++;
		}
		if (values > values_max)
			return refuse(err, "has too many values");
	}
	return 0;
}

int sfd_varlink_parse(const char *text, size_t len, size_t depth_max, size_t values_max,
	struct cJSON **ret, struct splitfd_error *err)
{
	cJSON *json;
	int r;

	if (!sfd_utf8_valid(text, len))
		return refuse(err, "is not UTF-8");
	r = measure(text, len, depth_max, values_max, err);
	if (r < 0)
		return r;
	json = cJSON_ParseWithLengthOpts(text, len + 1, NULL, true);
	if (json == NULL)
		return refuse(err, "is not JSON");
	if (!cJSON_IsObject(json)) {
		cJSON_Delete(json);
		return refuse(err, "is not a JSON object");
	}
	*ret = json;
	return 0;
}
