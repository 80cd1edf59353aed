/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SPLITFDSTREAM_READER_H
#define SPLITFD_SPLITFDSTREAM_READER_H

/*
 * splitfdstream, the wire format: chunks, each behind a signed 64-bit little-endian prefix.
 *
 *	-n  (negative)	n raw bytes follow (1 to 256 MiB)
 *	k   (else)	the whole content of the file behind descriptor k
 *
 * No header, no end mark: the stream ends at a prefix boundary. Source of the format: the
 * splitfdstream prototype of composefs-rs (April 2026). Refused here although that reader lets it
 * pass: 1 to 7 bytes of a prefix at the end, the prefix -2^63, an index of 2^32 or more, a
 * descriptor that is no regular file open for reading.
 */

#include "splitfdstream/chunk.h"
#include "splitfdstream/wire.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A source that reads the format. Always takes the input, also on failure. Inline chunks are given
 * in pieces of at most 64 KiB (is_content false: the format does not tell), so memory is fixed
 * whatever the stream holds. FILE chunks own their descriptor, checked to be a regular file open
 * for reading; its size now is the chunk's. Which order of indices is allowed is the input's rule:
 * a channel of descriptors wants 0, 1, 2 …, an array takes any. Errors name the byte offset and
 * stick. *ret is the caller's. */
int splitfd_splitfdstream_reader_new(
	struct splitfd_input *input, struct splitfd_source **ret, struct splitfd_error *err);

#ifdef __cplusplus
}
#endif

#endif
