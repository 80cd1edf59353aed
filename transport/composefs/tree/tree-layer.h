/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_TREE_LAYER_H
#define SPLITFD_COMPOSEFS_TREE_LAYER_H

/*
 * What a layer says about the tree, recorded while its stream passes by. Layers may pass in any
 * order and at once, each from one thread; they are applied in the image's order afterwards
 * (sfd_tree_apply).
 */

#include "splitfdstream/base/cleanup.h"
#include "transport/composefs/stream/stream-events.h"
#include "transport/composefs/tree/tree.h"

/* `name` (the diff_id) stands in error texts and is copied. xattrs that the image will not keep are
 * not recorded. */
int sfd_tree_layer_new(enum splitfd_algorithm algorithm, const char *name,
	enum sfd_tree_xattrs xattrs, struct sfd_tree_layer **ret, struct splitfd_error *err);
/* NULL is allowed. Returns NULL. */
struct sfd_tree_layer *sfd_tree_layer_free(struct sfd_tree_layer *layer);

/* The listener to tell the stream to; it lives as long as the layer. Its calls always return 0: a
 * stream that is no proper tar must not keep the layer from being stored. The first error is kept
 * and sfd_tree_layer_finish gives it back. */
const struct sfd_stream_listener *sfd_tree_layer_listener(struct sfd_tree_layer *layer);

/* The stream is through. 0, or what was wrong with it; the layer can then not be applied. */
int sfd_tree_layer_finish(struct sfd_tree_layer *layer, struct splitfd_error *err);

const char *sfd_tree_layer_name(const struct sfd_tree_layer *layer);

/* Calls `item` for each entry in stream order; stops at the first that is not 0. */
int sfd_tree_layer_tell(const struct sfd_tree_layer *layer,
	int (*item)(void *ctx, const struct sfd_tree_item *item, struct splitfd_error *err),
	void *ctx, struct splitfd_error *err);

SFD_DEFINE_CLEANUP(sfd_cleanup_tree_layer_, struct sfd_tree_layer, sfd_tree_layer_free);
#define sfd_cleanup_tree_layer sfd_cleanup(sfd_cleanup_tree_layer_)

#endif
