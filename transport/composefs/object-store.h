/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_OBJECT_STORE_H
#define SPLITFD_COMPOSEFS_OBJECT_STORE_H

/*
 * objects/xx/yyyy: content by fs-verity digest. New objects are staged (staging.h): they can be
 * opened at once, but have their names only after sfd_objects_publish. All calls may come from
 * several threads.
 */

#include "transport/composefs/object-path.h"
#include "transport/composefs/staging.h"

/* How an object came about. */
enum sfd_object_how {
	SFD_OBJECT_PRESENT,
	SFD_OBJECT_REFLINKED,
	SFD_OBJECT_COPIED,
};

/* Stores bytes in memory (streams, JSON, EROFS images). *ret is their digest. */
int sfd_object_put_bytes(struct splitfd_repository *repository, const void *data, size_t n,
	struct splitfd_digest *ret, enum sfd_object_how *ret_how, struct splitfd_error *err);

/* Opens an object for reading, whether it has its name already or not: a regular file, O_RDONLY; in
 * a secure repository its kernel digest is compared. NOT_FOUND where it is missing. ret_size may be
 * NULL. */
int sfd_object_open(struct splitfd_repository *repository, const struct splitfd_digest *digest,
	int *ret_fd, uint64_t *ret_size, struct splitfd_error *err);

/* Reads a whole object, at most `max` bytes, NUL behind; *ret_data is the caller's. */
int sfd_object_read(struct splitfd_repository *repository, const struct splitfd_digest *digest,
	size_t max, char **ret_data, size_t *ret_size, struct splitfd_error *err);

/* Starts an object of mode 0644, open for reading and writing; with `digest` NULL, where it is not
 * known yet. 0; 1 where another thread has made it meanwhile (nothing is started). */
int sfd_object_begin(struct splitfd_repository *repository, const struct splitfd_digest *digest,
	struct sfd_staged *ret, struct splitfd_error *err);

/* The file is whole: in a secure repository it gets fs-verity, and the kernel's digest is compared.
 * 1 where another thread has made the same object (the file is dropped), 0 else. */
int sfd_object_commit(struct splitfd_repository *repository, const struct splitfd_digest *digest,
	struct sfd_staged *staged, struct splitfd_error *err);

/* Writes all committed objects to the disk and gives them their names. 1 where there were any; the
 * names themselves are durable only after another sfd_repository_sync. */
int sfd_objects_publish(struct splitfd_repository *repository, struct splitfd_error *err);

/* Removes an object that is damaged and that nothing refers to. One that is not damaged stays, also
 * where somebody makes it anew just now. Best effort. */
void sfd_object_drop_damaged(
	struct splitfd_repository *repository, const struct splitfd_digest *digest);

/* A directory of the repository for temporary names; it stays the repository's. -errno. */
int sfd_objects_temporary_dir(struct splitfd_repository *repository, struct splitfd_error *err);

#endif
