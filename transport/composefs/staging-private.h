/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_STAGING_PRIVATE_H
#define SPLITFD_COMPOSEFS_STAGING_PRIVATE_H

/* The inside of a staging directory, for staging*.c. */

#include "transport/composefs/staging.h"

#include <pthread.h>

#define SFD_STAGING_PREFIX  ".splitfd-staging-"
#define SFD_STAGING_LETTERS 12

struct sfd_batch {
	struct sfd_batch *next; /* of those to publish */
	int fd;
	char name[24];
	uint8_t have_dir[32]; /* bit i: it has the directory <i as hex> */
	size_t n_making;
	unsigned int losses; /* the repository's when the batch was begun */
};

struct sfd_staging {
	struct splitfd_repository *repository; /* borrowed */
	int fd;				       /* of the directory, flocked */
	char name[sizeof(SFD_STAGING_PREFIX) + SFD_STAGING_LETTERS];
	pthread_mutex_t lock;	      /* guards what follows */
	pthread_cond_t moved;	      /* an object is no more in the making */
	struct sfd_batch *current;    /* takes new objects; may be NULL */
	struct sfd_batch *publishing; /* in the order in which they were begun */
	struct sfd_staged *making;    /* those whose digest is known */
	uint64_t counter;	      /* of names */
	bool mode_is_right;	      /* the umask leaves 0644 as it is; atomic */
	pthread_mutex_t publish;      /* one publishes at a time */
};

/* Frees it; what is in its directory stays. NULL is allowed. Returns NULL. */
struct sfd_batch *sfd_batch_free(struct sfd_batch *batch);

static inline bool sfd_bit(const uint8_t *bits, uint8_t i)
{
	return (bits[i / 8] & (1U << (i & 7))) != 0;
}

static inline void sfd_set_bit(uint8_t *bits, uint8_t i)
{
	bits[i / 8] |= (uint8_t)(1U << (i & 7));
}

/* Removes dir/name and all below it; at most a few levels, no other file system, never through a
 * symlink. 0 or -errno. */
int sfd_staging_remove(int dir, const char *name);

#endif
