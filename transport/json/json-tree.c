/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/json/json-tree.h"

#include <errno.h>
#include <stdbool.h>

static int parse(const char *text, size_t size, bool whole, cJSON **ret, size_t *ret_at)
{
	const char *end = NULL;
	int saved = errno;

	/* malloc says why it gave nothing; what cJSON does afterwards leaves that alone. */
	errno = 0;
	*ret = cJSON_ParseWithLengthOpts(text, size, &end, whole);
	if (ret_at != NULL)
		*ret_at = end != NULL ? (size_t)(end - text) : 0;
	if (*ret == NULL)
		return errno == ENOMEM ? -ENOMEM : -EBADMSG;
	errno = saved;
	return 0;
}

int sfd_json_tree(const char *text, size_t size, cJSON **ret)
{
	return parse(text, size, false, ret, NULL);
}

int sfd_json_tree_whole(const char *text, size_t size, cJSON **ret, size_t *ret_at)
{
	return parse(text, size + 1, true, ret, ret_at);
}
