/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_SPLITSTREAM_HEADER_H
#define SPLITFD_COMPOSEFS_SPLITSTREAM_HEADER_H

/*
 * What is in front of a splitstream's chunks: header, info, named references. All checked.
 */

#include "transport/composefs/stream/splitstream.h"

struct sfd_range {
	uint64_t start, end; /* start <= end <= size of the file */
};

struct sfd_splitstream_header {
	struct sfd_range stream_refs, object_refs, stream, named_refs;
	char content_type[9]; /* NUL behind */
	uint64_t stream_size;
};

/* Reads header and info of a file of `size` bytes. */
int sfd_splitstream_read_header(int fd, uint64_t size, enum splitfd_algorithm algorithm,
	struct sfd_splitstream_header *ret, struct splitfd_error *err);

/* Reads the named references; at most 16 MiB of them. *ret is the caller's, also in part. */
int sfd_splitstream_read_refs(int fd, const struct sfd_splitstream_header *header,
	enum splitfd_algorithm algorithm, struct sfd_splitstream_ref **ret, size_t *ret_n,
	struct splitfd_error *err);
void sfd_splitstream_refs_free(struct sfd_splitstream_ref *refs, size_t n);

#endif
