/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_CONTAINERS_STORAGE_LAYER_H
#define SPLITFD_CONTAINERS_STORAGE_LAYER_H

/*
 * From opened descriptors to a chunk source: what the record side (database.c, image.c) hands over
 * to the stream side (layer-source.c, layer-files.c, tar-split.c).
 *
 * A layer's own directories are open from the start. The lowers (up to 500: a file of an ID-mapped
 * copy lies in one) are opened one at a time, only for a name that no own directory has, so that a
 * layer costs a handful of descriptors whatever its depth.
 */

#include "splitfdstream/chunk.h"
#include "transport/containers-storage/opener.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Own directories of a layer: diff and the generations diff1, diff2… */
#define SFD_LAYER_DIRS_MAX 8
/* Overlay's own limit of a chain. */
#define SFD_LAYER_LOWERS_MAX 500

struct splitfd_store;

enum sfd_layer_layout {
	SFD_LAYER_OVERLAY,   /* dirs[0] is overlay/ID/diff, then the generations diff1… */
	SFD_LAYER_VFS,	     /* dirs[0] is vfs/dir/ID; no lowers */
	SFD_LAYER_COMPOSEFS, /* dirs[0] is overlay/ID/diff with content by digest; toc maps names */
	SFD_LAYER_BLOB,	     /* of an additional layer store: tar_split_fd is the blob, no dirs */
};

/* Opens lowers. One object for each layer, owned by whoever owns the sfd_layer_desc. */
struct sfd_layer_lowers {
	size_t n; /* nearest lower first */
	/* Opens lower i < n: a new O_PATH directory descriptor for the caller, or -errno. -ENOENT
	 * where it is gone: the layer was removed meanwhile. Called by several threads at once. */
	int (*open)(struct sfd_layer_lowers *lowers, size_t i);
	void (*free)(struct sfd_layer_lowers *lowers);
};

struct sfd_layer_desc {
	enum sfd_layer_layout layout;
	const char *layer_id;	      /* for error texts */
	const char *diff_id;	      /* "sha256:HEX", for error texts; NULL where unknown */
	uint64_t diff_size;	      /* UINT64_MAX: not recorded, not checked */
	bool bytes_only;	      /* files need not be chunks of their own */
	int tar_split_fd;	      /* ID.tar-split.gz, a regular file, read from its start */
	int dirs[SFD_LAYER_DIRS_MAX]; /* O_PATH directories, in the order they are tried */
	size_t n_dirs;
	struct sfd_layer_lowers *lowers; /* tried after dirs; NULL where there are none */
	int spool_dir;		   /* for what has to be kept aside; -EBADF: $TMPDIR or /var/tmp */
	struct sfd_opener *opener; /* a reference; NULL: what may not be opened is an error */
	struct splitfd_store *store; /* a reference: its records say whether the layer was removed
					meanwhile; NULL: only its directory does */
	char *toc; /* COMPOSEFS: the TOC's JSON (zstd-chunked-manifest), malloc'd */
	size_t toc_size;
};

/* Closes and frees all that *desc still has. */
void sfd_layer_desc_done(struct sfd_layer_desc *desc);

/* Always takes the descriptors, the lowers, the references and the TOC of *desc (also on failure)
 * and copies the strings. *ret is the caller's. */
int sfd_layer_source_new(
	struct sfd_layer_desc *desc, struct splitfd_source **ret, struct splitfd_error *err);

#endif
