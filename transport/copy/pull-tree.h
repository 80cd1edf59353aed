/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COPY_PULL_TREE_H
#define SPLITFD_COPY_PULL_TREE_H

/*
 * The file tree of an image, from the records of its layers. Those that the repository has already
 * are read from their stored streams by a thread beside the import of the new ones; it also applies
 * them, as far up as no layer is missing below.
 */

#include "splitfdstream/base/cleanup.h"
#include "transport/composefs/images/image-tree.h"

struct sfd_pull_tree;

/* For an image of these layers, of which one may come twice; both borrowed. `told` is called with
 * each deviation (tree.h), by any thread. */
int sfd_pull_tree_new(struct splitfd_repository *repository, const char *const *diff_ids, size_t n,
	void (*told)(void *ctx, const char *text), void *ctx, struct sfd_pull_tree **ret,
	struct splitfd_error *err);
/* NULL is allowed. Waits for the layer that is being read or applied. Returns NULL. */
struct sfd_pull_tree *sfd_pull_tree_free(struct sfd_pull_tree *t);

/* Layer i is this stream of the repository. Before the start. */
void sfd_pull_tree_stored(struct sfd_pull_tree *t, size_t i, const struct splitfd_digest *stream);
/* Starts the thread. Without one, sfd_pull_tree_finish does all. */
void sfd_pull_tree_start(struct sfd_pull_tree *t);

/* Layer i is this finished record, which is t's from now on. */
void sfd_pull_tree_give(struct sfd_pull_tree *t, size_t i, struct sfd_tree_layer *record);

/* The finished tree, by the rules of OCI images; borrowed. Each layer must be stored or given, a
 * layer that comes twice at its first place. To be called once. */
int sfd_pull_tree_finish(
	struct sfd_pull_tree *t, const struct sfd_tree **ret, struct splitfd_error *err);

SFD_DEFINE_CLEANUP(sfd_cleanup_pull_tree_, struct sfd_pull_tree, sfd_pull_tree_free);
#define sfd_cleanup_pull_tree sfd_cleanup(sfd_cleanup_pull_tree_)

#endif
