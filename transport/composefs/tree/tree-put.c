/* SPDX-License-Identifier: Apache-2.0 */
/* One entry of a layer put into the tree, by cfsctl's rules. */
#include "transport/composefs/tree/tree-private.h"

#include <errno.h>
#include <limits.h>
#include <linux/limits.h>
#include <string.h>

static int refuse_path(struct splitfd_error *err, const char *path, size_t len, const char *why)
{
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EINVAL, "%.*s: %s",
		(int)(len < 512 ? len : 512), path, why);
}

/* The same where the layer is in order, but no image can follow cfsctl's rules. */
static int no_image(struct splitfd_error *err, const char *path, size_t len, const char *why)
{
	refuse_path(err, path, len, why);
	if (err != NULL)
		err->errnum = EOPNOTSUPP;
	return -EOPNOTSUPP;
}

/* What is left of a path, and the component in front of it. */
struct walk {
	const char *at, *end;
	const char *name;
	size_t len;
};

/* The next component that is neither empty nor "."; false at the end. */
static bool next_component(struct walk *w)
{
	do {
		while (w->at < w->end && *w->at == '/')
			w->at++;
		w->name = w->at;
		while (w->at < w->end && *w->at != '/')
			w->at++;
		w->len = (size_t)(w->at - w->name);
	} while (w->len == 1 && w->name[0] == '.');
	return w->len > 0;
}

static bool is_parent(const struct walk *w)
{
	return w->len == 2 && w->name[0] == '.' && w->name[1] == '.';
}

/* The length of the prefix that makes the name a whiteout's; 0. */
static size_t whiteout_prefix(const struct walk *last)
{
	static const char prefix[] = ".wh.";
	size_t n = strlen(prefix);

	return last->len >= n && memcmp(last->name, prefix, n) == 0 ? n : 0;
}

/* Checks a path and finds its last component, whose name is NULL where the path is the root's.
 * *ret_prefix is 0, or, where whiteouts count, the length of a whiteout's prefix: its name may be
 * longer by that than one that stays. */
static int split_path(const char *path, size_t len, bool whiteouts, struct walk *ret,
	size_t *ret_prefix, struct splitfd_error *err)
{
	struct walk w = { .at = path, .end = path + len }, last = { 0 };
	bool too_long = false;
	size_t prefix = 0;

	while (next_component(&w)) {
		too_long = too_long || last.len > NAME_MAX;
		last = w;
	}
	if (whiteouts && last.name != NULL)
		prefix = whiteout_prefix(&last);
	if (len >= PATH_MAX + prefix)
		return refuse_path(err, path, len, "a path of more than 4095 bytes");
	if (len > 0 && memchr(path, '\0', len) != NULL)
		return refuse_path(err, path, len, "a NUL in a path");
	if (too_long || last.len > NAME_MAX + prefix)
		return refuse_path(err, path, len, "a name of more than 255 bytes");
	*ret = last;
	*ret_prefix = prefix;
	return 0;
}

/* An empty file whose name ended in '/' is a directory after all. */
int sfd_tree_become_directory(
	struct sfd_tree *tree, struct sfd_tree_inode *inode, const char *path, size_t len)
{
	struct sfd_tree_directory *dir = inode->dir;

	if (dir == NULL)
		dir = sfd_tree_new_directory(tree);
	if (dir == NULL)
		return -ENOMEM;
	inode->type = SFD_TREE_DIRECTORY;
	inode->maybe_directory = false;
	inode->dir = dir;
	sfd_tree_tell(tree, SFD_DEVIATION_DIRECTORY,
		"the entry of %.*s is of no type that says so, but is taken for a directory",
		(int)len, path);
	return 0;
}

/* A missing parent: 0755, root's, with the time of what is put below it first. */
static struct sfd_tree_inode *make_parent(struct sfd_tree *tree, struct sfd_tree_inode *parent,
	const struct walk *w, const struct sfd_tree_item *item)
{
	struct sfd_tree_inode *inode = sfd_tree_new_directory_inode(tree);

	if (inode == NULL || sfd_tree_set_name(tree, parent->dir, w->name, w->len, inode) < 0)
		return NULL;
	inode->mode = 0755;
	inode->mtime = item->mtime;
	inode->mtime_nsec = item->mtime_nsec;
	sfd_tree_tell(tree, SFD_DEVIATION_PARENT,
		"the directory of %.*s has no entry; made as 0755, root's, with the time of what "
		"is in it",
		sfd_shown_length(item->path_len), item->path);
	return inode;
}

