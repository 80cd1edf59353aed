/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_PROXY_SINK_H
#define SPLITFD_SHIM_PROXY_SINK_H

/*
 * Blobs into a client's pipe: bounded waiting, every file's CRC-64 checked, the digest of the whole
 * made on the way where it is wanted.
 */

#include "splitfdstream/chunk.h"
#include "splitfdstream/digest.h"

/* The writing end of a client's pipe. */
struct sfd_pipe_writer {
	int fd;	       /* non-blocking; borrowed */
	int cancel_fd; /* readable when the session ends; borrowed; -1: none */
	int stall_ms;  /* a client that takes no byte for this long is given up */
	uint64_t bytes;
	struct splitfd_sha256 *sha256; /* fed with what was written, where not NULL; borrowed */
};

/* All n bytes. -EPIPE where the client closed its end, -ETIMEDOUT, -ECANCELED; kind PEER. */
int sfd_pipe_write(
	struct sfd_pipe_writer *w, const void *data, size_t n, struct splitfd_error *err);

/* All chunks of the source. Stops at the first error of either side. */
int sfd_pipe_write_source(
	struct sfd_pipe_writer *w, struct splitfd_source *source, struct splitfd_error *err);

#endif
