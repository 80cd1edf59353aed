/* SPDX-License-Identifier: Apache-2.0 */
/* The order of the inodes. Format 2: depth first, which is the order of the ids. Formats 0 and 1:
 * breadth first, each inode where it has its first name in depth-first order. */
#include "splitfdstream/base/cleanup.h"
#include "transport/composefs/erofs/erofs-private.h"

#include <string.h>

#define NO_NUMBER UINT32_MAX

static int compare(const struct sfd_tree_name *a, const struct sfd_tree_name *b)
{
	size_t n = a->len < b->len ? a->len : b->len;
	int c = memcmp(a->text, b->text, n);

	return c != 0 ? c : (int)a->len - (int)b->len;
}

static struct sfd_tree_name *stub_name(const struct sfd_erofs *e, uint32_t i)
{
	return (struct sfd_tree_name *)((char *)e->stub_names +
					(size_t)i *
						sfd_round_up(sizeof(struct sfd_tree_name) + 2, 8));
}

static bool is_selinux(const struct sfd_tree_xattr_entry *x)
{
	static const char name[] = "security.selinux";

	return x->name_len == strlen(name) && memcmp(x->name, name, x->name_len) == 0;
}

/* The id of the root's security.selinux, or -1. */
static int64_t root_label(const struct sfd_tree *tree)
{
	const struct sfd_xattr_set *set = tree->root->xattrs;

	for (uint32_t i = 0; set != NULL && i < set->n; i++)
		if (is_selinux(&tree->xattrs[set->ids[i]]))
			return set->ids[i];
	return -1;
}

/* The 256 whiteouts that hide the object store's directories in the root. */
static int make_stubs(struct sfd_erofs *e)
{
	const struct sfd_tree_inode *root = e->tree->root;
	int64_t label = root_label(e->tree);
	struct sfd_xattr_set *set = NULL;

	e->stubs = calloc(SFD_N_STUBS + 1, sizeof(*e->stubs));
	e->stub_names = calloc(SFD_N_STUBS, sfd_round_up(sizeof(struct sfd_tree_name) + 2, 8));
	if (e->stubs == NULL || e->stub_names == NULL)
		return -ENOMEM;
	if (label >= 0) {
		/* The place behind the last stub holds their xattrs. */
		_Static_assert(sizeof(*set) + sizeof(uint32_t) <= sizeof(*e->stubs), "room");
		set = (struct sfd_xattr_set *)(void *)&e->stubs[SFD_N_STUBS];
		set->n = 1;
		set->ids[0] = (uint32_t)label;
	}
	for (uint32_t i = 0; i < SFD_N_STUBS; i++) {
		struct sfd_tree_name *name = stub_name(e, i);

		e->stubs[i] = (struct sfd_tree_inode){
			.mtime = root->mtime,
			.mtime_nsec = root->mtime_nsec,
			.mode = 0644,
			.uid = root->uid,
			.gid = root->gid,
			.links = 1,
			.id = e->tree->n_inodes + i,
			.home = root->id,
			.xattrs = set,
			.type = SFD_TREE_CHARACTER,
		};
		name->inode = &e->stubs[i];
		name->len = 2;
		memcpy(name->text, &"0123456789abcdef"[i >> 4], 1);
		memcpy(name->text + 1, &"0123456789abcdef"[i & 15], 1);
	}
	return 0;
}

/* Merges the root's names with those of the stubs that it does not have. */
static int merge_stubs(struct sfd_erofs *e)
{
	const struct sfd_tree_directory *dir = e->tree->root->dir;
	uint32_t i = 0, s = 0, n = 0;

	e->root_names = calloc((size_t)dir->n_names + SFD_N_STUBS, sizeof(*e->root_names));
	if (e->root_names == NULL)
		return -ENOMEM;
	while (i < dir->n_names || s < SFD_N_STUBS) {
		int c = i == dir->n_names  ? 1
			: s == SFD_N_STUBS ? -1
					   : compare(dir->names[i], stub_name(e, s));

		if (c <= 0)
			e->root_names[n++] = dir->names[i++];
		else
			e->root_names[n++] = stub_name(e, s);
		if (c >= 0)
			s++;
	}
	e->n_root_names = n;
	return 0;
}

struct sfd_tree_name **sfd_erofs_names(
	const struct sfd_erofs *e, const struct sfd_tree_inode *dir, uint32_t *ret_n)
{
	if (e->first && dir == e->tree->root) {
		*ret_n = e->n_root_names;
		return e->root_names;
	}
	*ret_n = dir->dir->n_names;
	return dir->dir->names;
}

