/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_OBJECT_STORE_H
#define SPLITFD_COMPOSEFS_OBJECT_STORE_H

/*
 * objects/xx/yyyy: content by fs-verity digest. All calls may come from several threads.
 */

#include "transport/composefs/repository.h"
#include "transport/composefs/temp-file.h"

/* How an object came about. */
enum sfd_object_how {
	SFD_OBJECT_PRESENT,
	SFD_OBJECT_REFLINKED,
	SFD_OBJECT_COPIED,
};

/* "xx/yyyy…" and a NUL. */
#define SFD_OBJECT_PATH_SIZE (2 * SPLITFD_DIGEST_MAX + 2)

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

/* 1 where the object is there, 0 where not. In a secure repository it is opened and measured, and a
 * digest that is not its name's is REFUSED. */
int sfd_object_exists(struct splitfd_repository *repository, const struct splitfd_digest *digest,
	struct splitfd_error *err);

/* True where this process has made the object's directory, so that nothing is in it but what this
 * process put there or what another one puts there now: who knows the own objects need not look,
 * and learns of the others when committing. Never in a secure repository. */
bool sfd_object_dir_is_new(
	struct splitfd_repository *repository, const struct splitfd_digest *digest);

/* Starts an object in an unnamed file, open for writing, 0644, in its directory, which is made
 * first where it is not there; with `digest` NULL, where it is not known yet, in objects/ itself.
 */
int sfd_object_begin(struct splitfd_repository *repository, const struct splitfd_digest *digest,
	struct sfd_temp *ret, struct splitfd_error *err);

/* The file is whole: gives it its name, in a secure repository with fs-verity and after comparing
 * the kernel's digest. 1 where the name had appeared meanwhile (the file is dropped), 0 else. */
int sfd_object_commit(struct splitfd_repository *repository, const struct splitfd_digest *digest,
	struct sfd_temp *temp, struct splitfd_error *err);

#endif
