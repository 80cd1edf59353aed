/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_TAR_PAX_H
#define SPLITFD_TAR_PAX_H

/*
 * What the records of a pax header say about an entry. Source of the format: POSIX.1-2017 pax;
 * SCHILY.xattr and GNU.sparse as star and GNU tar write them.
 */

#include "splitfdstream/base/error.h"
#include "transport/tar/tar-entry.h"

/* Room for xattrs, reused from entry to entry; the owner frees `items`. Starts as { 0 }. */
struct sfd_tar_xattrs {
	struct sfd_tar_xattr *items;
	size_t cap;
};

/* Changes *e by the records in `data`, which it then borrows from. -EINVAL (kind REFUSED) for
 * malformed records and for sparse files, -ENOMEM. */
int sfd_tar_pax_apply(const char *data, size_t len, struct sfd_tar_entry *e,
	struct sfd_tar_xattrs *xattrs, struct splitfd_error *err);

#endif
