/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_TAR_READING_H
#define SPLITFD_TAR_READING_H

/*
 * An entry as each of two programs reads it: podman, by Go's archive/tar, and cfsctl. Both get the
 * same header block and the same extension headers in front of it.
 */

#include "splitfdstream/base/buffer.h"
#include "transport/tar/tar-entry.h"
#include "transport/tar/tar-header.h"
#include "transport/tar/tar-pax.h"

/* What the extension headers in front of an entry say. */
struct sfd_tar_pending {
	struct sfd_buffer pax, name, link;
	bool have_pax, have_name, have_link;
};

struct sfd_tar_view {
	struct sfd_tar_entry e;
	struct sfd_buffer path; /* prefix "/" name */
	struct sfd_tar_xattrs xattrs;
	struct sfd_tar_ranges ranges; /* podman only */
	bool more_map;		      /* an old GNU sparse file's map goes on in further blocks */
};

void sfd_tar_view_done(struct sfd_tar_view *v);

/* Fill v->e from a decoded header, which is changed, and its block; v->e borrows from the block,
 * from `pending` and from *v. -EINVAL (kind REFUSED) where
 * the program refuses the entry, -EOPNOTSUPP where cfsctl does because the file is sparse,
 * -ENOMEM. */
int sfd_tar_view_cfsctl(struct sfd_tar_view *v, const uint8_t *block, struct sfd_tar_header *h,
	const struct sfd_tar_pending *pending, struct splitfd_error *err);
int sfd_tar_view_podman(struct sfd_tar_view *v, const uint8_t *block,
	const struct sfd_tar_header *h, const struct sfd_tar_pending *pending,
	struct splitfd_error *err);

/* The next block of an old GNU sparse file's map. Clears v->more_map at its end. */
int sfd_tar_view_more_map(struct sfd_tar_view *v, const uint8_t *block, struct splitfd_error *err);

/* True where both are the same entry. Else *text says in what they differ. */
bool sfd_tar_views_agree(const struct sfd_tar_entry *podman, const struct sfd_tar_entry *cfsctl,
	char *text, size_t size);

#endif
