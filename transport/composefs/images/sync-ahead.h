/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_SYNC_AHEAD_H
#define SPLITFD_COMPOSEFS_SYNC_AHEAD_H

/*
 * Writes to the disk what an import has made while the import goes on, so that the syncfs(2) before
 * its names (names.h) has little left to wait for. A thread of its own, started when there is
 * enough to write, does that; one at a time.
 */

#include <stdint.h>

struct sfd_sync_ahead;

/* `sync` writes what was made so far: 0 or -errno. NULL when memory is short. */
struct sfd_sync_ahead *sfd_sync_ahead_new(int (*sync)(void *ctx), void *ctx);
/* Waits for a sync that is at work. NULL is allowed. Returns NULL. */
struct sfd_sync_ahead *sfd_sync_ahead_free(struct sfd_sync_ahead *sync);

/* An object was made, with so many bytes of data to write (0 where extents are shared). Syncs where
 * enough has come together. Any thread. */
void sfd_sync_ahead_wrote(struct sfd_sync_ahead *sync, uint64_t bytes);

/* No object comes for a while: syncs also less, unless it is too little to gain anything. */
void sfd_sync_ahead_pause(struct sfd_sync_ahead *sync);

/* Waits for a sync that is at work. 0, or the -errno of the first that failed: the kernel tells a
 * descriptor of a lost write only once, so a later syncfs would not know. */
int sfd_sync_ahead_finish(struct sfd_sync_ahead *sync);

#endif
