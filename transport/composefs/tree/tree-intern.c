/* SPDX-License-Identifier: Apache-2.0 */
/* Digests and xattrs are stored once each; inodes hold indices. */
#include "splitfdstream/base/cleanup.h"
#include "transport/composefs/tree/tree-private.h"

#include <string.h>

static uint64_t hash_bytes(uint64_t h, const void *data, size_t n)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 0x100000001b3ULL;
	return h ^ h >> 29;
}

/* Doubles the table; `hash` gives the hash of an index. */
static int grow(struct sfd_tree *tree, struct sfd_tree_index *index,
	uint64_t (*hash)(const struct sfd_tree *tree, uint32_t i))
{
	uint32_t n = index->n_slots == 0 ? 256 : index->n_slots * 2;
	uint32_t *slots;

	if (index->n_slots > UINT32_MAX / 4)
		return -EOVERFLOW;
	slots = calloc(n, sizeof(*slots));
	if (slots == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < index->n_slots; i++) {
		uint32_t at;

		if (index->slots[i] == 0)
			continue;
		at = (uint32_t)hash(tree, index->slots[i] - 1) & (n - 1);
		while (slots[at] != 0)
			at = (at + 1) & (n - 1);
		slots[at] = index->slots[i];
	}
	free(index->slots);
	index->slots = slots;
	index->n_slots = n;
	return 0;
}

void sfd_tree_index_done(struct sfd_tree_index *index)
{
	free(index->slots);
	*index = (struct sfd_tree_index){ 0 };
}

static uint64_t object_hash(const struct sfd_tree *tree, uint32_t i)
{
	uint64_t h;

	memcpy(&h, sfd_tree_digest(tree, i), sizeof(h));
	return h;
}

static int add_object(struct sfd_tree *tree, const uint8_t *digest)
{
	if (tree->n_objects == tree->cap_objects) {
		uint32_t cap = tree->cap_objects + tree->cap_objects / 2 + 64;
		uint8_t *more;

		if (cap < tree->cap_objects)
			return -EOVERFLOW;
		more = reallocarray(tree->objects, cap, tree->digest_size);
		if (more == NULL)
			return -ENOMEM;
		tree->objects = more;
		tree->cap_objects = cap;
	}
	memcpy(tree->objects + (size_t)tree->n_objects * tree->digest_size, digest,
		tree->digest_size);
	tree->n_objects++;
	return 0;
}

int sfd_tree_intern_object(struct sfd_tree *tree, const uint8_t *digest, uint32_t *ret)
{
	struct sfd_tree_index *index = &tree->object_index;
	uint64_t h;
	uint32_t at;
	int r;

	if (index->n_used >= index->n_slots / 4 * 3) {
		r = grow(tree, index, object_hash);
		if (r < 0)
			return r;
	}
	memcpy(&h, digest, sizeof(h));
	at = (uint32_t)h & (index->n_slots - 1);
	for (; index->slots[at] != 0; at = (at + 1) & (index->n_slots - 1)) {
		*ret = index->slots[at] - 1;
		if (memcmp(sfd_tree_digest(tree, *ret), digest, tree->digest_size) == 0)
			return 0;
	}
	r = add_object(tree, digest);
	if (r < 0)
		return r;
	*ret = tree->n_objects - 1;
	index->slots[at] = tree->n_objects;
	index->n_used++;
	return 0;
}

static uint64_t xattr_hash_of(
	const char *name, size_t name_len, const uint8_t *value, size_t value_len)
{
	return hash_bytes(
		hash_bytes(0xcbf29ce484222325ULL + name_len, name, name_len), value, value_len);
}

static uint64_t xattr_hash(const struct sfd_tree *tree, uint32_t i)
{
	const struct sfd_tree_xattr_entry *x = &tree->xattrs[i];

	return xattr_hash_of(x->name, x->name_len, x->value, x->value_len);
}

