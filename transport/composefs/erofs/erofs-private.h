/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_EROFS_PRIVATE_H
#define SPLITFD_COMPOSEFS_EROFS_PRIVATE_H

/* An image in the making, for the erofs-*.c files. */

#include "transport/composefs/erofs/erofs-format.h"
#include "transport/composefs/tree/tree-private.h"

/* An xattr of the image, by where it comes from. */
enum sfd_xref_kind {
	SFD_XREF_PLAIN,	      /* id: index into tree->xattrs; overlay's own names are escaped */
	SFD_XREF_METACOPY,    /* id: index of the object */
	SFD_XREF_REDIRECT,    /* id: index of the object */
	SFD_XREF_ROOT_OPAQUE, /* formats 0 and 1: the root is opaque */
	SFD_XREF_KINDS,
};

struct sfd_xref {
	enum sfd_xref_kind kind;
	uint32_t id;
};

/* How often each xattr is used, by its id; once shared xattrs have their place, the place plus 2.
 */
struct sfd_xref_uses {
	uint32_t *plain, *metacopy, *redirect;
};

/* Flags of an inode in this image. */
#define SFD_ESCAPED_WHITEOUT 1u /* a character device 0,0 that is written as a regular file */
#define SFD_HAS_WHITEOUTS    2u /* a directory with such a file */

#define SFD_N_STUBS 256

struct sfd_erofs {
	const struct sfd_tree *tree;
	int format;
	bool first; /* formats 0 and 1 */

	/* Inodes in the order of the image, and back from their id; nids in the same order. */
	const struct sfd_tree_inode **order;
	uint32_t n_inodes;
	uint32_t *numbers; /* by id */
	uint32_t *nids;	   /* by number */
	uint8_t *flags;	   /* by number */

	/* Formats 0 and 1: the root's names with the 256 whiteouts among them. */
	struct sfd_tree_inode *stubs;
	void *stub_names;
	struct sfd_tree_name **root_names;
	uint32_t n_root_names;

	struct sfd_xref_uses uses;
	struct sfd_xref *shared; /* those used twice or more, in the order of the image */
	uint32_t n_shared;
	bool has_acl;
	/* Of the xattrs that every external file has, by kind; their names never change. */
	uint32_t entry_size[SFD_XREF_KINDS], filter_bit[SFD_XREF_KINDS];
	struct sfd_xref *scratch; /* the xattrs of the inode at hand */
	uint32_t cap_scratch;

	uint64_t build_time;
	uint32_t build_time_nsec;
	uint64_t inodes_end, data_start, end; /* byte offsets */
};

/* What is known of an inode before it is written. */
struct sfd_erofs_inode {
	uint32_t layout;
	uint32_t mode; /* with the type */
	uint64_t size;
	uint32_t links;
	bool extended;
	uint32_t n_blocks;   /* data blocks */
	uint32_t tail;	     /* bytes right behind inode and xattrs */
	uint32_t head;	     /* bytes of inode and xattrs */
	uint32_t xattr_size; /* 0: no xattrs */
};

/* erofs-order.c: order, numbers, flags, the root's names. */
int sfd_erofs_order(struct sfd_erofs *e, struct splitfd_error *err);
/* The names of a directory in this image, sorted. */
struct sfd_tree_name **sfd_erofs_names(
	const struct sfd_erofs *e, const struct sfd_tree_inode *dir, uint32_t *ret_n);
/* The path of an inode for an error text, cut where it is longer than the buffer. */
void sfd_erofs_path(
	const struct sfd_erofs *e, const struct sfd_tree_inode *inode, char *path, size_t size);

/* erofs-xattr.c */
int sfd_erofs_share_xattrs(struct sfd_erofs *e, struct splitfd_error *err);
/* The xattrs of inode `number` into e->scratch, in the order of the image; their count or -ENOMEM.
 */
int sfd_erofs_xattrs_of(struct sfd_erofs *e, uint32_t number);
/* Bytes of the xattr area of an inode; -E2BIG with a text that names the path. */
int64_t sfd_erofs_xattr_size(struct sfd_erofs *e, uint32_t number, struct splitfd_error *err);
/* Gives the shared xattrs their places from inodes_end on; returns their bytes. */
uint64_t sfd_erofs_place_shared(struct sfd_erofs *e);
/* The place of a shared xattr in words, or -1 where it is not shared. */
int64_t sfd_erofs_shared_at(const struct sfd_erofs *e, struct sfd_xref ref);
/* One entry; returns its bytes, with the padding. */
#define SFD_EROFS_ENTRY_MAX (4 + 255 + 65535 + 3)
uint32_t sfd_erofs_entry(const struct sfd_erofs *e, struct sfd_xref ref, uint8_t *to);
/* The bit that the name sets in the filter. */
uint32_t sfd_erofs_filter_bit(const struct sfd_erofs *e, struct sfd_xref ref);

/* xxh32.c */
uint32_t sfd_xxh32(const uint8_t *data, size_t n, uint32_t seed);

/* erofs-layout.c */
int sfd_erofs_layout(struct sfd_erofs *e, struct splitfd_error *err);
/* The bits of the size of a chunk of a file of that size. */
uint32_t sfd_erofs_chunk_bits(uint64_t size);
int sfd_erofs_measure(struct sfd_erofs *e, uint32_t number, struct sfd_erofs_inode *ret,
	struct splitfd_error *err);
/* Directory content in blocks of 4096 bytes: "." and ".." and the names, sorted. */
struct sfd_erofs_entries {
	struct sfd_tree_name **names;
	uint32_t n;	      /* with "." and ".." */
	uint32_t dot, dotdot; /* their places */
};
void sfd_erofs_entries(
	const struct sfd_erofs *e, const struct sfd_tree_inode *dir, struct sfd_erofs_entries *ret);
/* Text and length of entry i; NULL inode: "." or "..". */
const struct sfd_tree_inode *sfd_erofs_entry_at(
	const struct sfd_erofs_entries *d, uint32_t i, const char **text, size_t *len);
/* The first entry behind the block that starts with `from`. */
uint32_t sfd_erofs_block_end(const struct sfd_erofs_entries *d, uint32_t from, uint32_t *ret_bytes);

#endif
