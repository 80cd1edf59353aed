/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_EROFS_WRITER_H
#define SPLITFD_COMPOSEFS_EROFS_WRITER_H

/*
 * A frozen tree as an EROFS image, bit for bit what cfsctl 0.9.4 writes (and mkcomposefs
 * --min-version=1 for format 1). Formats: 0 and 1 (breadth first, compact inodes, 256 whiteouts in
 * the root; they differ in one number of the header), 2 (depth first, extended inodes).
 */

#include "transport/composefs/tree/tree.h"

/* The image's bytes in order, in pieces; a piece is borrowed for the call. 0 or -errno with a
 * text. */
typedef int sfd_erofs_output(void *ctx, const uint8_t *data, size_t len, struct splitfd_error *err);

/* Tells *ret_size (may be NULL) before the first byte. Memory beside the tree: about 20 bytes for
 * each distinct object and the inodes' order. -EFBIG, -EINVAL (kind REFUSED) where the tree does
 * not fit the format; the text names the path. */
int sfd_erofs_write(const struct sfd_tree *tree, int format, uint64_t *ret_size,
	sfd_erofs_output *output, void *ctx, struct splitfd_error *err);

/* The image's fs-verity digest (the image id), without keeping the image. */
int sfd_erofs_digest(const struct sfd_tree *tree, int format, struct splitfd_digest *ret,
	struct splitfd_error *err);

#endif
