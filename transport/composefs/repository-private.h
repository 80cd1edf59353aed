/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_REPOSITORY_PRIVATE_H
#define SPLITFD_COMPOSEFS_REPOSITORY_PRIVATE_H

/* The inside of struct splitfd_repository, for the files of this room. */

#include "splitfdstream/base/lock-wait.h"
#include "transport/composefs/repository.h"
#include "transport/composefs/verity-mb.h"

#include <pthread.h>

struct sfd_staging;

#define SFD_N_OBJECT_DIRS 256

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
	int dir_fds[SFD_N_OBJECT_DIRS]; /* objects/xx, O_PATH; -EBADF where not open; atomic */
	size_t dirs_kept;		/* their share of descriptors; 0: none is kept */
	uint8_t looked_dir[32];		/* bit i: objects/<i as hex> was looked for; atomic */
	uint8_t absent_dir[32];		/* bit i: and was not there; atomic */
	const volatile int
		*cancel;     /* not 0: reading of contents ends with -ECANCELED; NULL: never */
	bool distrust;	     /* what counts as present is hashed: see splitfd_repository_distrust */
	bool has_damage;     /* an object was found damaged; atomic */
	unsigned int losses; /* syncs that failed; atomic */
	unsigned int replaced;	     /* damaged objects; atomic */
	struct sfd_staging *staging; /* NULL until the first object is made; by `lock` */
	int hasher; /* enum sfd_hasher_kind of the fastest, BEST while not known; atomic */
	pthread_mutex_t lock; /* making objects/, staging */
};

/* As splitfd_repository_open, with who ends the wait for the lock, and when; `lock` NULL: zeros. */
int sfd_repository_open(const char *path, bool write, const struct sfd_lock_options *lock,
	struct splitfd_repository **ret, struct splitfd_error *err);

/* One without a path and descriptors; NULL when memory is short. */
struct splitfd_repository *sfd_repository_new(void);

/* The descriptor of objects/, which is made first where `create`. It stays the repository's.
 * -ENOENT without a text where it is not there and not to be made. */
int sfd_repository_objects(
	struct splitfd_repository *repository, bool create, struct splitfd_error *err);

/* Writes all that was made to the disk, by syncfs(2). */
int sfd_repository_sync(struct splitfd_repository *repository, struct splitfd_error *err);
/* How many such syncs have failed. Objects that were made before such a failure and not published
 * may be lost, and the kernel does not say which. */
unsigned int sfd_repository_losses(const struct splitfd_repository *repository);
/* Sets the error for who made objects before such a failure. */
int sfd_repository_lost(const struct splitfd_repository *repository, struct splitfd_error *err);

/* The fastest hasher, found out once. */
enum sfd_hasher_kind sfd_repository_hasher(struct splitfd_repository *repository);

#endif