static bool is_last_parent(const struct sfd_tree *tree, const char *path, size_t len)
{
	return tree->parent != NULL && tree->parent_len == len &&
	       memcmp(tree->parent_path, path, len) == 0;
}

static void remember_parent(
	struct sfd_tree *tree, const char *path, size_t len, struct sfd_tree_inode *parent)
{
	tree->parent = NULL;
	if (len > sizeof(tree->parent_path))
		return;
	memcpy(tree->parent_path, path, len);
	tree->parent_len = (uint16_t)len;
	tree->parent = parent;
}

/* Walks the directories of item->path up to `end`, making what is missing. */
static int walk_parents(struct sfd_tree *tree, const struct sfd_tree_item *item, const char *end,
	struct sfd_tree_inode **ret, struct splitfd_error *err)
{
	struct walk w = { .at = item->path, .end = end };
	struct sfd_tree_inode *inode = tree->root, *child;

	if (is_last_parent(tree, item->path, (size_t)(end - item->path))) {
		*ret = tree->parent;
		return 0;
	}
	while (next_component(&w)) {
		if (is_parent(&w))
			return no_image(err, item->path, item->path_len, "\"..\" in a path");
		child = sfd_tree_lookup(inode->dir, w.name, w.len);
		if (child == NULL)
			child = make_parent(tree, inode, &w, item);
		else if (child->maybe_directory &&
			 sfd_tree_become_directory(
				 tree, child, item->path, (size_t)(w.at - item->path)) < 0)
			child = NULL;
		if (child == NULL)
			return splitfd_error_oom(err);
		if (child->type == SFD_TREE_SYMLINK)
			return no_image(err, item->path, item->path_len,
				"a directory in front of the last name is a symlink");
		if (child->type != SFD_TREE_DIRECTORY)
			return refuse_path(err, item->path, item->path_len,
				"what is in front of the last name is no directory");
		inode = child;
	}
	remember_parent(tree, item->path, (size_t)(end - item->path), inode);
	*ret = inode;
	return 0;
}

/* The inode that a hard link names. */
static int find_target(struct sfd_tree *tree, const struct sfd_tree_item *item,
	struct sfd_tree_inode **ret, struct splitfd_error *err)
{
	struct walk w = { .at = item->target, .end = item->target + item->target_len }, last;
	struct sfd_tree_inode *inode = tree->root;
	size_t prefix;
	int r;

	r = split_path(item->target, item->target_len, false, &last, &prefix, err);
	if (r < 0)
		return splitfd_error_wrap(err, r, "the target of a hard link");
	while (next_component(&w)) {
		if (is_parent(&w))
			return no_image(err, item->path, item->path_len,
				"\"..\" in the target of a hard link");
		if (inode != NULL)
			inode = inode->type == SFD_TREE_DIRECTORY
					? sfd_tree_lookup(inode->dir, w.name, w.len)
					: NULL;
	}
	if (inode == NULL)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EOPNOTSUPP,
			"%.*s is a hard link to %.*s, which is not there", (int)item->path_len,
			item->path, (int)item->target_len, item->target);
	if (inode->type == SFD_TREE_DIRECTORY)
		return refuse_path(err, item->path, item->path_len, "a hard link to a directory");
	/* Two names: no directory, whatever the archive meant. */
	if (inode->maybe_directory)
		inode->dir = NULL;
	inode->maybe_directory = false;
	*ret = inode;
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
	return sfd_tree_intern_xattrs(tree, item->xattrs, item->n_xattrs, &inode->xattrs);
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
		return refuse_path(err, item->path, item->path_len,
			"the target of the symlink has more than 4095 bytes");
	if (item->type == SFD_TREE_SYMLINK && item->target_len > 0 &&
		memchr(item->target, '\0', item->target_len) != NULL)
		return refuse_path(
			err, item->path, item->path_len, "a NUL in the target of the symlink");
	if ((item->type == SFD_TREE_CHARACTER || item->type == SFD_TREE_BLOCK) &&
		item->rdev > UINT32_MAX)
		return refuse_path(
			err, item->path, item->path_len, "a device number of more than 32 bits");
	if (item->type == SFD_TREE_FILE && item->digest == NULL && item->size > SFD_TREE_INLINE_MAX)
		return refuse_path(
			err, item->path, item->path_len, "too much content to be inline");
	return 0;
}

