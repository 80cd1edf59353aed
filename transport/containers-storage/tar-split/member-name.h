/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_CONTAINERS_STORAGE_MEMBER_NAME_H
#define SPLITFD_CONTAINERS_STORAGE_MEMBER_NAME_H

/*
 * Names of tar members as paths beneath a layer.
 */

#include <stddef.h>

/* Cleans a member's name as if it were below "/": no leading "/", "." and ".." folded, ".." at the
 * top dropped. Returns the length in `clean` (SPLITFD_NAME_MAX + 1 bytes, NUL-terminated);
 * -ENAMETOOLONG; -EINVAL where a NUL is in the name or nothing is left. */
int sfd_layer_clean_name(const char *name, size_t len, char *clean);

#endif
