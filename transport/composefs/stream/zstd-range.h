/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_ZSTD_RANGE_H
#define SPLITFD_COMPOSEFS_ZSTD_RANGE_H

/*
 * Decompresses a range of a file: one or more zstd frames, skippable ones among them. Memory is
 * fixed, whatever the frames say (a window of at most 128 MiB, zstd's own limit).
 */

#include "splitfdstream/base/error.h"

#include <stddef.h>
#include <stdint.h>

struct sfd_zstd_range;

/* The bytes from `start` up to `end` of fd, which stays the caller's. */
int sfd_zstd_range_new(int fd, uint64_t start, uint64_t end, struct sfd_zstd_range **ret,
	struct splitfd_error *err);
/* NULL is allowed. Returns NULL. */
struct sfd_zstd_range *sfd_zstd_range_free(struct sfd_zstd_range *z);

/* Bytes that are decompressed and not yet taken; 0 and *ret_n 0 at the end of a complete frame that
 * ends the range. -errno: truncated, malformed, not readable. Borrowed until the next call. */
int sfd_zstd_range_peek(struct sfd_zstd_range *z, const uint8_t **ret_data, size_t *ret_n,
	struct splitfd_error *err);
/* Takes n of the bytes that the last peek gave. */
void sfd_zstd_range_take(struct sfd_zstd_range *z, size_t n);

#endif
