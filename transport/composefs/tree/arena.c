/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/tree/arena.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE ((size_t)64 * 1024)

struct sfd_arena_block {
	struct sfd_arena_block *next;
	size_t size;
	_Alignas(8) uint8_t data[];
};

static struct sfd_arena_block *new_block(size_t size)
{
	struct sfd_arena_block *block;

	if (size > SIZE_MAX / 2)
		return NULL;
	block = malloc(sizeof(*block) + size);
	if (block != NULL)
		block->size = size;
	return block;
}

/* A block of its own, behind the newest, which stays in use. */
static void *alloc_large(struct sfd_arena *a, size_t n)
{
	struct sfd_arena_block *block = new_block(n);

	if (block == NULL)
		return NULL;
	if (a->blocks == NULL) {
		block->next = NULL;
		a->blocks = block;
		a->used = n;
	} else {
		block->next = a->blocks->next;
		a->blocks->next = block;
	}
	return block->data;
}

void *sfd_arena_alloc(struct sfd_arena *a, size_t n, size_t align)
{
	size_t start = (a->used + align - 1) & ~(align - 1);

	if (n > BLOCK_SIZE / 4)
		return alloc_large(a, n);
	if (a->blocks == NULL || start > a->blocks->size || a->blocks->size - start < n) {
		struct sfd_arena_block *block = new_block(BLOCK_SIZE);

		if (block == NULL)
			return NULL;
		block->next = a->blocks;
		a->blocks = block;
		start = 0;
	}
	a->used = start + n;
	return a->blocks->data + start;
}

void *sfd_arena_copy(struct sfd_arena *a, const void *data, size_t n)
{
	void *to = sfd_arena_alloc(a, n, 1);

	if (to != NULL && n > 0)
		memcpy(to, data, n);
	return to;
}

void sfd_arena_done(struct sfd_arena *a)
{
	while (a->blocks != NULL) {
		struct sfd_arena_block *next = a->blocks->next;

		free(a->blocks);
		a->blocks = next;
	}
	a->used = 0;
}
