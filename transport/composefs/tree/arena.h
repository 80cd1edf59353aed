/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_ARENA_H
#define SPLITFD_COMPOSEFS_ARENA_H

/*
 * Memory that is freed all at once: the many small parts of a file tree. Starts as { 0 }.
 */

#include <stddef.h>
#include <stdint.h>

struct sfd_arena_block;

struct sfd_arena {
	struct sfd_arena_block *blocks; /* the newest first */
	size_t used;			/* bytes of the newest */
};

/* n bytes; `align` is 1, 2, 4 or 8. NULL when memory is short. */
void *sfd_arena_alloc(struct sfd_arena *a, size_t n, size_t align);

/* n bytes from `data`, unaligned. */
void *sfd_arena_copy(struct sfd_arena *a, const void *data, size_t n);

void sfd_arena_done(struct sfd_arena *a);

#endif
