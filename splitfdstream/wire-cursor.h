/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_WIRE_CURSOR_H
#define SPLITFD_WIRE_CURSOR_H

/*
 * The two readers' common ground: a fixed buffer over an input that knows its place in the stream,
 * and an error that sticks.
 */

#include "splitfdstream/chunk.h"
#include "splitfdstream/wire.h"

/* Longer than any header of either format with its name. */
#define SFD_CURSOR_SIZE ((size_t)64 * 1024)

struct sfd_cursor {
	const char *format; /* the format's name, for error texts */
	struct splitfd_input *input;
	uint64_t offset; /* in the stream, of the first byte not yet taken */
	size_t start, end;
	int failed; /* 0 or -errno: sticks */
	struct splitfd_error error;
	uint8_t buffer[SFD_CURSOR_SIZE];
};

/* Makes at least n (<= SFD_CURSOR_SIZE) bytes available. 1 when they are, 0 when the stream ends at
 * this very place, -errno otherwise: the end in between is a REFUSED error that says how many bytes
 * of `what` are missing. */
int sfd_cursor_need(struct sfd_cursor *c, size_t n, const char *what, struct splitfd_error *err);

/* Gets n (<= SFD_CURSOR_SIZE) bytes, or as many as the stream still has, without taking any.
 * Returns how many are at hand, or -errno. */
ssize_t sfd_cursor_peek(struct sfd_cursor *c, size_t n, struct splitfd_error *err);

/* The bytes at hand. */
const uint8_t *sfd_cursor_at(const struct sfd_cursor *c, size_t *ret_n);

/* Takes n bytes that are at hand. */
void sfd_cursor_take(struct sfd_cursor *c, size_t n);

/* The next bytes of an inline run of which *left (> 0) are still to come, as an INLINE chunk that
 * is good until the next call. `what` is the run's name for the error of a stream that ends in it.
 */
int sfd_cursor_inline(struct sfd_cursor *c, uint64_t *left, const char *what,
	struct splitfd_chunk *ret, struct splitfd_error *err);

/* Joins the next run, n bytes behind a header of `header` bytes, to the INLINE chunk that was given
 * last and ends where the cursor is, so that a stream of tiny runs costs no call of anybody's for
 * each. True where it was done: all of it was at hand, and small enough to be worth the copy. */
bool sfd_cursor_join(struct sfd_cursor *c, size_t header, uint64_t n, struct splitfd_chunk *last);

/* Puts "FORMAT, byte N: " before the text, keeps code and text for good. Returns r. */
int sfd_cursor_fail(struct sfd_cursor *c, uint64_t offset, int r, struct splitfd_error *err);

/* Refuses the stream at `offset`, for good. */
int sfd_cursor_refuse(struct sfd_cursor *c, uint64_t offset, struct splitfd_error *err,
	const char *format, ...) __attribute__((format(printf, 4, 5)));

/* The error that stuck. */
int sfd_cursor_failed(const struct sfd_cursor *c, struct splitfd_error *err);

#endif
