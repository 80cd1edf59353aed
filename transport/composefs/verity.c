/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/verity.h"
#include "transport/composefs/algorithm.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DESCRIPTOR_SIZE 256

/* fsverity_descriptor: version, algorithm, log2 of the block, no salt, size, root hash. */
static void make_descriptor(enum splitfd_algorithm algorithm, uint64_t size, const uint8_t *root,
	uint8_t descriptor[DESCRIPTOR_SIZE])
{
	uint64_t le = htole64(size);

	memset(descriptor, 0, DESCRIPTOR_SIZE);
	descriptor[0] = 1;
	descriptor[1] = (uint8_t)algorithm;
	descriptor[2] = 12;
	memcpy(descriptor + 8, &le, sizeof(le));
	if (size > 0)
		memcpy(descriptor + 16, root, sfd_digest_size(algorithm));
}

/* The block hashes of n bytes, one behind the other at `out`; a last, short block is filled up
 * with zeros in `tail`. */
static void add_blocks(
	struct sfd_hasher *hasher, const uint8_t *data, size_t n, uint8_t *tail, uint8_t *out)
{
	size_t h = sfd_digest_size(sfd_hasher_algorithm(hasher));
	size_t i;

	for (i = 0; n - i >= SFD_VERITY_BLOCK; i += SFD_VERITY_BLOCK, out += h)
		sfd_hasher_add(hasher, data + i, SFD_VERITY_BLOCK, out);
	if (i == n)
		return;
	memcpy(tail, data + i, n - i);
	memset(tail + (n - i), 0, SFD_VERITY_BLOCK - (n - i));
	sfd_hasher_add(hasher, tail, SFD_VERITY_BLOCK, out);
}

/* All files' leaves, then all nodes, then all descriptors: each wave fills the lanes. */
int sfd_verity_files(struct sfd_hasher *hasher, struct sfd_verity_scratch *s,
	struct sfd_verity_file *files, size_t n)
{
	enum splitfd_algorithm algorithm = sfd_hasher_algorithm(hasher);
	size_t h = sfd_digest_size(algorithm);
	int r;

	for (size_t i = 0; i < n; i++) {
		size_t blocks = (files[i].size + SFD_VERITY_BLOCK - 1) / SFD_VERITY_BLOCK;

		if (blocks > 1)
			memset(s->node[i] + blocks * h, 0, SFD_VERITY_BLOCK - blocks * h);
		add_blocks(hasher, files[i].data, files[i].size, s->tail[i],
			blocks > 1 ? s->node[i] : s->root[i]);
	}
	r = sfd_hasher_flush(hasher);
	for (size_t i = 0; r == 0 && i < n; i++) {
		if (files[i].size > SFD_VERITY_BLOCK)
			sfd_hasher_add(hasher, s->node[i], SFD_VERITY_BLOCK, s->root[i]);
	}
	if (r == 0)
		r = sfd_hasher_flush(hasher);
	for (size_t i = 0; r == 0 && i < n; i++) {
		make_descriptor(algorithm, files[i].size, s->root[i], s->tail[i]);
		files[i].digest.size = (uint8_t)h;
		sfd_hasher_add(hasher, s->tail[i], DESCRIPTOR_SIZE, files[i].digest.bytes);
	}
	return r == 0 ? sfd_hasher_flush(hasher) : r;
}

int sfd_verity_piece(struct sfd_hasher *hasher, struct sfd_verity_scratch *s, const uint8_t *data,
	size_t n, uint8_t *out)
{
	size_t h = sfd_digest_size(sfd_hasher_algorithm(hasher));
	size_t subtree = SFD_VERITY_BLOCK / h * SFD_VERITY_BLOCK;
	int count = 0, r;

	for (size_t i = 0; i < n; i += subtree) {
		size_t len = n - i < subtree ? n - i : subtree;
		size_t used = (len + SFD_VERITY_BLOCK - 1) / SFD_VERITY_BLOCK * h;

		memset(s->node[count] + used, 0, SFD_VERITY_BLOCK - used);
		add_blocks(hasher, data + i, len, s->tail[0], s->node[count]);
		count++;
	}
	r = sfd_hasher_flush(hasher);
	if (r < 0)
		return r;
	for (int i = 0; i < count; i++)
		sfd_hasher_add(hasher, s->node[i], SFD_VERITY_BLOCK, out + (size_t)i * h);
	r = sfd_hasher_flush(hasher);
	return r < 0 ? r : count;
}

void sfd_verity_tree_begin(struct sfd_verity_tree *t)
{
	t->n_levels = 1;
	memset(t->fill, 0, sizeof(t->fill));
}

/* The hash of a level's node, the rest of which is zero; the level is empty again. */
static int close_node(
	struct sfd_verity_tree *t, struct sfd_hasher *hasher, unsigned int level, uint8_t *ret)
{
	memset(t->node[level] + t->fill[level], 0, SFD_VERITY_BLOCK - t->fill[level]);
	sfd_hasher_add(hasher, t->node[level], SFD_VERITY_BLOCK, ret);
	t->fill[level] = 0;
	return sfd_hasher_flush(hasher);
}

/* A full node is closed only when one more hash comes, so that the last hash of a level is always
 * still there at the end. 64^10 blocks are more than any file has: the levels do not run out. */
