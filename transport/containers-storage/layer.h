/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_CONTAINERS_STORAGE_LAYER_H
#define SPLITFD_CONTAINERS_STORAGE_LAYER_H

/*
 * From opened descriptors to a chunk source: what the record side (database.c, image.c) hands over
 * to the stream side (layer-source.c, layer-files.c, tar-split.c).
 */

#include "splitfdstream/chunk.h"

#include <stddef.h>
#include <stdint.h>

enum sfd_layer_layout {
	SFD_LAYER_OVERLAY, /* dirs[0] is overlay/ID/diff, then the generations diff1…, then lowers
			    */
	SFD_LAYER_VFS,	   /* dirs[0] is vfs/dir/ID */
	SFD_LAYER_COMPOSEFS, /* dirs[0] is overlay/ID/diff with content by digest; toc maps names */
};

struct sfd_layer_desc {
	enum sfd_layer_layout layout;
	const char *layer_id; /* for error texts */
	const char *diff_id;  /* "sha256:HEX", for error texts; NULL where unknown */
	uint64_t diff_size;   /* UINT64_MAX: not recorded, not checked */
	int tar_split_fd;     /* ID.tar-split.gz, read from its start */
	int dirs[1 + 500];    /* O_PATH directories, in the order they are tried */
	size_t n_dirs;
	char *toc; /* COMPOSEFS: the TOC's JSON (zstd-chunked-manifest), malloc'd */
	size_t toc_size;
};

/* Always takes the descriptors and the TOC of *desc (also on failure) and copies the strings.
 * *ret is the caller's. */
int sfd_layer_source_new(
	struct sfd_layer_desc *desc, struct splitfd_source **ret, struct splitfd_error *err);

#endif
