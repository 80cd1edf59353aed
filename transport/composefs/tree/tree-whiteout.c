/* SPDX-License-Identifier: Apache-2.0 */
/* Whiteouts. podman takes them for the layers below only, whatever their place in the layer; cfsctl
 * applies them where they stand. */
#include "transport/composefs/tree/tree-private.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

/* A directory that a whiteout of the layer has taken away. */
struct sfd_tree_gone {
	struct sfd_tree_gone *next;
	struct sfd_tree_inode *parent, *inode;
	uint8_t len;
	char name[];
};

static bool is_opaque(const char *name, size_t len)
{
	static const char opaque[] = ".wh..wh..opq";

	return len == strlen(opaque) && memcmp(name, opaque, len) == 0;
}

/* Names of a directory, for a walk that removes some. */
struct names {
	struct sfd_tree_name **names;
	size_t n, cap;
	bool no_memory;
};

static void add_name(const void *node, VISIT which, void *closure)
{
	struct names *all = closure;

	if (which != postorder && which != leaf)
		return;
	if (all->n == all->cap) {
		size_t cap = all->cap * 2 + 16;
		struct sfd_tree_name **names = reallocarray(all->names, cap, sizeof(*names));

		if (names == NULL) {
			all->no_memory = true;
			return;
		}
		all->names = names;
		all->cap = cap;
	}
	all->names[all->n++] = *(struct sfd_tree_name *const *)node;
}

/* Whether the layer that is being applied has put something into the directory; where `clear`, all
 * else is removed. Directories nest as deep as a path has components. */
static int has_own(const struct sfd_tree *tree, struct sfd_tree_directory *dir, bool clear)
{
	struct names all = { 0 };
	int own = 0;

	twalk_r(dir->search, add_name, &all);
	if (all.no_memory)
		own = -ENOMEM;
	for (size_t i = 0; own >= 0 && i < all.n && (clear || own == 0); i++) {
		struct sfd_tree_inode *inode = all.names[i]->inode;
		int r = inode->type == SFD_TREE_DIRECTORY ? has_own(tree, inode->dir, clear) : 0;

		if (r < 0)
			own = r;
		else if (r > 0 || sfd_tree_is_own(tree, inode))
			own = 1;
		else if (clear)
			sfd_tree_remove(dir, all.names[i]->text, all.names[i]->len);
	}
	free(all.names);
	return own;
}

static int make_opaque(
	struct sfd_tree *tree, struct sfd_tree_directory *dir, const struct sfd_tree_item *item)
{
	int own = tree->rules != SFD_TAR_OF_CFSCTL ? has_own(tree, dir, false) : 0;

	if (own < 0)
		return own;
	if (own > 0 && tree->rules == SFD_TAR_OF_BOTH)
		sfd_tree_differ(tree,
			"%.*s stands after other entries of its directory: podman keeps them, "
			"cfsctl "
			"does not",
			sfd_shown_length(item->path_len), item->path);
	if (own > 0 && tree->rules == SFD_TAR_OF_PODMAN)
		return has_own(tree, dir, true);
	sfd_tree_clear(dir);
	return 0;
}

int sfd_tree_whiteout(struct sfd_tree *tree, struct sfd_tree_inode *parent,
	const struct sfd_tree_item *item, const char *name, size_t len)
{
	struct sfd_tree_inode *inode;
	struct sfd_tree_gone *gone;
	int r;

	tree->parent = NULL;
	if (is_opaque(name, len)) {
		r = make_opaque(tree, parent->dir, item);
		return r < 0 ? r : 0;
	}
	name += strlen(".wh.");
	len -= strlen(".wh.");
	inode = sfd_tree_lookup(parent->dir, name, len);
	if (inode != NULL && inode->type == SFD_TREE_DIRECTORY && inode->dir->search != NULL &&
		!sfd_tree_is_own(tree, inode)) {
		gone = sfd_arena_alloc(&tree->arena, sizeof(*gone) + len, 8);
		if (gone == NULL)
			return -ENOMEM;
		*gone = (struct sfd_tree_gone){ tree->gone, parent, inode, (uint8_t)len };
		memcpy(gone->name, name, len);
		tree->gone = gone;
	}
	sfd_tree_remove(parent->dir, name, len);
	return 0;
}

struct sfd_tree_inode *sfd_tree_back_again(struct sfd_tree *tree,
	const struct sfd_tree_inode *parent, const struct sfd_tree_item *item, const char *name,
	size_t len)
{
	const struct sfd_tree_gone *gone = tree->gone;

	while (gone != NULL &&
		(gone->parent != parent || gone->len != len || memcmp(gone->name, name, len) != 0))
		gone = gone->next;
	if (gone == NULL)
		return NULL;
	if (tree->rules == SFD_TAR_OF_BOTH)
		sfd_tree_differ(tree,
			"%.*s comes after its own whiteout: podman keeps what the layers below "
			"have "
			"in it, cfsctl does not",
			sfd_shown_length(item->path_len), item->path);
	return tree->rules == SFD_TAR_OF_PODMAN ? gone->inode : NULL;
}
