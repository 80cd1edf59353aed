/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_VERITY_MB_H
#define SPLITFD_COMPOSEFS_VERITY_MB_H

/*
 * Plain SHA-256 or SHA-512 of many short messages: intel-ipsec-mb's multi-buffer jobs where the
 * library is there and the CPU has the instructions, else OpenSSL. The digests are the same. The
 * library is loaded when the first hasher is made, so that commands that hash nothing do not pay.
 */

#include "transport/composefs/object-digest.h"

#include <stdbool.h>
#include <stddef.h>

struct sfd_hasher; /* one thread's */

enum sfd_hasher_kind {
	SFD_HASHER_BEST,    /* the one that sfd_hasher_choose gives */
	SFD_HASHER_OPENSSL, /* always there */
	SFD_HASHER_MB,	    /* multi-buffer by the widest vectors */
	SFD_HASHER_MB_SHA,  /* multi-buffer by the CPU's SHA instructions (sha256) */
};

/* The fastest on this CPU, by a trial of less than a millisecond where the CPU's features do not
 * settle it: vectors win with AVX-512, often lose to OpenSSL without. Never BEST. */
enum sfd_hasher_kind sfd_hasher_choose(enum splitfd_algorithm algorithm);

/* NULL when memory is short, or where a multi-buffer kind is asked for and not possible. */
struct sfd_hasher *sfd_hasher_new(enum splitfd_algorithm algorithm, enum sfd_hasher_kind kind);
/* NULL is allowed. Returns NULL. */
struct sfd_hasher *sfd_hasher_free(struct sfd_hasher *hasher);

enum splitfd_algorithm sfd_hasher_algorithm(const struct sfd_hasher *hasher);
bool sfd_hasher_is_mb(const struct sfd_hasher *hasher);

/* Starts to hash `len` bytes (1 or more). `data` and `out` (32 or 64 bytes) must stay until
 * sfd_hasher_flush, which ends all that was added. A failure is told by flush. */
void sfd_hasher_add(struct sfd_hasher *hasher, const void *data, size_t len, uint8_t *out);
/* 0, or -EIO where the library failed at any message since the last flush. */
int sfd_hasher_flush(struct sfd_hasher *hasher);

#endif
