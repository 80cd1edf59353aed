/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_IMAGE_ARGUMENT_H
#define SPLITFD_SHIM_IMAGE_ARGUMENT_H

/*
 * A stored image as the commands that work on its tree are given it: a tag, or "@sha256:…" with the
 * digest of a manifest or (as cfsctl's dump and compute-id have it) of a config.
 */

#include "transport/copy/image-readings.h"
#include "transport/composefs/images/image-tree.h"

/* The tree of the image. `xattrs` is cfsctl's word: "allowlist-only" or "keep-user-xattrs". What
 * cfsctl would have refused is told on stderr, behind the command's name. */
int sfd_image_argument_tree(struct splitfd_repository *repository, const char *command,
	const char *name, const char *xattrs, const char *tree_of, struct sfd_tree **ret,
	struct splitfd_error *err);

#endif
