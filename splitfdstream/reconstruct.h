/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_RECONSTRUCT_H
#define SPLITFD_RECONSTRUCT_H

/*
 * Chunks back to the bytes that they stand for.
 */

#include "splitfdstream/chunk.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Takes the stream's bytes in order, in pieces of 1 byte to SPLITFD_INLINE_MAX, borrowed for the
 * call. 0, or -errno with a text, which ends the stream and is what its caller gets. */
typedef int splitfd_bytes_fn(void *ctx, const void *data, size_t n, struct splitfd_error *err);

/* Reads the whole content of a FILE chunk in pieces of at most 64 KiB into `bytes` and checks that
 * it has the chunk's size and, where known, its CRC-64: REFUSED where not. Opens and closes the
 * file; the chunk's descriptor is always taken. */
int splitfd_chunk_read(
	struct splitfd_chunk *chunk, splitfd_bytes_fn *bytes, void *ctx, struct splitfd_error *err);

/* The same of a file that the caller has opened with splitfd_chunk_open, from offset 0 (pread(2));
 * fd stays the caller's. */
int splitfd_chunk_read_fd(const struct splitfd_chunk *chunk, int fd, splitfd_bytes_fn *bytes,
	void *ctx, struct splitfd_error *err);

/* A sink that gives every byte of the stream to `bytes`, which is called with `ctx` while the sink
 * is being put to. *ret is the caller's. */
int splitfd_reconstruct_sink_new(
	splitfd_bytes_fn *bytes, void *ctx, struct splitfd_sink **ret, struct splitfd_error *err);

#ifdef __cplusplus
}
#endif

#endif
