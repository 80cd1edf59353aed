/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_VERITY_H
#define SPLITFD_COMPOSEFS_VERITY_H

/*
 * fs-verity digests in user space: no salt, blocks of 4096 bytes, sha256 or sha512. Source of the
 * format: the kernel's Documentation/filesystems/fsverity.rst.
 */

#include "transport/composefs/repository.h"

struct sfd_verity; /* the digest of one file in the making; one thread */

/* NULL when memory is short. Can be used for any number of files, one after the other. */
struct sfd_verity *sfd_verity_new(enum splitfd_algorithm algorithm);
struct sfd_verity *sfd_verity_free(struct sfd_verity *v);

/* Starts a file. */
void sfd_verity_begin(struct sfd_verity *v);
/* Content in order, pieces of any length. -ENOMEM for absurdly large files only. */
int sfd_verity_update(struct sfd_verity *v, const void *data, size_t n);
int sfd_verity_final(struct sfd_verity *v, struct splitfd_digest *ret);

/* The digest of bytes in memory. */
int sfd_verity_bytes(
	enum splitfd_algorithm algorithm, const void *data, size_t n, struct splitfd_digest *ret);

#endif
