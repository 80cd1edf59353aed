/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/digest-table.h"
#include "transport/composefs/algorithm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define MAX_DIGESTS ((size_t)1 << 31)

void sfd_digest_table_init(struct sfd_digest_table *t, enum splitfd_algorithm algorithm)
{
	memset(t, 0, sizeof(*t));
	t->digest_size = sfd_digest_size(algorithm);
	/* Without a seed, files could be made whose digests all meet in one slot. Where the kernel
	 * has no randomness yet, the table still works. */
	if (getrandom(&t->seed, sizeof(t->seed), GRND_NONBLOCK) != sizeof(t->seed))
		t->seed = 0x9e3779b97f4a7c15U;
	t->seed |= 1;
}

void sfd_digest_table_done(struct sfd_digest_table *t)
{
	free(t->digests);
	free(t->slots);
	t->digests = NULL;
	t->slots = NULL;
	t->n = t->cap = t->n_slots = 0;
}

/* The slot that holds the digest, or the free one where it belongs. */
static size_t find_slot(const struct sfd_digest_table *t, const uint8_t *digest)
{
	uint64_t h;
	size_t slot;

	memcpy(&h, digest, sizeof(h));
	slot = (size_t)((h * t->seed) >> 32) & (t->n_slots - 1);
	while (t->slots[slot] != 0 &&
		memcmp(t->digests + (size_t)(t->slots[slot] - 1) * t->digest_size, digest,
			t->digest_size) != 0)
		slot = (slot + 1) & (t->n_slots - 1);
	return slot;
}

static int grow_slots(struct sfd_digest_table *t)
{
	size_t n = t->n_slots == 0 ? 64 : t->n_slots * 2;
	uint32_t *slots = calloc(n, sizeof(*slots));

	if (slots == NULL)
		return -ENOMEM;
	free(t->slots);
	t->slots = slots;
	t->n_slots = n;
	for (size_t i = 0; i < t->n; i++)
		t->slots[find_slot(t, t->digests + i * t->digest_size)] = (uint32_t)i + 1;
	return 0;
}

static int grow_digests(struct sfd_digest_table *t)
{
	size_t cap = t->cap == 0 ? 32 : t->cap + t->cap / 2;
	uint8_t *digests = reallocarray(t->digests, cap, t->digest_size);

	if (digests == NULL)
		return -ENOMEM;
	t->digests = digests;
	t->cap = cap;
	return 0;
}

ptrdiff_t sfd_digest_table_add(
	struct sfd_digest_table *t, const struct splitfd_digest *digest, bool *ret_new)
{
	size_t slot;

	if (digest->size != t->digest_size)
		return -EINVAL;
	if (t->n >= t->n_slots / 2 && grow_slots(t) < 0)
		return -ENOMEM;
	slot = find_slot(t, digest->bytes);
	if (ret_new != NULL)
		*ret_new = t->slots[slot] == 0;
	if (t->slots[slot] != 0)
		return (ptrdiff_t)t->slots[slot] - 1;
	if (t->n >= MAX_DIGESTS)
		return -EOVERFLOW;
	if (t->n == t->cap && grow_digests(t) < 0)
		return -ENOMEM;
	memcpy(t->digests + t->n * t->digest_size, digest->bytes, t->digest_size);
	t->slots[slot] = (uint32_t)++t->n;
	return (ptrdiff_t)t->n - 1;
}

void sfd_digest_table_get(const struct sfd_digest_table *t, size_t i, struct splitfd_digest *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->size = t->digest_size;
	memcpy(ret->bytes, t->digests + i * t->digest_size, t->digest_size);
}
