/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_SPLITSTREAM_BYTES_H
#define SPLITFD_COMPOSEFS_SPLITSTREAM_BYTES_H

/*
 * A stored stream as the bytes that it stands for.
 */

#include "transport/composefs/stream/splitstream.h"

/* Who takes the bytes: 0, or -errno with a text, which ends the reading. */
struct sfd_stream_taker {
	int (*take)(void *ctx, const uint8_t *data, size_t len, struct splitfd_error *err);
	void *ctx;
};

/* All bytes of the stream object `digest`, inline and of objects, in order. */
int sfd_stream_bytes(struct splitfd_repository *repository, const struct splitfd_digest *digest,
	const struct sfd_stream_taker *taker, struct splitfd_error *err);

/* Reads all of it: framing, references, objects; that its size is the header's (REFUSED, EBADMSG);
 * and that its sha256 is `diff_id` ("sha256:…"), where this is not NULL (REFUSED, EBADMSG). What
 * the sha256 and size are is given back; either may be NULL. */
int sfd_stream_verify(struct splitfd_repository *repository, const struct splitfd_digest *digest,
	const char *diff_id, char ret_sha256[72], uint64_t *ret_size, struct splitfd_error *err);

#endif
