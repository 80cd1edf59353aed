/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/object-table.h"
#include "transport/composefs/algorithm.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define PER_BLOCK   ((size_t)1024)
#define MIN_SLOTS   ((size_t)1024)
#define MAX_OBJECTS ((size_t)1 << 31)

struct sfd_object_table {
	pthread_mutex_t lock;
	size_t digest_size;
	uint64_t seed;
	uint8_t **blocks; /* PER_BLOCK digests each, so that growing moves nothing */
	size_t n_blocks;
	size_t n;
	uint32_t *slots; /* number of the object + 1; 0 is free */
	size_t n_slots;	 /* a power of two, at least a quarter free */
};

struct sfd_object_table *sfd_object_table_new(enum splitfd_algorithm algorithm)
{
	struct sfd_object_table *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	pthread_mutex_init(&t->lock, NULL);
	t->digest_size = sfd_digest_size(algorithm);
	/* Without a seed, files could be made whose digests all meet in one slot. Where the kernel
	 * has no randomness yet, the table still works. */
	if (getrandom(&t->seed, sizeof(t->seed), GRND_NONBLOCK) != sizeof(t->seed))
		t->seed = 0x9e3779b97f4a7c15U;
	t->seed |= 1;
	t->slots = calloc(MIN_SLOTS, sizeof(*t->slots));
	t->n_slots = MIN_SLOTS;
	return t->slots != NULL ? t : sfd_object_table_free(t);
}

struct sfd_object_table *sfd_object_table_free(struct sfd_object_table *t)
{
	if (t == NULL)
		return NULL;
	for (size_t i = 0; i < t->n_blocks; i++)
		free(t->blocks[i]);
	free(t->blocks);
	free(t->slots);
	pthread_mutex_destroy(&t->lock);
	free(t);
	return NULL;
}

static uint8_t *digest_at(const struct sfd_object_table *t, size_t i)
{
	return t->blocks[i / PER_BLOCK] + i % PER_BLOCK * t->digest_size;
}

/* The slot of a digest, or the free one where it belongs. */
static size_t find(const struct sfd_object_table *t, const uint8_t *digest)
{
	uint64_t hash;
	size_t slot;

	memcpy(&hash, digest, sizeof(hash));
	for (slot = (size_t)((hash * t->seed) >> 32) & (t->n_slots - 1); t->slots[slot] != 0;
		slot = (slot + 1) & (t->n_slots - 1)) {
		if (memcmp(digest_at(t, t->slots[slot] - 1), digest, t->digest_size) == 0)
			break;
	}
	return slot;
}

static int grow_slots(struct sfd_object_table *t)
{
	size_t n_slots = t->n_slots * 2;
	uint32_t *slots = calloc(n_slots, sizeof(*slots));

	if (slots == NULL)
		return -ENOMEM;
	free(t->slots);
	t->slots = slots;
	t->n_slots = n_slots;
	for (size_t i = 0; i < t->n; i++)
		t->slots[find(t, digest_at(t, i))] = (uint32_t)i + 1;
	return 0;
}

static int add_block(struct sfd_object_table *t)
{
	uint8_t **blocks = reallocarray(t->blocks, t->n_blocks + 1, sizeof(*blocks));

	if (blocks == NULL)
		return -ENOMEM;
	t->blocks = blocks;
	t->blocks[t->n_blocks] = malloc(PER_BLOCK * t->digest_size);
	if (t->blocks[t->n_blocks] == NULL)
		return -ENOMEM;
	t->n_blocks++;
	return 0;
}

static ptrdiff_t add(struct sfd_object_table *t, const uint8_t *digest)
{
	size_t slot = find(t, digest);
	int r = 0;

	if (t->slots[slot] != 0)
		return (ptrdiff_t)t->slots[slot] - 1;
	if (t->n == MAX_OBJECTS)
		return -EOVERFLOW;
	if ((t->n + 1) * 4 > t->n_slots * 3) {
		r = grow_slots(t);
		slot = find(t, digest);
	}
	if (r == 0 && t->n == t->n_blocks * PER_BLOCK)
		r = add_block(t);
	if (r < 0)
		return r;
	memcpy(digest_at(t, t->n), digest, t->digest_size);
	t->slots[slot] = (uint32_t)++t->n;
	return (ptrdiff_t)t->n - 1;
}

bool sfd_object_table_has(struct sfd_object_table *t, const struct splitfd_digest *digest)
{
	bool has;

	if (digest->size != t->digest_size)
		return false;
	pthread_mutex_lock(&t->lock);
	has = t->slots[find(t, digest->bytes)] != 0;
	pthread_mutex_unlock(&t->lock);
	return has;
}

ptrdiff_t sfd_object_table_add(struct sfd_object_table *t, const struct splitfd_digest *digest)
{
	ptrdiff_t i;

	if (digest->size != t->digest_size)
		return -EINVAL;
	pthread_mutex_lock(&t->lock);
	i = add(t, digest->bytes);
	pthread_mutex_unlock(&t->lock);
	return i;
}

void sfd_object_table_get(
	struct sfd_object_table *t, const uint32_t *numbers, size_t n, uint8_t *out)
{
	pthread_mutex_lock(&t->lock);
	for (size_t i = 0; i < n; i++)
		memcpy(out + i * t->digest_size, digest_at(t, numbers[i]), t->digest_size);
	pthread_mutex_unlock(&t->lock);
}
