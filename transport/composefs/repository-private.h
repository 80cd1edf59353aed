/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_REPOSITORY_PRIVATE_H
#define SPLITFD_COMPOSEFS_REPOSITORY_PRIVATE_H

/* The inside of struct splitfd_repository, for the files of this room. */

#include "transport/composefs/repository.h"
#include "transport/composefs/verity-mb.h"

#include <pthread.h>

struct splitfd_repository {
	char *path;
	int fd;		/* the directory, O_RDONLY, flocked shared */
	int objects_fd; /* objects/, O_PATH; -EBADF until it exists; atomic */
	enum splitfd_algorithm algorithm;
	bool secure;
	bool write;
	int erofs_default;  /* 0, 1 or 2 */
	int erofs_extra[3]; /* further formats */
	size_t n_erofs_extra;
	uint8_t have_dir[32]; /* bit i: objects/<i as hex> is known to exist; atomic */
	uint8_t made_dir[32]; /* bit i: it was made by this process; atomic */
	int mode_state;	      /* 0 unknown, 1 new objects get 0644 by themselves, 2 not; atomic */
	int hasher; /* enum sfd_hasher_kind of the fastest, BEST while not known; atomic */
	pthread_mutex_t lock; /* making objects/ */
};

/* The descriptor of objects/, which is made first where `create`. It stays the repository's.
 * -ENOENT without a text where it is not there and not to be made. */
int sfd_repository_objects(
	struct splitfd_repository *repository, bool create, struct splitfd_error *err);

/* The fastest hasher, found out once. */
enum sfd_hasher_kind sfd_repository_hasher(struct splitfd_repository *repository);

#endif
