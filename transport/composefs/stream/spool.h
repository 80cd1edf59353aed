/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_SPOOL_H
#define SPLITFD_COMPOSEFS_SPOOL_H

/*
 * Bytes whose length must be known before the first of them is written: some in memory, what is
 * more in a file without a name, below a directory of the caller's choice.
 */

#include "splitfdstream/base/buffer.h"
#include "splitfdstream/base/error.h"

struct sfd_spool {
	struct sfd_buffer memory; /* the tail */
	uint64_t spilled;	  /* bytes before it, in fd */
	int fd;			  /* -EBADF until it is needed */
	int dir;		  /* borrowed */
};

/* Empty. Keeps up to `memory_max` bytes in memory, the rest in sfd_unnamed_file(dir); `dir` is
 * borrowed until sfd_spool_done(). */
void sfd_spool_init(struct sfd_spool *spool, size_t memory_max, int dir);
void sfd_spool_done(struct sfd_spool *spool);
uint64_t sfd_spool_length(const struct sfd_spool *spool);
int sfd_spool_add(struct sfd_spool *spool, const void *data, size_t n, struct splitfd_error *err);
/* Gives all bytes to `take` in order and empties the spool. The first error of `take` ends it. */
int sfd_spool_flush(struct sfd_spool *spool,
	int (*take)(void *ctx, const uint8_t *data, size_t n, struct splitfd_error *err), void *ctx,
	struct splitfd_error *err);

#endif
