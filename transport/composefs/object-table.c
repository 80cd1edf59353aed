/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/object-table.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define KEY	  32
#define PER_BLOCK ((size_t)1024)
#define MIN_SLOTS ((size_t)1024)

struct sfd_object_table {
	pthread_mutex_t lock;
	uint8_t (**blocks)[KEY]; /* PER_BLOCK keys each, so that growing moves nothing */
	size_t n_blocks;
	size_t n;
	uint32_t *slots; /* number of the key + 1; 0 is free */
	size_t n_slots;	 /* a power of two, at least a quarter free */
};

struct sfd_object_table *sfd_object_table_new(void)
{
	struct sfd_object_table *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	pthread_mutex_init(&t->lock, NULL);
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

static const uint8_t *key_at(const struct sfd_object_table *t, size_t i)
{
	return t->blocks[i / PER_BLOCK][i % PER_BLOCK];
}

/* The slot of a key, or the free one where it belongs. Digests are random already. */
static size_t find(const struct sfd_object_table *t, const uint8_t *key)
{
	uint64_t hash;
	size_t slot;

	memcpy(&hash, key + 8, sizeof(hash));
	for (slot = hash & (t->n_slots - 1); t->slots[slot] != 0;
		slot = (slot + 1) & (t->n_slots - 1)) {
		if (memcmp(key_at(t, t->slots[slot] - 1), key, KEY) == 0)
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
		t->slots[find(t, key_at(t, i))] = (uint32_t)i + 1;
	return 0;
}

static int add_block(struct sfd_object_table *t)
{
	void *blocks = realloc(t->blocks, (t->n_blocks + 1) * sizeof(*t->blocks));

	if (blocks == NULL)
		return -ENOMEM;
	t->blocks = blocks;
	t->blocks[t->n_blocks] = malloc(PER_BLOCK * KEY);
	if (t->blocks[t->n_blocks] == NULL)
		return -ENOMEM;
	t->n_blocks++;
	return 0;
}

static int add_key(struct sfd_object_table *t, const uint8_t *key)
{
	int r = 0;

	if (t->slots[find(t, key)] != 0)
		return 0;
	if (t->n == UINT32_MAX - 1)
		return -ENOMEM;
	if ((t->n + 1) * 4 > t->n_slots * 3)
		r = grow_slots(t);
	if (r == 0 && t->n == t->n_blocks * PER_BLOCK)
		r = add_block(t);
	if (r < 0)
		return r;
	memcpy(t->blocks[t->n / PER_BLOCK][t->n % PER_BLOCK], key, KEY);
	t->n++;
	t->slots[find(t, key)] = (uint32_t)t->n;
	return 0;
}

bool sfd_object_table_has(struct sfd_object_table *t, const struct splitfd_digest *digest)
{
	bool has;

	pthread_mutex_lock(&t->lock);
	has = t->slots[find(t, digest->bytes)] != 0;
	pthread_mutex_unlock(&t->lock);
	return has;
}

int sfd_object_table_add(struct sfd_object_table *t, const struct splitfd_digest *digest)
{
	int r;

	pthread_mutex_lock(&t->lock);
	r = add_key(t, digest->bytes);
	pthread_mutex_unlock(&t->lock);
	return r;
}