static int add_xattr(struct sfd_tree *tree, const struct sfd_tree_xattr *xattr)
{
	struct sfd_tree_xattr_entry *x;

	if (tree->n_xattrs == tree->cap_xattrs) {
		uint32_t cap = tree->cap_xattrs + tree->cap_xattrs / 2 + 16;

		if (cap < tree->cap_xattrs)
			return -EOVERFLOW;
		x = reallocarray(tree->xattrs, cap, sizeof(*x));
		if (x == NULL)
			return -ENOMEM;
		tree->xattrs = x;
		tree->cap_xattrs = cap;
	}
	x = &tree->xattrs[tree->n_xattrs];
	x->name_len = xattr->name_len;
	x->value_len = xattr->value_len;
	x->name = sfd_arena_copy(&tree->arena, xattr->name, xattr->name_len);
	x->value = sfd_arena_copy(&tree->arena, xattr->value, xattr->value_len);
	if (x->name == NULL || x->value == NULL)
		return -ENOMEM;
	tree->n_xattrs++;
	return 0;
}

static bool xattr_equal(const struct sfd_tree_xattr_entry *x, const struct sfd_tree_xattr *y)
{
	return x->name_len == y->name_len && x->value_len == y->value_len &&
	       memcmp(x->name, y->name, x->name_len) == 0 &&
	       (x->value_len == 0 || memcmp(x->value, y->value, x->value_len) == 0);
}

int sfd_tree_intern_xattr(struct sfd_tree *tree, const struct sfd_tree_xattr *xattr, uint32_t *ret)
{
	struct sfd_tree_index *index = &tree->xattr_index;
	uint32_t at;
	int r;

	if (index->n_used >= index->n_slots / 4 * 3) {
		r = grow(tree, index, xattr_hash);
		if (r < 0)
			return r;
	}
	at = (uint32_t)xattr_hash_of(xattr->name, xattr->name_len, xattr->value, xattr->value_len) &
	     (index->n_slots - 1);
	for (; index->slots[at] != 0; at = (at + 1) & (index->n_slots - 1)) {
		*ret = index->slots[at] - 1;
		if (xattr_equal(&tree->xattrs[*ret], xattr))
			return 0;
	}
	r = add_xattr(tree, xattr);
	if (r < 0)
		return r;
	*ret = tree->n_xattrs - 1;
	index->slots[at] = tree->n_xattrs;
	index->n_used++;
	return 0;
}

static int compare_names(const struct sfd_tree_xattr *a, const struct sfd_tree_xattr *b)
{
	size_t n = a->name_len < b->name_len ? a->name_len : b->name_len;
	int c = n > 0 ? memcmp(a->name, b->name, n) : 0;

	return c != 0 ? c : (int)a->name_len - (int)b->name_len;
}

/* By name; of the same name the later in the item first. The items are pointers into one array. */
static int compare_xattrs(const void *a, const void *b)
{
	const struct sfd_tree_xattr *x = *(const struct sfd_tree_xattr *const *)a;
	const struct sfd_tree_xattr *y = *(const struct sfd_tree_xattr *const *)b;
	int c = compare_names(x, y);

	return c != 0 ? c : (x < y) - (x > y);
}

int sfd_tree_intern_xattrs(struct sfd_tree *tree, const struct sfd_tree_xattr *xattrs, size_t n,
	const struct sfd_xattr_set **ret)
{
	sfd_cleanup_free const struct sfd_tree_xattr **sorted = NULL;
	struct sfd_xattr_set *set;
	int r;

	*ret = NULL;
	if (n == 0)
		return 0;
	if (n > UINT32_MAX)
		return -EOVERFLOW;
	sorted = calloc(n, sizeof(struct sfd_tree_xattr *));
	set = sfd_arena_alloc(&tree->arena, sizeof(*set) + n * sizeof(set->ids[0]), 4);
	if (sorted == NULL || set == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		sorted[i] = &xattrs[i];
	qsort(sorted, n, sizeof(struct sfd_tree_xattr *), compare_xattrs);
	set->n = 0;
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && compare_names(sorted[i - 1], sorted[i]) == 0)
			continue;
		r = sfd_tree_intern_xattr(tree, sorted[i], &set->ids[set->n++]);
		if (r < 0)
			return r;
	}
	*ret = set;
	return 0;
}

bool sfd_tree_xattr_kept(enum sfd_tree_xattrs mode, const char *name, size_t len)
{
	static const char capability[] = "security.capability", user[] = "user.";

	if (mode == SFD_TREE_XATTRS_ALL)
		return true;
	if (len == strlen(capability) && memcmp(name, capability, len) == 0)
		return true;
	return mode == SFD_TREE_XATTRS_USER && len >= strlen(user) &&
	       memcmp(name, user, strlen(user)) == 0;
}