static int add_hash(struct sfd_verity_tree *t, struct sfd_hasher *hasher, unsigned int level,
	const uint8_t *hash)
{
	size_t h = sfd_digest_size(sfd_hasher_algorithm(hasher));
	uint8_t carry[2][SPLITFD_DIGEST_MAX];
	unsigned int turn = 0;
	int r;

	for (;; level++) {
		bool full = t->fill[level] == SFD_VERITY_BLOCK;

		if (full) {
			r = close_node(t, hasher, level, carry[turn]);
			if (r < 0)
				return r;
		}
		memcpy(t->node[level] + t->fill[level], hash, h);
		t->fill[level] += h;
		if (t->n_levels <= level)
			t->n_levels = level + 1;
		if (!full)
			return 0;
		hash = carry[turn];
		turn ^= 1;
	}
}

int sfd_verity_tree_add(
	struct sfd_verity_tree *tree, struct sfd_hasher *hasher, const uint8_t *hash)
{
	return add_hash(tree, hasher, 0, hash);
}

int sfd_verity_tree_final(struct sfd_verity_tree *t, struct sfd_hasher *hasher, uint64_t size,
	struct splitfd_digest *ret)
{
	enum splitfd_algorithm algorithm = sfd_hasher_algorithm(hasher);
	size_t h = sfd_digest_size(algorithm);
	uint8_t hash[SPLITFD_DIGEST_MAX], descriptor[DESCRIPTOR_SIZE];
	unsigned int level;
	int r;

	for (level = 0; level + 1 < t->n_levels || t->fill[level] > h; level++) {
		r = close_node(t, hasher, level, hash);
		if (r == 0)
			r = add_hash(t, hasher, level + 1, hash);
		if (r < 0)
			return r;
	}
	make_descriptor(algorithm, size, t->node[level], descriptor);
	ret->size = (uint8_t)h;
	sfd_hasher_add(hasher, descriptor, DESCRIPTOR_SIZE, ret->bytes);
	return sfd_hasher_flush(hasher);
}

struct sfd_verity {
	struct sfd_hasher *hasher;
	struct sfd_verity_scratch scratch;
	struct sfd_verity_tree tree;
	uint64_t size;
	size_t len; /* bytes in `piece` */
	uint8_t piece[SFD_VERITY_PIECE];
};

struct sfd_verity *sfd_verity_new_by(enum splitfd_algorithm algorithm, enum sfd_hasher_kind kind)
{
	struct sfd_verity *v = malloc(sizeof(*v));

	if (v == NULL)
		return NULL;
	v->hasher = sfd_hasher_new(algorithm, kind);
	if (v->hasher == NULL)
		return sfd_verity_free(v);
	sfd_verity_begin(v);
	return v;
}

struct sfd_verity *sfd_verity_new(enum splitfd_algorithm algorithm)
{
	return sfd_verity_new_by(algorithm, SFD_HASHER_BEST);
}

struct sfd_verity *sfd_verity_free(struct sfd_verity *v)
{
	if (v != NULL)
		sfd_hasher_free(v->hasher);
	free(v);
	return NULL;
}

void sfd_verity_begin(struct sfd_verity *v)
{
	sfd_verity_tree_begin(&v->tree);
	v->size = 0;
	v->len = 0;
}

static int hash_piece(struct sfd_verity *v, const uint8_t *data, size_t n)
{
	size_t h = sfd_digest_size(sfd_hasher_algorithm(v->hasher));
	uint8_t hashes[2 * SPLITFD_DIGEST_MAX];
	int count = sfd_verity_piece(v->hasher, &v->scratch, data, n, hashes);

	for (int i = 0; i < count; i++) {
		int r = sfd_verity_tree_add(&v->tree, v->hasher, hashes + (size_t)i * h);

		if (r < 0)
			return r;
	}
	return count < 0 ? count : 0;
}

int sfd_verity_update(struct sfd_verity *v, const void *data, size_t n)
{
	const uint8_t *p = data;
	int r;

	v->size += n;
	while (n > 0) {
		size_t take = SFD_VERITY_PIECE - v->len;

		/* Whole pieces need no copy; the last one is kept back, because a file of a
		 * single small piece is hashed in another way. */
		if (v->len == 0 && n > SFD_VERITY_PIECE) {
			r = hash_piece(v, p, SFD_VERITY_PIECE);
			take = SFD_VERITY_PIECE;
		} else if (v->len == SFD_VERITY_PIECE) {
			r = hash_piece(v, v->piece, v->len);
			v->len = 0;
			take = 0;
		} else {
			take = n < take ? n : take;
			memcpy(v->piece + v->len, p, take);
			v->len += take;
			r = 0;
		}
		if (r < 0)
			return r;
		p += take;
		n -= take;
	}
	return 0;
}

int sfd_verity_final(struct sfd_verity *v, struct splitfd_digest *ret)
{
	int r = 0;

	if (v->size <= SFD_VERITY_SMALL_MAX) {
		struct sfd_verity_file file = { .data = v->piece, .size = v->len };

		r = sfd_verity_files(v->hasher, &v->scratch, &file, 1);
		if (r == 0)
			*ret = file.digest;
		return r;
	}
	if (v->len > 0)
		r = hash_piece(v, v->piece, v->len);
	v->len = 0;
	return r < 0 ? r : sfd_verity_tree_final(&v->tree, v->hasher, v->size, ret);
}

int sfd_verity_bytes(
	enum splitfd_algorithm algorithm, const void *data, size_t n, struct splitfd_digest *ret)
{
	/* A trial and a manager of its own cost more than they save for little. */
	struct sfd_verity *v = sfd_verity_new_by(
		algorithm, n < 16 * SFD_VERITY_PIECE ? SFD_HASHER_OPENSSL : SFD_HASHER_BEST);
	int r;

	if (v == NULL)
		return -ENOMEM;
	r = sfd_verity_update(v, data, n);
	if (r == 0)
		r = sfd_verity_final(v, ret);
	sfd_verity_free(v);
	return r;
}