/* A whiteout of the image's own that looks like a stub in every way is taken for one. */
static bool looks_like_stub(const struct sfd_erofs *e, const struct sfd_tree_inode *dir,
	const struct sfd_tree_name *name)
{
	const struct sfd_tree_inode *root = e->tree->root, *inode = name->inode;
	int64_t label = root_label(e->tree);
	uint32_t n_xattrs = inode->xattrs != NULL ? inode->xattrs->n : 0;

	if (dir != root || name->len != 2)
		return false;
	for (int i = 0; i < 2; i++)
		if (memchr("0123456789abcdef", name->text[i], 16) == NULL)
			return false;
	if (inode->mode != 0644 || inode->uid != root->uid || inode->gid != root->gid ||
		inode->mtime != root->mtime || inode->mtime_nsec != root->mtime_nsec)
		return false;
	return label < 0 ? n_xattrs == 0
			 : n_xattrs == 1 && inode->xattrs->ids[0] == (uint32_t)label;
}

static void add(struct sfd_erofs *e, uint32_t number, const struct sfd_tree_inode *inode)
{
	e->order[number] = inode;
	e->numbers[inode->id] = number;
}

/* The names of one directory get their numbers. */
static void add_names(struct sfd_erofs *e, uint32_t *next, uint32_t at)
{
	const struct sfd_tree_inode *dir = e->order[at];
	uint32_t n;
	struct sfd_tree_name **names = sfd_erofs_names(e, dir, &n);

	for (uint32_t i = 0; i < n; i++) {
		const struct sfd_tree_inode *inode = names[i]->inode;

		if (inode->type == SFD_TREE_DIRECTORY) {
			add(e, (*next)++, inode);
			continue;
		}
		if (inode->home != dir->id || e->numbers[inode->id] != NO_NUMBER)
			continue;
		add(e, (*next)++, inode);
		if (inode->type == SFD_TREE_CHARACTER && inode->size == 0 &&
			!looks_like_stub(e, dir, names[i])) {
			e->flags[*next - 1] |= SFD_ESCAPED_WHITEOUT;
			e->flags[at] |= SFD_HAS_WHITEOUTS;
		}
	}
}

static void breadth_first(struct sfd_erofs *e)
{
	uint32_t next = 0;

	add(e, next++, e->tree->root);
	for (uint32_t at = 0; at < next; at++)
		if (e->order[at]->type == SFD_TREE_DIRECTORY)
			add_names(e, &next, at);
	e->n_inodes = next;
}

static void depth_first(struct sfd_erofs *e, const struct sfd_tree_inode *dir)
{
	add(e, dir->id, dir);
	for (uint32_t i = 0; i < dir->dir->n_names; i++) {
		const struct sfd_tree_inode *inode = dir->dir->names[i]->inode;

		if (inode->type == SFD_TREE_DIRECTORY)
			depth_first(e, inode);
		else
			add(e, inode->id, inode);
	}
}

int sfd_erofs_order(struct sfd_erofs *e, struct splitfd_error *err)
{
	size_t n = (size_t)e->tree->n_inodes + (e->first ? SFD_N_STUBS : 0);

	e->order = calloc(n, sizeof(*e->order));
	e->numbers = malloc(n * sizeof(*e->numbers));
	e->nids = calloc(n, sizeof(*e->nids));
	e->flags = calloc(n, 1);
	if (e->order == NULL || e->numbers == NULL || e->nids == NULL || e->flags == NULL)
		return splitfd_error_oom(err);
	memset(e->numbers, 0xff, n * sizeof(*e->numbers));
	if (!e->first) {
		depth_first(e, e->tree->root);
		e->n_inodes = e->tree->n_inodes;
		return 0;
	}
	if (make_stubs(e) < 0 || merge_stubs(e) < 0)
		return splitfd_error_oom(err);
	breadth_first(e);
	return 0;
}

static const struct sfd_tree_name *name_in(
	const struct sfd_tree_directory *dir, const struct sfd_tree_inode *inode)
{
	for (uint32_t i = 0; i < dir->n_names; i++)
		if (dir->names[i]->inode == inode)
			return dir->names[i];
	return NULL;
}

void sfd_erofs_path(
	const struct sfd_erofs *e, const struct sfd_tree_inode *inode, char *path, size_t size)
{
	char *at = path + size - 1;

	*at = '\0';
	while (inode != e->tree->root) {
		const struct sfd_tree_inode *parent = inode->type == SFD_TREE_DIRECTORY
							      ? inode->dir->parent
							      : e->order[e->numbers[inode->home]];
		const struct sfd_tree_name *name = name_in(parent->dir, inode);

		if (name == NULL || (size_t)(at - path) < 1 + (size_t)name->len)
			break;
		at -= name->len;
		memcpy(at, name->text, name->len);
		*--at = '/';
		inode = parent;
	}
	memmove(path, at, (size_t)(path + size - at));
}
