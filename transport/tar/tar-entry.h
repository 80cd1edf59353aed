/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_TAR_ENTRY_H
#define SPLITFD_TAR_ENTRY_H

/*
 * One entry of a tar, as its headers describe it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sfd_tar_xattr {
	const char *name; /* without "SCHILY.xattr." */
	const uint8_t *value;
	size_t name_len, value_len;
};

/* A part of a sparse file that the tar holds. */
struct sfd_tar_range {
	int64_t offset, size;
};

enum sfd_tar_sparseness {
	SFD_TAR_DENSE,
	SFD_TAR_SPARSE_MAP,   /* the content is that of `ranges`, one after the other */
	SFD_TAR_SPARSE_FRONT, /* pax 1.0: the map is the beginning of the content */
};

/* Everything is borrowed for the call. Strings have no NUL behind them, and may have NULs in
 * them where the tar is hostile. */
struct sfd_tar_entry {
	char type; /* '0' to '7' and whatever else the tar has; NUL is given as '0' */
	bool v7;   /* neither ustar nor GNU: no device numbers */
	const char *path, *link;
	size_t path_len, link_len;
	uint32_t mode;
	uint64_t uid, gid;
	int64_t mtime;
	uint32_t mtime_nsec;
	bool pax_before_1970; /* mtime is of a pax record that cfsctl refuses */
	uint32_t dev_major, dev_minor;
	uint64_t size;	  /* of the file */
	uint64_t content; /* bytes in the tar: less where the file is sparse */
	enum sfd_tar_sparseness sparse;
	const struct sfd_tar_range *ranges;
	size_t n_ranges;
	bool external;	     /* the content is an object */
	const uint8_t *data; /* regular files that are not external: `content` bytes, up to 64 */
	const struct sfd_tar_xattr *xattrs; /* in the order of the header; a name may come twice */
	size_t n_xattrs;
};

/* Whose rules an entry is read by. */
enum sfd_tar_rules {
	SFD_TAR_OF_BOTH,   /* so far all was the same to both */
	SFD_TAR_OF_PODMAN, /* cfsctl refuses the layer, or there is a difference */
	SFD_TAR_OF_CFSCTL, /* podman refuses the layer */
};

/* Content of regular files up to this size is inline in a composefs repository, larger content is
 * an object, always. Writers of streams that may end in one keep to it. */
#define SFD_TAR_INLINE_MAX 64

#endif
