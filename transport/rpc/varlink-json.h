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

/* One JSON object of `len` bytes; text[len] is NUL. Refused (-EBADMSG, kind REFUSED): other than
 * UTF-8, a NUL in a string, more than depth_max levels, more than values_max values, syntax errors,
 * anything behind the object, and everything that is no object. *ret is for cJSON_Delete. */
int sfd_varlink_parse(const char *text, size_t len, size_t depth_max, size_t values_max,
	struct cJSON **ret, struct splitfd_error *err);

#endif
