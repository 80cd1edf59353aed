/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_OBJECT_PATH_H
#define SPLITFD_COMPOSEFS_OBJECT_PATH_H

/* The name of an object below objects/: "xx/yyyy…", the digest in lower-case hexadecimal. */

#include "transport/composefs/repository.h"

/* With the slash and a NUL. */
#define SFD_OBJECT_PATH_SIZE (2 * SPLITFD_DIGEST_MAX + 2)

/* 2 * size + 2 bytes at `path`, NUL included. */
void sfd_object_path(const struct splitfd_digest *digest, char *path);
/* The digest that a name `rest` in the directory of the first byte `first` means; false where it is
 * no object's name in that algorithm. */
bool sfd_object_path_parse(enum splitfd_algorithm algorithm, uint8_t first, const char *rest,
	struct splitfd_digest *ret);

#endif
