/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/tree/tree-walk.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

/* Symlinks on the way to one entry; the kernel's own limit. */
#define LINKS_MAX 40

/* Directories without an entry of their own that a tree may have. */
#define IMPLIED_MAX	  65536
#define IMPLIED_PER_ENTRY 64

int sfd_tree_refuse(struct splitfd_error *err, const char *path, size_t len, const char *why)
{
	return splitfd_error_set(
		err, SPLITFD_ERROR_REFUSED, EINVAL, "%.*s: %s", sfd_shown_length(len), path, why);
}

int sfd_tree_no_image(struct splitfd_error *err, const char *path, size_t len, const char *why)
{
	sfd_tree_refuse(err, path, len, why);
	if (err != NULL)
		err->errnum = EOPNOTSUPP;
	return -EOPNOTSUPP;
}

bool sfd_tree_walk_next(struct sfd_tree_walk *w)
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

/* A missing parent: 0755, root's, with the time of what is put below it first. A path of 4 KB,
 * which is compressed to nothing, can imply 2,000 of them. */
static int make_parent(struct sfd_tree *tree, struct sfd_tree_inode *parent,
	const struct sfd_tree_walk *w, const struct sfd_tree_item *item,
	struct sfd_tree_inode **ret, struct splitfd_error *err)
{
	struct sfd_tree_inode *inode;

	if (tree->n_implied >= IMPLIED_MAX + IMPLIED_PER_ENTRY * tree->n_put)
		return sfd_tree_no_image(err, item->path, item->path_len,
			"too many directories have no entry of their own: more than 65536, and 64 "
			"for each entry");
	inode = sfd_tree_new_directory_inode(tree);
	if (inode == NULL || sfd_tree_set_name(tree, parent->dir, w->name, w->len, inode) < 0)
		return splitfd_error_oom(err);
	tree->n_implied++;
	inode->mode = 0755;
	inode->mtime = item->mtime;
	inode->mtime_nsec = item->mtime_nsec;
	sfd_tree_tell(tree, SFD_DEVIATION_PARENT,
		"the directory of %.*s has no entry; made as 0755, root's, with the time of what "
		"is in it",
		sfd_shown_length(item->path_len), item->path);
	*ret = inode;
	return 0;
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

/* A walk that follows symlinks: the directories from the root to where it is. */
struct follower {
	struct sfd_tree *tree;
	const struct sfd_tree_item *item;
	unsigned int n_links;
	size_t n;
	struct sfd_tree_inode *stack[PATH_MAX / 2 + 1];
};

static int follow(struct follower *f, struct sfd_tree_walk w, bool make, struct splitfd_error *err);

/* Goes where a symlink leads. */
static int follow_link(
	struct follower *f, const struct sfd_tree_inode *link, struct splitfd_error *err)
{
	const char *target = (const char *)link->data;
	struct sfd_tree_walk w = { .at = target, .end = target + link->size };

	if (!sfd_tree_is_own(f->tree, link) || f->tree->rules == SFD_TAR_OF_CFSCTL)
		return sfd_tree_no_image(err, f->item->path, f->item->path_len,
			"a directory in front of the last name is a symlink");
	if (++f->n_links > LINKS_MAX)
		return sfd_tree_no_image(err, f->item->path, f->item->path_len,
			"a loop of symlinks in front of the last name");
	sfd_tree_cfsctl_refuses(f->tree);
	if (link->size > 0 && target[0] == '/')
		f->n = 1;
	return follow(f, w, false, err);
}

static int follow_component(
	struct follower *f, const struct sfd_tree_walk *w, bool make, struct splitfd_error *err)
{
	struct sfd_tree_inode *parent = f->stack[f->n - 1];
	struct sfd_tree_inode *child = sfd_tree_lookup(parent->dir, w->name, w->len);

