/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_TAR_PIPE_WRITER_H
#define SPLITFD_TAR_PIPE_WRITER_H

/*
 * Blobs into a client's pipe, with bounded waiting. Large files go from the page cache to the pipe
 * by splice.
 */

#include "transport/tar/tar-follow.h"

/* The writing end of a client's pipe. */
struct sfd_pipe_writer {
	int fd;	       /* non-blocking; borrowed */
	int cancel_fd; /* readable when the session ends; borrowed; -1: none */
	int stall_ms;  /* a client that takes no byte for this long is given up */
	uint64_t bytes;
};

/* All n bytes. -EPIPE where the client closed its end, -ETIMEDOUT, -ECANCELED; kind PEER. */
int sfd_pipe_write(
	struct sfd_pipe_writer *w, const void *data, size_t n, struct splitfd_error *err);

/* 0, or the error where the client has closed its end or the session has ended. */
int sfd_pipe_check(struct sfd_pipe_writer *w, struct splitfd_error *err);

/* The layer's `size` bytes (UINT64_MAX: not known). `again` is the same layer, opened a second
 * time, for the check of all that was sent; both borrowed. *digest, where not NULL, is the whole's
 * sha256. Stops at the first error of either side. */
int sfd_pipe_write_layer(struct sfd_pipe_writer *w, struct splitfd_source *source,
	struct splitfd_source *again, uint64_t size, uint8_t digest[32], struct splitfd_error *err);

#endif
