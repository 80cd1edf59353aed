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
	uint64_t size;
	bool external;	     /* the content is an object */
	const uint8_t *data; /* regular files that are not external: `size` bytes, at most 64 */
	const struct sfd_tar_xattr *xattrs; /* in the order of the header; a name may come twice */
	size_t n_xattrs;
};

/* Content of regular files up to this size is inline, larger content is external, always. */
#define SFD_TAR_INLINE_MAX 64

#endif
