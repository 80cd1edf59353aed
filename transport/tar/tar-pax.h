/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_TAR_PAX_H
#define SPLITFD_TAR_PAX_H

/*
 * What the records of a pax header say about an entry. Source of the format: POSIX.1-2017 pax;
 * SCHILY.xattr and GNU.sparse as star and GNU tar write them.
 */

#include "splitfdstream/base/error.h"
#include "splitfdstream/base/error.h"
#include "transport/tar/tar-entry.h"

/* Room for xattrs, reused from entry to entry; the owner frees `items`. Starts as { 0 }. */
struct sfd_tar_xattrs {
	struct sfd_tar_xattr *items;
	size_t cap;
};
int sfd_tar_xattrs_add(struct sfd_tar_xattrs *xattrs, struct sfd_tar_entry *e, const char *name,
	size_t name_len, const char *value, size_t value_len);

/* The same for the map of a sparse file. */
struct sfd_tar_ranges {
	struct sfd_tar_range *items;
	size_t n, cap;
};
#define SFD_TAR_RANGES_MAX ((size_t)1 << 20)
int sfd_tar_ranges_add(struct sfd_tar_ranges *ranges, int64_t offset, int64_t size);
/* Ranges in order, apart from each other, within `size` bytes, and together `stored` bytes. */
bool sfd_tar_ranges_check(
	const struct sfd_tar_range *ranges, size_t n, uint64_t size, uint64_t stored);

/* Changes *e by the records in `data`, which it then borrows from, as cfsctl does. -EINVAL (kind
 * REFUSED) for malformed records, -EOPNOTSUPP for sparse files, -ENOMEM. */
int sfd_tar_pax_apply(const char *data, size_t len, struct sfd_tar_entry *e,
	struct sfd_tar_xattrs *xattrs, struct splitfd_error *err);

/* What the records say about a sparse file: pointers into them, lengths 0 where there is none. */
struct sfd_tar_text {
	const char *text;
	size_t len;
};
struct sfd_tar_sparse {
	struct sfd_tar_text major, minor, name, size, real_size, blocks, map;
	const char *records; /* offset and numbytes records, format 0.0 */
	size_t records_len;
	size_t n_numbers; /* so many of them */
	bool has_numbers; /* one that is not empty, or more than one */
};

/* The same as podman does: of records of one name the last counts, an empty value takes back what
 * came before. */
int sfd_tar_pax_podman(const char *data, size_t len, struct sfd_tar_entry *e,
	struct sfd_tar_xattrs *xattrs, struct sfd_tar_sparse *sparse, struct splitfd_error *err);
/* Whether the records are in order by themselves, also those of a global header. */
int sfd_tar_pax_check_podman(const char *data, size_t len, struct splitfd_error *err);

struct sfd_tar_view;
/* Makes the entry a sparse file where the records say so. */
int sfd_tar_sparse_podman(
	const struct sfd_tar_sparse *sparse, struct sfd_tar_view *v, struct splitfd_error *err);
/* The map is complete: checks it. */
int sfd_tar_ranges_end(struct sfd_tar_view *v, struct splitfd_error *err);

#endif
