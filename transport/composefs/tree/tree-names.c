/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/tree/tree.h"

#include "splitfdstream/base/cleanup.h"
#include "transport/composefs/algorithm.h"
#include "transport/composefs/tree/tree-private.h"

#include <limits.h>
#include <search.h>
#include <string.h>
#include <sys/stat.h>

uint32_t sfd_tree_file_type(enum sfd_tree_type type)
{
	static const uint32_t types[] = {
		[SFD_TREE_DIRECTORY] = S_IFDIR,
		[SFD_TREE_FILE] = S_IFREG,
		[SFD_TREE_SYMLINK] = S_IFLNK,
		[SFD_TREE_CHARACTER] = S_IFCHR,
		[SFD_TREE_BLOCK] = S_IFBLK,
		[SFD_TREE_FIFO] = S_IFIFO,
		[SFD_TREE_SOCKET] = S_IFSOCK,
	};

	return types[type];
}

static int compare_names(const void *a, const void *b)
{
	const struct sfd_tree_name *x = a, *y = b;
	size_t n = x->len < y->len ? x->len : y->len;
	int c = memcmp(x->text, y->text, n);

	return c != 0 ? c : (int)x->len - (int)y->len;
}

/* A name to look for, on the stack. */
union name_key {
	struct sfd_tree_name name;
	char room[sizeof(struct sfd_tree_name) + NAME_MAX];
};

static const struct sfd_tree_name *make_key(union name_key *key, const char *name, size_t len)
{
	key->name.len = (uint8_t)len;
	memcpy(key->name.text, name, len);
	return &key->name;
}

static struct sfd_tree_name *find_name(
	const struct sfd_tree_directory *dir, const char *name, size_t len)
{
	union name_key key;
	void *found = tfind(make_key(&key, name, len), &dir->search, compare_names);

	return found != NULL ? *(struct sfd_tree_name **)found : NULL;
}

struct sfd_tree_inode *sfd_tree_lookup(
	const struct sfd_tree_directory *dir, const char *name, size_t len)
{
	struct sfd_tree_name *found = len <= NAME_MAX ? find_name(dir, name, len) : NULL;

	return found != NULL ? found->inode : NULL;
}

void sfd_tree_remove(struct sfd_tree_directory *dir, const char *name, size_t len)
{
	union name_key key;

	if (len <= NAME_MAX)
		tdelete(make_key(&key, name, len), &dir->search, compare_names);
}

static void keep_name(void *name)
{
	(void)name; /* names live in the arena */
}

void sfd_tree_clear(struct sfd_tree_directory *dir)
{
	tdestroy(dir->search, keep_name);
	dir->search = NULL;
}

/* Names `inode` in dir; a name that was there names it from now on. */
int sfd_tree_set_name(struct sfd_tree *tree, struct sfd_tree_directory *dir, const char *name,
	size_t len, struct sfd_tree_inode *inode)
{
	struct sfd_tree_name *entry = sfd_arena_alloc(&tree->arena, sizeof(*entry) + len, 8);
	struct sfd_tree_name **found;

	if (entry == NULL)
		return -ENOMEM;
	entry->inode = inode;
	entry->len = (uint8_t)len;
	memcpy(entry->text, name, len);
	found = tsearch(entry, &dir->search, compare_names);
	if (found == NULL)
		return -ENOMEM;
	if (*found != entry) {
		(*found)->inode = inode;
		tree->parent = NULL;
	}
	return 0;
}

struct sfd_tree_directory *sfd_tree_new_directory(struct sfd_tree *tree)
{
	struct sfd_tree_directory *dir = sfd_arena_alloc(&tree->arena, sizeof(*dir), 8);

	if (dir == NULL)
		return NULL;
	*dir = (struct sfd_tree_directory){ .next = tree->directories };
	tree->directories = dir;
	return dir;
}

struct sfd_tree_inode *sfd_tree_new_inode(struct sfd_tree *tree, enum sfd_tree_type type)
{
	struct sfd_tree_inode *inode = sfd_arena_alloc(&tree->arena, sizeof(*inode), 8);

	if (inode != NULL)
		*inode = (struct sfd_tree_inode){ .type = (uint8_t)type,
			.layer = tree->layer_number };
	return inode;
}

struct sfd_tree_inode *sfd_tree_new_directory_inode(struct sfd_tree *tree)
{
	struct sfd_tree_inode *inode = sfd_tree_new_inode(tree, SFD_TREE_DIRECTORY);

	if (inode != NULL)
		inode->dir = sfd_tree_new_directory(tree);
	return inode != NULL && inode->dir != NULL ? inode : NULL;
}

