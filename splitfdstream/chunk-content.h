/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_CHUNK_CONTENT_H
#define SPLITFD_CHUNK_CONTENT_H

/*
 * The content of a FILE chunk's open file, piece by piece, checked.
 */

#include "splitfdstream/chunk.h"

#include <sys/types.h>

/* Starts as { .chunk = …, .fd = … }; both are borrowed. */
struct sfd_chunk_content {
	const struct splitfd_chunk *chunk;
	int fd;
	uint64_t done; /* bytes read so far */
	uint64_t crc;
};

/* The next bytes of it, at most n (> 0), from offset `done` on: their number. 0: that was all, it
 * has the chunk's size and, where that is known, its CRC-64. */
ssize_t sfd_chunk_content_read(
	struct sfd_chunk_content *c, void *buffer, size_t n, struct splitfd_error *err);

#endif
