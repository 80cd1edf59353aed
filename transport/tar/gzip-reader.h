/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_TAR_GZIP_READER_H
#define SPLITFD_TAR_GZIP_READER_H

/*
 * A gzip file as one run of plain bytes, strict as Go's compress/gzip is: one or more members
 * (RFC 1952), each with a right CRC-32 and length, nothing before, between or behind them.
 */

#include "splitfdstream/base/error.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct sfd_gzip_reader;

/* Reads fd from its offset on. The descriptor is taken, also on failure. `what` names the file in
 * errors and is copied. *ret is the caller's. */
int sfd_gzip_reader_new(
	int fd, const char *what, struct sfd_gzip_reader **ret, struct splitfd_error *err);

/* Where compressed bytes come from other than a file: up to n bytes, 0 at the end, -errno with a
 * text. */
typedef ssize_t sfd_gzip_input(void *ctx, void *buffer, size_t n, struct splitfd_error *err);

/* The same from `input`; `what` says what is damaged where it is. Zeros after the last member are
 * padding. */
int sfd_gzip_reader_new_input(sfd_gzip_input *input, void *ctx, const char *what,
	struct sfd_gzip_reader **ret, struct splitfd_error *err);

/* Up to n bytes; less only at the end of the file, which is complete then. Returns the count.
 * Damage is -EINVAL with kind REFUSED and names the byte offset in the compressed file; the same
 * error comes again on every further call. */
ssize_t sfd_gzip_read(
	struct sfd_gzip_reader *reader, void *buffer, size_t n, struct splitfd_error *err);

/* NULL is allowed. Returns NULL. */
struct sfd_gzip_reader *sfd_gzip_reader_free(struct sfd_gzip_reader *reader);

#endif