static int add_markers(struct sfd_tree *tree)
{
	static const struct {
		const char *name, *value;
	} markers[SFD_N_MARKERS] = {
		[SFD_MARKER_WHITEOUT] = { "trusted.overlay.whiteout", "" },
		[SFD_MARKER_USER_WHITEOUT] = { "user.overlay.whiteout", "" },
		[SFD_MARKER_WHITEOUTS] = { "trusted.overlay.whiteouts", "" },
		[SFD_MARKER_USER_WHITEOUTS] = { "user.overlay.whiteouts", "" },
		[SFD_MARKER_OPAQUE] = { "trusted.overlay.opaque", "x" },
		[SFD_MARKER_USER_OPAQUE] = { "user.overlay.opaque", "x" },
	};

	for (int i = 0; i < SFD_N_MARKERS; i++) {
		struct sfd_tree_xattr x = {
			.name = markers[i].name,
			.name_len = (uint16_t)strlen(markers[i].name),
			.value = (const uint8_t *)markers[i].value,
			.value_len = (uint16_t)strlen(markers[i].value),
		};

		if (sfd_tree_intern_xattr(tree, &x, &tree->markers[i]) < 0)
			return -ENOMEM;
	}
	return 0;
}

SFD_DEFINE_CLEANUP(cleanup_tree, struct sfd_tree, sfd_tree_free);

int sfd_tree_new(enum splitfd_algorithm algorithm, struct sfd_tree **ret, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_tree) struct sfd_tree *tree = calloc(1, sizeof(*tree));

	if (tree == NULL)
		return splitfd_error_oom(err);
	tree->algorithm = algorithm;
	tree->keep = SFD_TREE_XATTRS_ALL;
	tree->digest_size = sfd_digest_size(algorithm);
	tree->root = sfd_tree_new_directory_inode(tree);
	if (tree->root == NULL || add_markers(tree) < 0)
		return splitfd_error_oom(err);
	*ret = sfd_take_ptr(&tree);
	return 0;
}

struct sfd_tree *sfd_tree_free(struct sfd_tree *tree)
{
	if (tree == NULL)
		return NULL;
	for (struct sfd_tree_directory *d = tree->directories; d != NULL; d = d->next) {
		sfd_tree_clear(d);
		free(d->names);
	}
	sfd_tree_index_done(&tree->object_index);
	sfd_tree_index_done(&tree->xattr_index);
	free(tree->objects);
	free(tree->xattrs);
	sfd_arena_done(&tree->arena);
	free(tree);
	return NULL;
}

void sfd_tree_on_deviation(
	struct sfd_tree *tree, void (*told)(void *ctx, const char *text), void *ctx)
{
	tree->told = told;
	tree->told_ctx = ctx;
}

void sfd_tree_set_rules(struct sfd_tree *tree, enum sfd_tar_rules rules)
{
	tree->rules = rules;
}

bool sfd_tree_refused(const struct sfd_tree *tree)
{
	return tree->refused;
}

void sfd_tree_cfsctl_refuses(struct sfd_tree *tree)
{
	if (tree->rules == SFD_TAR_OF_BOTH)
		tree->rules = SFD_TAR_OF_PODMAN;
	else if (tree->rules == SFD_TAR_OF_CFSCTL)
		tree->refused = true;
}

void sfd_tree_differ(struct sfd_tree *tree, const char *format, ...)
{
	struct splitfd_error text = { 0 };
	char plain[sizeof(tree->difference)];
	va_list ap;

	va_start(ap, format);
	vsnprintf(plain, sizeof(plain), format, ap);
	va_end(ap);
	splitfd_error_set(&text, SPLITFD_ERROR_FAILED, EINVAL, "%s%s%s",
		tree->layer != NULL ? "layer " : "", tree->layer != NULL ? tree->layer : "",
		tree->layer != NULL ? ": " : "");
	snprintf(tree->difference, sizeof(tree->difference), "%s%s", text.text, plain);
	tree->differs = true;
	tree->rules = SFD_TAR_OF_PODMAN;
}

void sfd_tree_tell(struct sfd_tree *tree, enum sfd_tree_deviation kind, const char *format, ...)
{
	struct splitfd_error text = { 0 }; /* for its escaping of what is no text */
	char plain[1024];
	va_list ap;

	if (kind != SFD_DEVIATION_OWNER)
		sfd_tree_cfsctl_refuses(tree);
	if (tree->told == NULL || (tree->tolds & 1U << kind) != 0)
		return;
	tree->tolds |= 1U << kind;
	va_start(ap, format);
	vsnprintf(plain, sizeof(plain), format, ap);
	va_end(ap);
	splitfd_error_set(&text, SPLITFD_ERROR_FAILED, EINVAL, "%s%s%s",
		tree->layer != NULL ? tree->layer : "", tree->layer != NULL ? ": " : "", plain);
	tree->told(tree->told_ctx, text.text);
}
