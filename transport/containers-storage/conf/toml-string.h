/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_CONTAINERS_STORAGE_TOML_STRING_H
#define SPLITFD_CONTAINERS_STORAGE_TOML_STRING_H

/*
 * The strings of TOML 1.0: "basic", 'literal', and both with three quotes over several lines.
 */

#include "splitfdstream/base/buffer.h"

#include <stdbool.h>
#include <stddef.h>

/* A place in a text of TOML. */
struct sfd_toml_cursor {
	const char *p;
	const char *end;
	unsigned int line;
};

/* Reads the string whose opening quote is at the cursor, appends its bytes to `out` (no NUL) and
 * moves behind the closing quote. `multiline` allows the forms of three quotes (keys do not have
 * them). Returns NULL, or what is wrong; the cursor's line is then the line of the fault. */
const char *sfd_toml_string(struct sfd_toml_cursor *cursor, bool multiline, struct sfd_buffer *out);

#endif
