/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_TREE_WALK_H
#define SPLITFD_COMPOSEFS_TREE_WALK_H

/* Paths of entries: their components, and the way through the tree. */

#include "transport/composefs/tree/tree-private.h"

/* What is left of a path, and the component in front of it. */
struct sfd_tree_walk {
	const char *at, *end;
	const char *name;
	size_t len;
};

/* The next component that is neither empty nor "."; false at the end. */
bool sfd_tree_walk_next(struct sfd_tree_walk *w);

static inline bool sfd_tree_walk_is_parent(const struct sfd_tree_walk *w)
{
	return w->len == 2 && w->name[0] == '.' && w->name[1] == '.';
}

/* Errors that name a path: -EINVAL (kind REFUSED), and -EOPNOTSUPP where the layer is in order, but
 * there is no one tree. */
int sfd_tree_refuse(struct splitfd_error *err, const char *path, size_t len, const char *why);
int sfd_tree_no_image(struct splitfd_error *err, const char *path, size_t len, const char *why);

/* Walks the directories of item->path up to `end`, making what is missing. A symlink that the same
 * layer has made is followed inside of the tree, unless cfsctl's rules count. */
int sfd_tree_walk_parents(struct sfd_tree *tree, const struct sfd_tree_item *item, const char *end,
	struct sfd_tree_inode **ret, struct splitfd_error *err);

/* The inode that a hard link names: *ret is NULL where there is none. ".." is an error. */
int sfd_tree_walk_target(struct sfd_tree *tree, const struct sfd_tree_item *item,
	struct sfd_tree_inode **ret, struct splitfd_error *err);

#endif
