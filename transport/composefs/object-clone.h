/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_OBJECT_CLONE_H
#define SPLITFD_COMPOSEFS_OBJECT_CLONE_H

/*
 * Objects from files: FICLONE, or a copy where the file systems cannot share extents. Objects are
 * new files of their own, never hard links.
 */

#include "transport/composefs/object-store.h"
#include "transport/composefs/source-guard.h"

#include <sys/stat.h>

/* How an import clones, and what it has learnt of its source file systems. Shared by threads. */
struct sfd_cloner;

/* `cancel` (may be NULL) is looked at during long copies. `foreign`: others than root and this user
 * can write the sources. NULL when memory is short. */
struct sfd_cloner *sfd_cloner_new(struct splitfd_repository *repository,
	enum splitfd_reflink reflink, bool foreign, const volatile int *cancel);
/* NULL is allowed. Returns NULL. */
struct sfd_cloner *sfd_cloner_free(struct sfd_cloner *cloner);

/* A file's content. `guard` is what keeps `fd` as it was when `data` was read or hashed. */
struct sfd_content {
	int fd;		     /* the source; may be negative where `data` is set */
	struct stat st;	     /* the source's, from before it was read */
	uint64_t size;	     /* bytes */
	const uint8_t *data; /* the content, where it is in memory; else NULL */
	enum sfd_guard guard;
};

/* Guards the source, before it is read; content->guard says how. `shared`: the open file
 * description may be another process's too, so content->fd becomes one of our own where a lease is
 * wanted. Where content goes into memory, that is only done if it can be cloned. */
void sfd_cloner_guard(
	struct sfd_cloner *cloner, struct sfd_content *content, bool shared, bool in_memory);

/* The guard broke while a source was read or cloned: nothing was stored. */
#define SFD_CLONER_AGAIN 1

/* Stores content whose digest is known. What is stored is what was hashed: the very bytes in
 * memory, or a clone or copy of a source that was guarded all the time. 0; SFD_CLONER_AGAIN for a
 * source that is not in memory; REFUSED with ESTALE where bytes in memory are to be shared extents
 * (SPLITFD_REFLINK_ALWAYS) and the source no longer has them. */
int sfd_cloner_put(struct sfd_cloner *cloner, const struct splitfd_digest *digest,
	const struct sfd_content *content, enum sfd_object_how *ret_how, struct splitfd_error *err);

/* For a source that cannot be guarded: first it is cloned or copied, then what was taken is hashed
 * and stored. */
struct sfd_taken {
	struct sfd_staged staged;
	int fd; /* the same file, open for reading; owned */
	uint64_t size;
	enum sfd_object_how how;
};

#define SFD_TAKEN_INIT ((struct sfd_taken){ .staged = SFD_STAGED_INIT, .fd = -EBADF })

/* *taken was SFD_TAKEN_INIT. REFUSED with ESTALE where the source has not content->size bytes. */
int sfd_cloner_take(struct sfd_cloner *cloner, const struct sfd_content *content,
	struct sfd_taken *taken, struct splitfd_error *err);
/* Names it, unless the object is there already. taken->fd stays open. */
int sfd_cloner_put_taken(struct sfd_cloner *cloner, const struct splitfd_digest *digest,
	struct sfd_taken *taken, enum sfd_object_how *ret_how, struct splitfd_error *err);
/* Drops what was not stored, and closes taken->fd. */
void sfd_taken_done(struct sfd_taken *taken);

#endif
