/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SKOPEO_BLOB_RELAY_H
#define SPLITFD_SKOPEO_BLOB_RELAY_H

/*
 * A blob from a proxy's pipe into one of ours, by a thread that hashes what passes: a reader of
 * ours needs an end of file, which GetBlob's pipe does not have.
 */

#include "transport/skopeo/proxy-image.h"

struct sfd_blob_relay;

/* Starts the blob of layer i. *ret_fd, the caller's, gives its bytes and then ends, also where
 * something went wrong: only sfd_blob_relay_finish tells. */
int sfd_blob_relay_start(struct sfd_remote_image *image, size_t i, int stall_ms,
	struct sfd_blob_relay **ret, int *ret_fd, struct splitfd_error *err);

/* The rest is not wanted: the end comes soon, with an error, once *ret_fd is closed. */
void sfd_blob_relay_abandon(struct sfd_blob_relay *relay);

/* Waits for the end of the blob; where *ret_fd was closed before it, the rest is only checked. 0
 * where the whole blob came, with its digest and size, and the proxy reports no error. */
int sfd_blob_relay_finish(struct sfd_blob_relay *relay, struct splitfd_error *err);

/* Finishes it, where that was not done. *ret_fd must be closed. NULL is allowed. Returns NULL. */
struct sfd_blob_relay *sfd_blob_relay_free(struct sfd_blob_relay *relay);

#endif
