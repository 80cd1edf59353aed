/* SPDX-License-Identifier: Apache-2.0 */
/* What is done to the whole tree: xattrs, /run, the root's metadata, names sorted for good. */
#include "splitfdstream/base/cleanup.h"
#include "transport/composefs/tree/tree-layer.h"
#include "transport/composefs/tree/tree-private.h"

#include <errno.h>
#include <limits.h>
#include <search.h>
#include <string.h>

static int filter_xattrs(struct sfd_tree *tree, struct sfd_tree_inode *inode)
{
	const struct sfd_xattr_set *old = inode->xattrs;
	struct sfd_xattr_set *set;

	if (old == NULL || tree->keep == SFD_TREE_XATTRS_ALL)
		return 0;
	inode->xattrs = NULL;
	set = sfd_arena_alloc(&tree->arena, sizeof(*set) + old->n * sizeof(set->ids[0]), 4);
	if (set == NULL)
		return -ENOMEM;
	set->n = 0;
	for (uint32_t i = 0; i < old->n; i++) {
		const struct sfd_tree_xattr_entry *x = &tree->xattrs[old->ids[i]];

		if (sfd_tree_xattr_kept(tree->keep, x->name, x->name_len))
			set->ids[set->n++] = old->ids[i];
	}
	if (set->n > 0)
		inode->xattrs = set;
	return 0;
}

/* A walk of the tree, depth first. */
struct freezer {
	struct sfd_tree *tree;
	struct sfd_tree_directory *filling;
	char path[2 * PATH_MAX];
	size_t path_len;
};

static void count_name(const void *node, VISIT which, void *closure)
{
	(void)node;
	if (which == postorder || which == leaf)
		((struct freezer *)closure)->filling->n_names++;
}

static void add_name(const void *node, VISIT which, void *closure)
{
	struct sfd_tree_directory *dir = ((struct freezer *)closure)->filling;

	if (which == postorder || which == leaf)
		dir->names[dir->n_names++] = *(struct sfd_tree_name *const *)node;
}

/* The names of a directory from the search tree into an array. */
static int sort_names(struct freezer *f, struct sfd_tree_directory *dir)
{
	f->filling = dir;
	dir->n_names = 0;
	twalk_r(dir->search, count_name, f);
	if (dir->n_names == 0)
		return 0;
	dir->names = calloc(dir->n_names, sizeof(struct sfd_tree_name *));
	if (dir->names == NULL)
		return -ENOMEM;
	dir->n_names = 0;
	twalk_r(dir->search, add_name, f);
	sfd_tree_clear(dir);
	return 0;
}

static int freeze_leaf(struct freezer *f, struct sfd_tree_inode *parent,
	struct sfd_tree_inode *inode, struct splitfd_error *err)
{
	if (inode->links++ > 0) {
		if (inode->type == SFD_TREE_CHARACTER && inode->size == 0)
			return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EOPNOTSUPP,
				"%.*s: a whiteout (character device 0,0) with more than one name",
				(int)f->path_len, f->path);
		return 0;
	}
	inode->id = f->tree->n_inodes++;
	inode->home = parent->id;
	return filter_xattrs(f->tree, inode) < 0 ? splitfd_error_oom(err) : 0;
}

static int freeze_directory(
	struct freezer *f, struct sfd_tree_inode *inode, struct splitfd_error *err);

static int freeze_name(struct freezer *f, struct sfd_tree_inode *parent, struct sfd_tree_name *name,
	struct splitfd_error *err)
{
	struct sfd_tree_inode *inode = name->inode;
	size_t len = f->path_len;
	int r;

	if (len + 1 + name->len > sizeof(f->path))
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, ENAMETOOLONG,
			"%.*s: a path of more than 4095 bytes", (int)len, f->path);
	f->path[f->path_len++] = '/';
	memcpy(f->path + f->path_len, name->text, name->len);
	f->path_len += name->len;
	if (inode->type == SFD_TREE_DIRECTORY) {
		inode->dir->parent = parent;
		parent->dir->n_directories++;
		r = freeze_directory(f, inode, err);
	} else {
		r = freeze_leaf(f, parent, inode, err);
	}
	f->path_len = len;
	return r;
}

static int freeze_directory(
	struct freezer *f, struct sfd_tree_inode *inode, struct splitfd_error *err)
{
	struct sfd_tree_directory *dir = inode->dir;
	int r;