	if (child == NULL && !make)
		return sfd_tree_no_image(err, f->item->path, f->item->path_len,
			"a symlink in front of the last name leads to what is not there");
	if (child == NULL) {
		int r = make_parent(f->tree, parent, w, f->item, &child, err);

		if (r < 0)
			return r;
	}
	if (child->type == SFD_TREE_SYMLINK)
		return follow_link(f, child, err);
	if (child->type != SFD_TREE_DIRECTORY)
		return sfd_tree_no_image(err, f->item->path, f->item->path_len,
			"a symlink in front of the last name leads to no directory");
	if (f->n == sizeof(f->stack) / sizeof(f->stack[0]))
		return sfd_tree_refuse(
			err, f->item->path, f->item->path_len, "a path of more than 4095 bytes");
	f->stack[f->n++] = child;
	return 0;
}

static int follow(struct follower *f, struct sfd_tree_walk w, bool make, struct splitfd_error *err)
{
	int r = 0;

	while (r == 0 && sfd_tree_walk_next(&w)) {
		if (!sfd_tree_walk_is_parent(&w))
			r = follow_component(f, &w, make, err);
		else if (make)
			r = sfd_tree_no_image(
				err, f->item->path, f->item->path_len, "\"..\" in a path");
		else if (f->n > 1)
			f->n--;
	}
	return r;
}

/* The directory at the end of a path that leads through symlinks. */
static int follow_path(struct sfd_tree *tree, const struct sfd_tree_item *item, const char *path,
	const char *end, struct sfd_tree_inode **ret, struct splitfd_error *err)
{
	struct follower f = { .tree = tree, .item = item, .n = 1 };
	struct sfd_tree_walk w = { .at = path, .end = end };
	int r;

	f.stack[0] = tree->root;
	r = follow(&f, w, path == item->path, err);
	*ret = f.stack[f.n - 1];
	return r;
}

int sfd_tree_walk_parents(struct sfd_tree *tree, const struct sfd_tree_item *item, const char *end,
	struct sfd_tree_inode **ret, struct splitfd_error *err)
{
	struct sfd_tree_walk w = { .at = item->path, .end = end };
	struct sfd_tree_inode *inode = tree->root, *child;
	int r = 0;

	if (is_last_parent(tree, item->path, (size_t)(end - item->path))) {
		*ret = tree->parent;
		return 0;
	}
	while (sfd_tree_walk_next(&w)) {
		if (sfd_tree_walk_is_parent(&w))
			return sfd_tree_no_image(
				err, item->path, item->path_len, "\"..\" in a path");
		child = sfd_tree_lookup(inode->dir, w.name, w.len);
		if (child == NULL)
			r = make_parent(tree, inode, &w, item, &child, err);
		else if (child->maybe_directory &&
			 sfd_tree_become_directory(
				 tree, child, item->path, (size_t)(w.at - item->path)) < 0)
			r = splitfd_error_oom(err);
		if (r < 0)
			return r;
		if (child->type == SFD_TREE_SYMLINK)
			return follow_path(tree, item, item->path, end, ret, err);
		if (child->type != SFD_TREE_DIRECTORY)
			return sfd_tree_refuse(err, item->path, item->path_len,
				"what is in front of the last name is not a directory");
		inode = child;
	}
	remember_parent(tree, item->path, (size_t)(end - item->path), inode);
	*ret = inode;
	return 0;
}

int sfd_tree_walk_target(struct sfd_tree *tree, const struct sfd_tree_item *item,
	struct sfd_tree_inode **ret, struct splitfd_error *err)
{
	struct sfd_tree_walk w = { .at = item->target, .end = item->target + item->target_len };
	struct sfd_tree_inode *inode = tree->root;

	while (sfd_tree_walk_next(&w)) {
		int r = 0;

		if (sfd_tree_walk_is_parent(&w))
			return sfd_tree_no_image(err, item->path, item->path_len,
				"\"..\" in the target of a hard link");
		if (inode != NULL && inode->type == SFD_TREE_SYMLINK &&
			sfd_tree_is_own(tree, inode) && tree->rules != SFD_TAR_OF_CFSCTL)
			r = follow_path(tree, item, item->target, w.name, &inode, err);
		if (r < 0)
			return r;
		if (inode != NULL)
			inode = inode->type == SFD_TREE_DIRECTORY
					? sfd_tree_lookup(inode->dir, w.name, w.len)
					: NULL;
	}
	*ret = inode;
	return 0;
}
