/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_DIGEST_TABLE_H
#define SPLITFD_COMPOSEFS_DIGEST_TABLE_H

/*
 * Distinct digests in the order in which they were added: 32 or 64 bytes and 8 to 16 more for each.
 * One thread at a time.
 */

#include "transport/composefs/repository.h"

struct sfd_digest_table {
	uint8_t *digests; /* n * digest_size bytes, raw, in order */
	size_t n, cap;
	uint8_t digest_size; /* 32 or 64 */
	uint32_t *slots;     /* index + 1, 0 is free */
	size_t n_slots;	     /* a power of two */
	uint64_t seed;
};

/* Empty, for digests of that algorithm. */
void sfd_digest_table_init(struct sfd_digest_table *t, enum splitfd_algorithm algorithm);
void sfd_digest_table_done(struct sfd_digest_table *t);

/* The index of a digest, which is added where it is new (*ret_new, may be NULL). -ENOMEM;
 * -EOVERFLOW beyond 2^31 digests; -EINVAL for a digest of another algorithm. */
ptrdiff_t sfd_digest_table_add(
	struct sfd_digest_table *t, const struct splitfd_digest *digest, bool *ret_new);

/* Digest number i. */
void sfd_digest_table_get(const struct sfd_digest_table *t, size_t i, struct splitfd_digest *ret);

#endif
