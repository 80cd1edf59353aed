/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_INLINE_RUN_H
#define SPLITFD_COMPOSEFS_INLINE_RUN_H

/*
 * A run of inline bytes whose length must be known before its first byte is written: a few MiB in
 * memory, what is more in an unlinked file.
 */

#include "splitfdstream/base/buffer.h"
#include "splitfdstream/base/error.h"

struct sfd_inline_run {
	struct sfd_buffer memory; /* the tail */
	uint64_t spilled;	  /* bytes before it, in fd */
	int fd;			  /* -EBADF until it is needed */
};

void sfd_inline_run_init(struct sfd_inline_run *run);
void sfd_inline_run_done(struct sfd_inline_run *run);
uint64_t sfd_inline_run_length(const struct sfd_inline_run *run);
int sfd_inline_run_add(
	struct sfd_inline_run *run, const void *data, size_t n, struct splitfd_error *err);
/* Gives all bytes to `take` in order and empties the run. The first error of `take` ends it. */
int sfd_inline_run_flush(struct sfd_inline_run *run,
	int (*take)(void *ctx, const void *data, size_t n, struct splitfd_error *err), void *ctx,
	struct splitfd_error *err);

#endif
