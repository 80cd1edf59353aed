/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_PULL_STORED_H
#define SPLITFD_SHIM_PULL_STORED_H

/*
 * The records of layers that the repository has already, from their stored streams: read by a
 * thread beside the import of those that are new, and by whoever waits for them.
 */

#include "transport/composefs/image-tree.h"

struct sfd_pull_stored;

/* NULL when memory is short. The repository must outlive it. */
struct sfd_pull_stored *sfd_pull_stored_new(struct splitfd_repository *repository, size_t n);
/* NULL is allowed. Waits for the layer that is being read. Returns NULL. */
struct sfd_pull_stored *sfd_pull_stored_free(struct sfd_pull_stored *stored);

/* Adds one of at most n layers, before the start. `diff_id` must stay. */
void sfd_pull_stored_add(
	struct sfd_pull_stored *stored, const struct splitfd_digest *stream, const char *diff_id);
/* Starts the thread. Without one, all is read by sfd_pull_stored_take. */
void sfd_pull_stored_start(struct sfd_pull_stored *stored);

/* The finished record of a layer that was added (else FAILED), which is the caller's from then on.
 * To be called once for each, by one thread. `stored` may be NULL. */
int sfd_pull_stored_take(struct sfd_pull_stored *stored, const char *diff_id,
	struct sfd_tree_layer **ret, struct splitfd_error *err);

#endif
