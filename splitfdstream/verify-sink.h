/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_VERIFY_SINK_H
#define SPLITFD_VERIFY_SINK_H

/*
 * Verification as a filter between a source and a sink: sha256 and size of the whole stream,
 * CRC-64 and size of every file.
 */

#include "splitfdstream/chunk.h"

#ifdef __cplusplus
extern "C" {
#endif

struct splitfd_verify_options {
	const char *diff_id; /* "sha256:HEX" that the stream must have; NULL: any */
	uint64_t size;	     /* bytes that it must have; UINT64_MAX: any */
};

/* A sink that checks and passes every chunk on to `next` (NULL: nowhere); always takes `next`, also
 * on failure. Files are read here, so a FILE chunk reaches `next` with an open descriptor. finish()
 * finishes `next` only after the whole was right. A difference is an error of kind REFUSED.
 * `options` (not NULL) is copied; USAGE where its diff_id is none. *ret is the caller's. */
int splitfd_verify_sink_new(struct splitfd_sink *next, const struct splitfd_verify_options *options,
	struct splitfd_sink **ret, struct splitfd_error *err);

/* Of a sink made by splitfd_verify_sink_new, after a finish: the stream's digest ("sha256:HEX" and
 * a NUL, 72 bytes at `text`; "" where the stream failed before its end) and size. Either may be
 * NULL. */
void splitfd_verify_sink_result(const struct splitfd_sink *sink, char text[72], uint64_t *ret_size);

#ifdef __cplusplus
}
#endif

#endif
