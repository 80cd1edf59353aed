/* SPDX-License-Identifier: Apache-2.0 */
/* One entry of a layer put into the tree, by cfsctl's rules. */
#include "transport/composefs/tree/tree-walk.h"

#include <errno.h>
#include <limits.h>
#include <linux/limits.h>
#include <string.h>

/* The length of the prefix that makes the name a whiteout's; 0. */
static size_t whiteout_prefix(const struct sfd_tree_walk *last)
{
	static const char prefix[] = ".wh.";
	size_t n = strlen(prefix);

	return last->len >= n && memcmp(last->name, prefix, n) == 0 ? n : 0;
}

/* Checks a path and finds its last component, whose name is NULL where the path is the root's.
 * *ret_prefix is 0, or, where whiteouts count, the length of a whiteout's prefix: its name may be
 * longer by that than one that stays. */
static int split_path(const char *path, size_t len, bool whiteouts, struct sfd_tree_walk *ret,
	size_t *ret_prefix, struct splitfd_error *err)
{
	struct sfd_tree_walk w = { .at = path, .end = path + len }, last = { 0 };
	bool too_long = false;
	size_t prefix = 0;

	while (sfd_tree_walk_next(&w)) {
		too_long = too_long || last.len > NAME_MAX;
		last = w;
	}
	if (whiteouts && last.name != NULL)
		prefix = whiteout_prefix(&last);
	if (len >= PATH_MAX + prefix)
		return sfd_tree_refuse(err, path, len, "a path of more than 4095 bytes");
	if (len > 0 && memchr(path, '\0', len) != NULL)
		return sfd_tree_refuse(err, path, len, "a NUL in a path");
	if (too_long || last.len > NAME_MAX + prefix)
		return sfd_tree_refuse(err, path, len, "a name of more than 255 bytes");
	*ret = last;
	*ret_prefix = prefix;
	return 0;
}

static int set_metadata(
	struct sfd_tree *tree, struct sfd_tree_inode *inode, const struct sfd_tree_item *item)
{
	inode->mode = item->mode;
	inode->uid = item->uid;
	inode->gid = item->gid;
	inode->mtime = item->mtime;
	inode->mtime_nsec = item->mtime_nsec;
	inode->layer = tree->layer_number;
	return sfd_tree_intern_xattrs(tree, item->xattrs, item->n_xattrs, &inode->xattrs);
}

/* podman gives the inode what the link's own header says, cfsctl does not. */
static int link_metadata(
	struct sfd_tree *tree, struct sfd_tree_inode *inode, const struct sfd_tree_item *item)
{
	const struct sfd_xattr_set *xattrs = inode->xattrs;
	bool same_mode = inode->type == SFD_TREE_SYMLINK ||
			 ((inode->mode ^ item->mode) & 07777) == 0;

	if (tree->rules == SFD_TAR_OF_BOTH &&
		(!same_mode || inode->uid != item->uid || inode->gid != item->gid))
		sfd_tree_differ(tree,
			"%.*s is a hard link with an owner or mode of its own: podman gives them "
			"to the file, cfsctl does not",
			sfd_shown_length(item->path_len), item->path);
	if (tree->rules != SFD_TAR_OF_PODMAN || tree->layer_number == 0)
		return 0;
	if (set_metadata(tree, inode, item) < 0)
		return -ENOMEM;
	if (item->n_xattrs == 0)
		inode->xattrs = xattrs;
	return 0;
}

/* The inode that a hard link names. */
static int find_target(struct sfd_tree *tree, const struct sfd_tree_item *item,
	struct sfd_tree_inode **ret, struct splitfd_error *err)
{
	struct sfd_tree_inode *inode = NULL;
	struct sfd_tree_walk last;
	size_t prefix;
	int r;

