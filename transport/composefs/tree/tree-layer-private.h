/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_TREE_LAYER_PRIVATE_H
#define SPLITFD_COMPOSEFS_TREE_LAYER_PRIVATE_H

/* The inside of struct sfd_tree_layer, for tree-layer.c and tree-reread.c. */

#include "transport/composefs/stream/stream-events.h"
#include "transport/composefs/tree/arena.h"
#include "transport/composefs/tree/tree.h"

/* The content of a file: an object, or up to 64 bytes. */
struct sfd_tree_content {
	bool external;
	uint64_t size;
	struct splitfd_digest digest;
	uint8_t bytes[64];
};

struct sfd_tree_layer {
	enum splitfd_algorithm algorithm;
	size_t digest_size;
	enum sfd_tree_xattrs keep;
	char *name;
	struct sfd_stream_listener listener;
	struct sfd_tar_parser *parser;
	const struct splitfd_digest *object; /* while the parser is told of it */
	/* While the layer is read again: the content of the entry at hand. */
	const struct sfd_tree_content *content;
	/* Makes the file of a sparse entry whose content is inline. NULL where nobody can. */
	int (*make)(struct sfd_tree_layer *layer, const struct sfd_tar_entry *e,
		struct sfd_tree_content *ret, struct splitfd_error *err);
	void *make_ctx;
	struct sfd_arena arena;
	struct sfd_tree_record *first, **last;
	enum sfd_tar_rules rules; /* of one program: what the other reads does not matter */
	int failed;		  /* -errno of the first error */
	struct splitfd_error error;
};

#endif
