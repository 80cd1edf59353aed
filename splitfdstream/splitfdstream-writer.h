/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SPLITFDSTREAM_WRITER_H
#define SPLITFD_SPLITFDSTREAM_WRITER_H

/*
 * The writer of splitfdstream (see splitfdstream-reader.h for the format).
 */

#include "splitfdstream/chunk.h"
#include "splitfdstream/wire.h"

#ifdef __cplusplus
extern "C" {
#endif

struct splitfd_splitfdstream_writer_options {
	/* Files of at most so many bytes are written inline (their CRC-64 is checked then); 0:
	 * every file that is not empty is sent as a descriptor. More than 256 MiB counts as
	 * 256 MiB. */
	uint64_t inline_max;
};

/* A sink that writes the format. Always takes the output, also on failure; one that passes no
 * descriptors makes a file above inline_max an error. Descriptors get the indices 0, 1, 2 … in the
 * order of the stream; each batch (the output's fd_batch) goes just ahead of the bytes that refer
 * to it, and is closed here once it is sent. `options` NULL means inline_max 0. finish() writes
 * what is left; the format has no end mark. *ret is the caller's. */
int splitfd_splitfdstream_writer_new(struct splitfd_output *output,
	const struct splitfd_splitfdstream_writer_options *options, struct splitfd_sink **ret,
	struct splitfd_error *err);

#ifdef __cplusplus
}
#endif

#endif