	r = split_path(item->target, item->target_len, false, &last, &prefix, err);
	if (r < 0)
		return splitfd_error_wrap(err, r, "the target of a hard link");
	r = sfd_tree_walk_target(tree, item, &inode, err);
	if (r < 0)
		return r;
	if (inode == NULL)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EOPNOTSUPP,
			"%.*s is a hard link to %.*s, which is not there", (int)item->path_len,
			item->path, (int)item->target_len, item->target);
	if (inode->type == SFD_TREE_DIRECTORY)
		return sfd_tree_refuse(
			err, item->path, item->path_len, "a hard link to a directory");
	/* Two names: no directory, whatever the archive meant. */
	if (inode->maybe_directory)
		inode->dir = NULL;
	inode->maybe_directory = false;
	*ret = inode;
	return link_metadata(tree, inode, item) < 0 ? splitfd_error_oom(err) : 0;
}

static int set_content(
	struct sfd_tree *tree, struct sfd_tree_inode *inode, const struct sfd_tree_item *item)
{
	switch (item->type) {
	case SFD_TREE_FILE:
		inode->size = item->size;
		inode->maybe_directory = item->maybe_directory && item->size == 0;
		if (item->digest != NULL) {
			inode->external = true;
			return sfd_tree_intern_object(tree, item->digest, &inode->object);
		}
		if (item->size > 0)
			inode->data = sfd_arena_copy(&tree->arena, item->data, item->size);
		return item->size > 0 && inode->data == NULL ? -ENOMEM : 0;
	case SFD_TREE_SYMLINK:
		inode->size = item->target_len;
		inode->data = sfd_arena_copy(&tree->arena, item->target, item->target_len);
		return inode->data == NULL ? -ENOMEM : 0;
	case SFD_TREE_CHARACTER:
	case SFD_TREE_BLOCK:
		inode->size = item->rdev;
		return 0;
	default:
		return 0;
	}
}

static int check_item(const struct sfd_tree_item *item, struct splitfd_error *err)
{
	if (item->type == SFD_TREE_SYMLINK && item->target_len >= PATH_MAX)
		return sfd_tree_refuse(err, item->path, item->path_len,
			"the target of the symlink has more than 4095 bytes");
	if (item->type == SFD_TREE_SYMLINK && item->target_len > 0 &&
		memchr(item->target, '\0', item->target_len) != NULL)
		return sfd_tree_refuse(
			err, item->path, item->path_len, "a NUL in the target of the symlink");
	if ((item->type == SFD_TREE_CHARACTER || item->type == SFD_TREE_BLOCK) &&
		item->rdev > UINT32_MAX)
		return sfd_tree_refuse(
			err, item->path, item->path_len, "a device number of more than 32 bits");
	if (item->type == SFD_TREE_FILE && item->digest == NULL && item->size > SFD_TREE_INLINE_MAX)
		return sfd_tree_refuse(
			err, item->path, item->path_len, "too much content to be inline");
	return 0;
}

static int check_xattrs(const struct sfd_tree_item *item, struct splitfd_error *err)
{
	for (size_t i = 0; i < item->n_xattrs; i++)
		if (item->xattrs[i].name_len > XATTR_NAME_MAX)
			return sfd_tree_refuse(err, item->path, item->path_len,
				"the name of an xattr has more than 255 bytes");
	return 0;
}

/* Makes the inode of an item that is no directory, or finds the one it links to. */
static int make_leaf(struct sfd_tree *tree, const struct sfd_tree_item *item,
	struct sfd_tree_inode **ret, struct splitfd_error *err)
{
	int r;

	if (item->type == SFD_TREE_HARDLINK)
		return find_target(tree, item, ret, err);
	r = check_item(item, err);
	if (r < 0)
		return r;
	*ret = sfd_tree_new_inode(tree, item->type);
	if (*ret == NULL || set_metadata(tree, *ret, item) < 0 || set_content(tree, *ret, item) < 0)
		return splitfd_error_oom(err);
	return 0;
}

