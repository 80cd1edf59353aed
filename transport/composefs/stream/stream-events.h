/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_STREAM_EVENTS_H
#define SPLITFD_COMPOSEFS_STREAM_EVENTS_H

/*
 * A layer as its splitstream has it: inline bytes and objects, in order. The import (while it
 * stores a layer) and the splitstream reader (for a stored one) both tell it to a listener; the
 * file tree is one, the tar writer and fsck's sha256 are others.
 */

#include "transport/composefs/repository.h"

struct sfd_stream_listener {
	/* Both return 0 or -errno with a text. `data` and `digest` are borrowed for the call.
	 * Inline data may come in pieces of any size. */
	int (*inline_data)(void *ctx, const uint8_t *data, size_t len, struct splitfd_error *err);
	/* `size` is the object's size in bytes; UINT64_MAX where the teller has not looked. */
	int (*object)(void *ctx, const struct splitfd_digest *digest, uint64_t size,
		struct splitfd_error *err);
	void *ctx;
};

#endif
