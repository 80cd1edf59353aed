/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SKOPEO_BLOB_PIPE_H
#define SPLITFD_SKOPEO_BLOB_PIPE_H

/*
 * The pipe of a reply to GetBlob or GetRawBlob. GetBlob's has no end before FinishPipe, so a blob
 * that is shorter than its size would never end: after a second of silence FinishPipe is called
 * beside the reading.
 */

#include "transport/skopeo/proxy-client.h"

#include <sys/types.h>

struct sfd_blob_pipe;

/* Takes the descriptors of `reply`, a success of GetBlob (one descriptor and a pipeid) or
 * GetRawBlob (two); anything else is refused. `size` is the blob's, UINT64_MAX where GetRawBlob
 * does not tell; GetBlob's pipe is read no further than that. `stall_ms` is the longest silence.
 * The proxy is borrowed. *ret is the caller's. */
int sfd_blob_pipe_open(struct sfd_proxy *proxy, struct sfd_proxy_reply *reply, uint64_t size,
	int stall_ms, struct sfd_blob_pipe **ret, struct splitfd_error *err);

/* Up to n bytes: at least 1, 0 at the end. Only one thread may read. */
ssize_t sfd_blob_pipe_read(
	struct sfd_blob_pipe *pipe, void *buffer, size_t n, struct splitfd_error *err);

/* How many bytes were read so far. */
uint64_t sfd_blob_pipe_bytes(const struct sfd_blob_pipe *pipe);

/* Closes the pipe, read to its end or not, and asks what the proxy says of the blob. */
int sfd_blob_pipe_finish(struct sfd_blob_pipe *pipe, struct splitfd_error *err);

/* Finishes it, where that was not done. NULL is allowed. Returns NULL. */
struct sfd_blob_pipe *sfd_blob_pipe_free(struct sfd_blob_pipe *pipe);

#endif
