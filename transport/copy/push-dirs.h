/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COPY_PUSH_DIRS_H
#define SPLITFD_COPY_PUSH_DIRS_H

/*
 * The directories that a service gets along with a layer, so that it opens the files itself and
 * shares their extents.
 *
 * A composefs service that cannot clone a file makes a hard link of it into its repository, and
 * before that tries to enable fs-verity on it, in place. That must not happen to the files of a
 * container store: it would freeze them, or let whoever writes one of them damage the repository.
 * So a store's directories are given as private read-only mounts: from there files can be cloned
 * and read, but neither changed nor linked. Where such a mount is not allowed, the directories go
 * as they are if the service will not come to linking (another file system, or one that clones),
 * else the content goes through the stream. Objects of a composefs repository never change; they
 * may be linked.
 */

#include "splitfdstream/chunk.h"

#include <sys/types.h>

/* A layer has at most eight directories of its own. */
#define SFD_PUSH_DIRS_MAX 16

struct sfd_push_target {
	bool reads_ours;     /* the service can open what we can */
	bool may_link;	     /* the files are objects of a repository */
	bool has_device;     /* the device of the service's objects is known */
	dev_t device;	     /* … and this */
	const char *objects; /* a folder on the service's file system, or NULL */
};

struct sfd_push_dirs {
	int fds[SFD_PUSH_DIRS_MAX]; /* owned */
	size_t n;		    /* one at least: a service wants one */
	bool named;		    /* they are the directories of `files`, in order */
};

/* `files` may be NULL. *ret is for sfd_push_dirs_done in any case. */
int sfd_push_dirs_make(const struct sfd_push_target *target, const struct splitfd_files *files,
	struct sfd_push_dirs *ret, struct splitfd_error *err);
void sfd_push_dirs_done(struct sfd_push_dirs *dirs);

#endif
