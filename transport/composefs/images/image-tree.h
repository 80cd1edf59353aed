/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_IMAGE_TREE_H
#define SPLITFD_COMPOSEFS_IMAGE_TREE_H

/*
 * The tree of an image that is stored in a repository, from its layers' streams.
 */

#include "transport/composefs/images/oci-read.h"
#include "transport/composefs/tree/tree-layer.h"

/* Reads a stored layer (its stream's digest) into a record; `diff_id` stands in error texts. The
 * record is finished. */
int sfd_tree_layer_read(struct splitfd_repository *repository, const struct splitfd_digest *stream,
	const char *diff_id, enum sfd_tree_xattrs xattrs, struct sfd_tree_layer **ret,
	struct splitfd_error *err);

/* The finished tree of the image with this config. `told` (NULL is allowed) is told of deviations,
 * see sfd_tree_on_deviation. */
int sfd_image_tree(struct splitfd_repository *repository, const struct sfd_oci_document *config,
	const struct sfd_oci_config *facts, enum sfd_tree_xattrs xattrs,
	void (*told)(void *ctx, const char *text), void *ctx, struct sfd_tree **ret,
	struct splitfd_error *err);

/* The EROFS formats that the repository asks for, the default first, each once. At most
 * SFD_IMAGE_FORMATS; returns their count. */
#define SFD_IMAGE_FORMATS 4
size_t sfd_image_formats(
	const struct splitfd_repository *repository, int formats[SFD_IMAGE_FORMATS]);

#endif