static int check_xattrs(const struct sfd_tree_item *item, struct splitfd_error *err)
{
	for (size_t i = 0; i < item->n_xattrs; i++)
		if (item->xattrs[i].name_len > XATTR_NAME_MAX)
			return refuse_path(err, item->path, item->path_len,
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
	const struct walk *last, const struct sfd_tree_item *item)
{
	struct sfd_tree_inode *inode = sfd_tree_lookup(parent->dir, last->name, last->len);

	if (inode == NULL || inode->type != SFD_TREE_DIRECTORY) {
		inode = sfd_tree_new_directory_inode(tree);
		if (inode == NULL ||
			sfd_tree_set_name(tree, parent->dir, last->name, last->len, inode) < 0)
			return -ENOMEM;
	}
	return set_metadata(tree, inode, item);
}

static int put_leaf(struct sfd_tree *tree, struct sfd_tree_inode *parent, const struct walk *last,
	struct sfd_tree_inode *inode)
{
	struct sfd_tree_inode *old = NULL;

	if (inode->maybe_directory)
		old = sfd_tree_lookup(parent->dir, last->name, last->len);
	if (old != NULL && (old->type == SFD_TREE_DIRECTORY || old->maybe_directory))
		inode->dir = old->dir;
	return sfd_tree_set_name(tree, parent->dir, last->name, last->len, inode);
}

static void whiteout(struct sfd_tree *tree, struct sfd_tree_directory *dir, const struct walk *last,
	size_t prefix)
{
	static const char opaque[] = ".wh..wh..opq";

	tree->parent = NULL;
	if (last->len == strlen(opaque) && memcmp(last->name, opaque, last->len) == 0)
		sfd_tree_clear(dir);
	else
		sfd_tree_remove(dir, last->name + prefix, last->len - prefix);
}

static int put_root(
	struct sfd_tree *tree, const struct sfd_tree_item *item, struct splitfd_error *err)
{
	if (item->type != SFD_TREE_DIRECTORY)
		return refuse_path(err, item->path, item->path_len, "the root must be a directory");
	if (set_metadata(tree, tree->root, item) < 0)
		return splitfd_error_oom(err);
	tree->root_known = true;
	return 0;
}

static int put(struct sfd_tree *tree, const struct sfd_tree_item *item, bool whiteouts,
	struct splitfd_error *err)
{
	struct sfd_tree_inode *inode = NULL, *parent = NULL;
	struct walk last;
	size_t prefix;
	int r;

	r = split_path(item->path, item->path_len, whiteouts, &last, &prefix, err);
	if (r == 0)
		r = check_xattrs(item, err);
	if (r < 0)
		return r;
	if (last.name == NULL)
		return put_root(tree, item, err);
	if (item->before_1970)
		sfd_tree_tell(tree, SFD_DEVIATION_TIME, "the time of %.*s is before 1970 and kept",
			sfd_shown_length(item->path_len), item->path);
	if (is_parent(&last)) {
		/* cfsctl takes "x/.." for the root, whose metadata /usr replaces. */
		if (item->type == SFD_TREE_DIRECTORY)
			return 0;
		return no_image(err, item->path, item->path_len, "\"..\" in a path");
	}
	if (item->type != SFD_TREE_DIRECTORY) {
		r = make_leaf(tree, item, &inode, err);
		if (r < 0)
			return r;
	}
	r = walk_parents(tree, item, last.name, &parent, err);
	if (r < 0)
		return r;
	if (prefix > 0) {
		whiteout(tree, parent->dir, &last, prefix);
		return 0;
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
