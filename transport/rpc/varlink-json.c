/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/rpc/varlink-json.h"
#include "splitfdstream/base/text.h"
#include "transport/json/json-scan.h"
#include "transport/json/json-tree.h"

#include <cjson/cJSON.h>
#include <errno.h>

static int refuse(struct splitfd_error *err, const char *why)
{
	return splitfd_error_set(
		err, SPLITFD_ERROR_REFUSED, EBADMSG, "a message of the peer %s", why);
}

static size_t skip_blanks(const char *text, size_t len, size_t at)
{
	while (at < len && sfd_json_blank((uint8_t)text[at]))
		at++;
	return at;
}

/* One object, with nothing but blanks around it. */
static int scan(const char *text, size_t len, size_t values_max, struct splitfd_error *err)
{
	struct sfd_json_scan scan = { .values_max = values_max };
	size_t at = skip_blanks(text, len, 0), used = 0;
	int r = sfd_json_scan(&scan, (const uint8_t *)text + at, len - at, &used);

	if (r == -E2BIG)
		return refuse(err, "is nested too deeply, or has too many values");
	if (r <= 0 || skip_blanks(text, len, at + used) < len)
		return refuse(err, "is not one JSON object");
	return 0;
}

int sfd_varlink_parse(const char *text, size_t len, size_t values_max, struct cJSON **ret,
	struct splitfd_error *err)
{
	int r;

	if (!sfd_utf8_valid(text, len))
		return refuse(err, "is not UTF-8");
	r = scan(text, len, values_max, err);
	if (r < 0)
		return r;
	r = sfd_json_tree(text, len, ret);
	if (r == -ENOMEM)
		return splitfd_error_oom(err);
	return r < 0 ? refuse(err, "is not JSON") : 0;
}
