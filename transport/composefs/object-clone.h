/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_OBJECT_CLONE_H
#define SPLITFD_COMPOSEFS_OBJECT_CLONE_H

/*
 * Objects from files: FICLONE, or a copy where the file systems cannot share extents. Objects are
 * new files of their own, never hard links.
 */

#include "transport/composefs/object-store.h"

#include <sys/stat.h>

/* How an import clones, and what it has learnt of its source file systems. Shared by threads. */
struct sfd_cloner;

/* `cancel` (may be NULL) is looked at during long copies. NULL when memory is short. */
struct sfd_cloner *sfd_cloner_new(struct splitfd_repository *repository,
	enum splitfd_reflink reflink, const volatile int *cancel);
/* NULL is allowed. Returns NULL. */
struct sfd_cloner *sfd_cloner_free(struct sfd_cloner *cloner);

struct sfd_content {
	int fd;		     /* the source, borrowed; may be negative where `data` is set */
	struct stat st;	     /* the source's, from before it was read */
	uint64_t size;	     /* bytes */
	const uint8_t *data; /* the content, where it is in memory; else NULL */
};

/* Stores a file whose digest is known. The source must not have changed since `st`, else the object
 * would not be what was hashed: REFUSED with ESTALE. */
int sfd_cloner_put(struct sfd_cloner *cloner, const struct splitfd_digest *digest,
	const struct sfd_content *content, enum sfd_object_how *ret_how, struct splitfd_error *err);

/* Whether the file is still the one of `st`: size, change and modification time. 0; REFUSED with
 * ESTALE. */
int sfd_check_unchanged(int fd, const struct stat *st, struct splitfd_error *err);

#endif
