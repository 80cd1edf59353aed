/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_TREE_REREAD_H
#define SPLITFD_COMPOSEFS_TREE_REREAD_H

/*
 * A stored layer read as bytes, whatever its stream has as objects: by the rules of one program,
 * and with files that are not in the tar as they are (sparse ones). Slow: every file is read.
 */

#include "transport/composefs/digest-table.h"
#include "transport/composefs/tree/tree-layer.h"

struct sfd_reread {
	struct splitfd_repository *repository;
	enum sfd_tree_xattrs xattrs;
	enum sfd_tar_rules rules; /* OF_PODMAN or OF_CFSCTL */
	/* Where the digests of the files are added; the files are stored then. NULL: they are
	 * hashed only. */
	struct sfd_digest_table *objects;
};

/* Reads the layer in the stream object `stream`. *ret is finished. -EOPNOTSUPP where the program
 * refuses the layer. */
int sfd_tree_layer_reread(const struct sfd_reread *how, const struct splitfd_digest *stream,
	const char *diff_id, struct sfd_tree_layer **ret, struct splitfd_error *err);

#endif