/* Puts a directory: over a directory only the metadata changes. */
static int put_directory(struct sfd_tree *tree, struct sfd_tree_inode *parent,
	const struct sfd_tree_walk *last, const struct sfd_tree_item *item)
{
	struct sfd_tree_inode *inode = sfd_tree_lookup(parent->dir, last->name, last->len);

	if (inode == NULL || inode->type != SFD_TREE_DIRECTORY) {
		inode = sfd_tree_back_again(tree, parent, item, last->name, last->len);
		if (inode == NULL)
			inode = sfd_tree_new_directory_inode(tree);
		if (inode == NULL ||
			sfd_tree_set_name(tree, parent->dir, last->name, last->len, inode) < 0)
			return -ENOMEM;
	}
	return set_metadata(tree, inode, item);
}

static int put_leaf(struct sfd_tree *tree, struct sfd_tree_inode *parent,
	const struct sfd_tree_walk *last, struct sfd_tree_inode *inode)
{
	struct sfd_tree_inode *old = NULL;

	if (inode->maybe_directory)
		old = sfd_tree_lookup(parent->dir, last->name, last->len);
	if (old != NULL && (old->type == SFD_TREE_DIRECTORY || old->maybe_directory))
		inode->dir = old->dir;
	return sfd_tree_set_name(tree, parent->dir, last->name, last->len, inode);
}

static int put_root(
	struct sfd_tree *tree, const struct sfd_tree_item *item, struct splitfd_error *err)
{
	if (item->type != SFD_TREE_DIRECTORY)
		return sfd_tree_refuse(
			err, item->path, item->path_len, "the root must be a directory");
	if (set_metadata(tree, tree->root, item) < 0)
		return splitfd_error_oom(err);
	tree->root_known = true;
	return 0;
}

static int put(struct sfd_tree *tree, const struct sfd_tree_item *item, bool whiteouts,
	struct splitfd_error *err)
{
	struct sfd_tree_inode *inode = NULL, *parent = NULL;
	struct sfd_tree_walk last;
	size_t prefix;
	int r;

	tree->n_put++;
	r = split_path(item->path, item->path_len, whiteouts, &last, &prefix, err);
	if (r == 0)
		r = check_xattrs(item, err);
	if (r < 0)
		return r;
	if (last.name == NULL)
		return put_root(tree, item, err);
	if (item->owner_cut)
		sfd_tree_tell(tree, SFD_DEVIATION_OWNER,
			"the owner or group of %.*s is 2^32 or more and is cut to %u:%u, as podman "
			"and "
			"cfsctl do",
			sfd_shown_length(item->path_len), item->path, item->uid, item->gid);
	if (item->before_1970)
		sfd_tree_tell(tree, SFD_DEVIATION_TIME, "the time of %.*s is before 1970 and kept",
			sfd_shown_length(item->path_len), item->path);
	if (sfd_tree_walk_is_parent(&last)) {
		/* cfsctl takes "x/.." for the root, whose metadata /usr replaces. */
		if (item->type == SFD_TREE_DIRECTORY)
			return 0;
		return sfd_tree_no_image(err, item->path, item->path_len, "\"..\" in a path");
	}
	/* A whiteout is one by its name, whatever else it is: old images have hard links. */
	if (item->type != SFD_TREE_DIRECTORY && (prefix == 0 || tree->rules == SFD_TAR_OF_CFSCTL)) {
		r = make_leaf(tree, item, &inode, err);
		if (r < 0)
			return r;
	}
	r = sfd_tree_walk_parents(tree, item, last.name, &parent, err);
	if (r < 0)
		return r;
	if (prefix > 0) {
		r = sfd_tree_whiteout(tree, parent, item, last.name, last.len);
		return r < 0 ? splitfd_error_oom(err) : 0;
	}
	r = inode == NULL ? put_directory(tree, parent, &last, item)
			  : put_leaf(tree, parent, &last, inode);
	return r < 0 ? splitfd_error_oom(err) : 0;
}

int sfd_tree_put(struct sfd_tree *tree, const struct sfd_tree_item *item, struct splitfd_error *err)
{
	return put(tree, item, false, err);
}

int sfd_tree_put_layered(
	struct sfd_tree *tree, const struct sfd_tree_item *item, struct splitfd_error *err)
{
	return put(tree, item, true, err);
}
