/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_RPC_VARLINK_JSON_H
#define SPLITFD_RPC_VARLINK_JSON_H

/*
 * A peer's JSON, looked at before it is parsed: cJSON takes several times its size in memory, and
 * accepts what no peer should send.
 */

#include "splitfdstream/base/error.h"

#include <stddef.h>

struct cJSON;

/* One JSON object of `len` bytes. Refused (-EBADMSG, kind REFUSED): other than UTF-8, and what
 * sfd_json_scan() refuses: a NUL in a string, too many levels, more than values_max values and
 * names, syntax errors, anything behind the object, and everything that is no object. *ret is for
 * cJSON_Delete. */
int sfd_varlink_parse(const char *text, size_t len, size_t values_max, struct cJSON **ret,
	struct splitfd_error *err);

#endif
