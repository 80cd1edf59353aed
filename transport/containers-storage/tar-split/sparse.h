/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_CONTAINERS_STORAGE_SPARSE_H
#define SPLITFD_CONTAINERS_STORAGE_SPARSE_H

/*
 * What the headers of a member say that the tar-split's line does not: its type, and which parts
 * of a GNU sparse file the tar holds (the store has the file expanded, and the line gives the
 * expanded size). Formats 0.0 and 0.1 have the map in the pax header, which the tar-split keeps;
 * format 1.0 has it in front of the data, where it is lost. Source: GNU tar's manual, "Storing
 * Sparse Files".
 */

#include "splitfdstream/chunk.h"

enum sfd_sparse_form {
	SFD_SPARSE_NONE,
	SFD_SPARSE_MAP, /* 0.0, 0.1: `ranges` are what the tar holds */
	SFD_SPARSE_1_0, /* cannot be written again */
};

struct sfd_sparse_range {
	uint64_t offset, size;
};

/* Starts as { 0 }; the owner calls sfd_member_done(). */
struct sfd_member {
	char type; /* type flag of the member's own header; 0: not known */
	enum sfd_sparse_form form;
	struct sfd_sparse_range *ranges;
	size_t n_ranges, cap;
	uint64_t stored; /* the ranges' bytes together */
};

/* Empties *m, keeping its memory, and reads the headers in n bytes, a segment of a tar-split that
 * starts with `padding` bytes of the member before. Bytes that are no headers leave the type 0.
 * -EINVAL (kind REFUSED) for a sparse map that makes no sense, -ENOMEM. */
int sfd_member_read(struct sfd_member *m, const uint8_t *data, size_t n, size_t padding,
	struct splitfd_error *err);

void sfd_member_done(struct sfd_member *m);

/* *chunk is the expanded file, with its size and CRC-64, both of which are checked. Makes it what
 * the tar holds: an open descriptor of a file without a name with the ranges' bytes, below the
 * directory `spool_dir` (-1: $TMPDIR or /var/tmp). A chunk of size 0 has no descriptor. */
int sfd_sparse_pack(const struct sfd_member *m, int spool_dir, struct splitfd_chunk *chunk,
	struct splitfd_error *err);

#endif
