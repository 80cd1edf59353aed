/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_OBJECT_CHECK_H
#define SPLITFD_COMPOSEFS_OBJECT_CHECK_H

/*
 * Is an object there, and is it what its name says? A name alone proves nothing: a power cut can
 * leave an empty file under it, and anybody may have removed it. What is damaged counts as missing,
 * so that it is made again and replaced. Any thread.
 */

#include "transport/composefs/repository.h"

#include <sys/stat.h>

/* 1: a regular file of `size` bytes is there (in a secure repository: with the kernel's digest; in
 * one that is distrusted: with that content). 0: nothing, or something else. -errno. */
int sfd_object_check(struct splitfd_repository *repository, const struct splitfd_digest *digest,
	uint64_t size, struct splitfd_error *err);

/* 1: the content is what the name says. It is read: the kernel's measure is of the hash tree's root
 * only, and the kernel checks a block when it is read. 0: it is not, or it cannot be read, or
 * nothing is there. -errno. */
int sfd_object_verify(struct splitfd_repository *repository, const struct splitfd_digest *digest,
	struct splitfd_error *err);

/* lstat(2) of an object below `objects`, which is the repository's objects/. 0 or -errno. */
int sfd_object_stat(struct splitfd_repository *repository, int objects,
	const struct splitfd_digest *digest, struct stat *ret);

/* How many descriptors of directories of objects/ sfd_object_stat() leaves open at most. */
size_t sfd_object_dirs_kept(void);

/* Means that the object is of no use, and not that something else went wrong. */
bool sfd_object_is_damage(int errnum);

/* Reads all of a file whose fs-verity the kernel checks meanwhile. 0 or -errno without a text. */
int sfd_object_read_through(int fd, uint8_t *piece, size_t size);

/* The digest of an open object's content, by reading. 0 or -errno without a text. */
int sfd_object_hash(struct splitfd_repository *repository, int fd, struct splitfd_digest *ret);

/* What is known of missing directories of objects/ is forgotten. */
void sfd_object_dirs_changed(struct splitfd_repository *repository);

#endif