	inode->id = f->tree->n_inodes++;
	if (filter_xattrs(f->tree, inode) < 0 || sort_names(f, dir) < 0)
		return splitfd_error_oom(err);
	for (uint32_t i = 0; i < dir->n_names; i++) {
		r = freeze_name(f, inode, dir->names[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}

int sfd_tree_freeze(struct sfd_tree *tree, struct splitfd_error *err)
{
	struct freezer f = { .tree = tree };
	int r;

	if (tree->frozen)
		return 0;
	tree->parent = NULL;
	tree->root->dir->parent = tree->root;
	r = freeze_directory(&f, tree->root, err);
	if (r < 0)
		return r;
	for (struct sfd_tree_directory *d = tree->directories; d != NULL; d = d->next)
		sfd_tree_clear(d);
	sfd_tree_index_done(&tree->object_index);
	sfd_tree_index_done(&tree->xattr_index);
	tree->frozen = true;
	return 0;
}

struct applying {
	struct sfd_tree *tree;
	const struct sfd_tree_layer *layer;
};

static int apply_item(void *ctx, const struct sfd_tree_item *item, struct splitfd_error *err)
{
	const struct applying *a = ctx;
	int r = sfd_tree_put_layered(a->tree, item, err);

	if (r != -EOPNOTSUPP || item->type != SFD_TREE_HARDLINK ||
		!sfd_tree_is_link_loop(a->layer, item))
		return r;
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EINVAL,
		"%.*s: a loop of hard links, by %.*s", sfd_shown_length(item->path_len), item->path,
		(int)(item->target_len < 512 ? item->target_len : 512), item->target);
}

int sfd_tree_apply(
	struct sfd_tree *tree, const struct sfd_tree_layer *layer, struct splitfd_error *err)
{
	struct applying a = { tree, layer };
	int r;

	tree->layer = sfd_tree_layer_name(layer);
	tree->tolds = 0;
	tree->layer_number++;
	tree->gone = NULL;
	r = sfd_tree_layer_tell(layer, apply_item, &a, err);
	tree->layer = NULL;
	if (r < 0)
		return splitfd_error_wrap(err, r, "layer %s", sfd_tree_layer_name(layer));
	return 0;
}

/* A directory right below the root; NULL where there is none. *ret tells -ENOMEM. */
static struct sfd_tree_inode *top_directory(struct sfd_tree *tree, const char *name, int *ret)
{
	struct sfd_tree_inode *inode = sfd_tree_lookup(tree->root->dir, name, strlen(name));

	if (inode != NULL && inode->maybe_directory &&
		sfd_tree_become_directory(tree, inode, name, strlen(name)) < 0)
		*ret = -ENOMEM;
	return inode != NULL && inode->type == SFD_TREE_DIRECTORY ? inode : NULL;
}

static void copy_metadata(struct sfd_tree_inode *to, const struct sfd_tree_inode *from)
{
	to->mode = from->mode;
	to->uid = from->uid;
	to->gid = from->gid;
	to->mtime = from->mtime;
	to->mtime_nsec = from->mtime_nsec;
	to->xattrs = from->xattrs;
}

int sfd_tree_finish_oci(
	struct sfd_tree *tree, enum sfd_tree_xattrs xattrs, struct splitfd_error *err)
{
	struct sfd_tree_inode *usr, *run;
	int r = 0;

	tree->tolds = 0;
	usr = top_directory(tree, "usr", &r);
	run = top_directory(tree, "run", &r);
	if (r < 0)
		return splitfd_error_oom(err);
	if (usr != NULL) {
		copy_metadata(tree->root, usr);
	} else {
		if (!tree->root_known)
			tree->root->mode = 0755;
		sfd_tree_tell(tree, SFD_DEVIATION_USR,
			"there is no directory /usr to take the root's metadata from; the root "
			"%s",
			tree->root_known ? "keeps its own" : "gets 0755, root, 1970");
	}
	if (run != NULL) {
		run->mtime = tree->root->mtime;
		run->mtime_nsec = tree->root->mtime_nsec;
		sfd_tree_clear(run->dir);
	} else if (sfd_tree_lookup(tree->root->dir, "run", 3) != NULL) {
		sfd_tree_tell(
			tree, SFD_DEVIATION_RUN, "/run is not a directory and stays as it is");
	}
	if (tree->differs)
		return splitfd_error_set(
			err, SPLITFD_ERROR_REFUSED, EOPNOTSUPP, "%s", tree->difference);
	tree->keep = xattrs;
	return sfd_tree_freeze(tree, err);
}
