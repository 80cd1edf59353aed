/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_OBJECT_STORE_H
#define SPLITFD_COMPOSEFS_OBJECT_STORE_H

/*
 * objects/xx/yyyy: content by fs-verity digest. All calls may come from several threads.
 */

#include "transport/composefs/repository.h"

/* How an object came about. */
enum sfd_object_how {
	SFD_OBJECT_PRESENT,
	SFD_OBJECT_REFLINKED,
	SFD_OBJECT_COPIED,
};

/* Stores bytes in memory (streams, JSON, EROFS images). *ret is their digest. */
int sfd_object_put_bytes(struct splitfd_repository *repository, const void *data, size_t n,
	struct splitfd_digest *ret, enum sfd_object_how *ret_how, struct splitfd_error *err);

/* Opens an object for reading: a regular file, O_RDONLY; in a secure repository its kernel digest
 * is compared. NOT_FOUND where it is missing. ret_size may be NULL. */
int sfd_object_open(struct splitfd_repository *repository, const struct splitfd_digest *digest,
	int *ret_fd, uint64_t *ret_size, struct splitfd_error *err);

/* Reads a whole object, at most `max` bytes, NUL behind; *ret_data is the caller's. */
int sfd_object_read(struct splitfd_repository *repository, const struct splitfd_digest *digest,
	size_t max, char **ret_data, size_t *ret_size, struct splitfd_error *err);

/* "xx/yyyy…": 2 * size + 2 bytes at `path`, NUL included. */
void sfd_object_path(const struct splitfd_digest *digest, char *path);

#endif
