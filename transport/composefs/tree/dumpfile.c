/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/tree/dumpfile.h"

#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"
#include "transport/composefs/tree/tree-private.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

struct dumper {
	const struct sfd_tree *tree;
	FILE *out;
	char **first_paths; /* by id: where an inode with several names was printed */
	char path[2 * PATH_MAX];
	size_t len;
};

static void put_escaped(FILE *out, const void *data, size_t n, bool escape_equals)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < n; i++) {
		if (p[i] == '\\')
			fputs("\\\\", out);
		else if (p[i] == '\n')
			fputs("\\n", out);
		else if (p[i] == '\r')
			fputs("\\r", out);
		else if (p[i] == '\t')
			fputs("\\t", out);
		else if (p[i] < '!' || p[i] > '~' || (escape_equals && p[i] == '='))
			fprintf(out, "\\x%02x", p[i]);
		else
			putc(p[i], out);
	}
}

/* A field where "-" stands for nothing. */
static void put_field(FILE *out, const void *data, size_t n)
{
	if (n == 0)
		putc('-', out);
	else if (n == 1 && *(const char *)data == '-')
		fputs("\\x2d", out);
	else
		put_escaped(out, data, n, false);
}

static void put_xattrs(struct dumper *d, const struct sfd_tree_inode *inode)
{
	for (uint32_t i = 0; inode->xattrs != NULL && i < inode->xattrs->n; i++) {
		const struct sfd_tree_xattr_entry *x = &d->tree->xattrs[inode->xattrs->ids[i]];

		putc(' ', d->out);
		put_escaped(d->out, x->name, x->name_len, true);
		putc('=', d->out);
		put_escaped(d->out, x->value, x->value_len, true);
	}
}

/* Payload, content, digest. */
static void put_content(struct dumper *d, const struct sfd_tree_inode *inode)
{
	char hex[2 * SPLITFD_DIGEST_MAX + 1];

	if (inode->type == SFD_TREE_SYMLINK) {
		put_field(d->out, inode->data, inode->size);
		fputs(" - -", d->out);
	} else if (inode->type == SFD_TREE_FILE && inode->external) {
		sfd_hex_encode(sfd_tree_digest(d->tree, inode->object), d->tree->digest_size, hex);
		fprintf(d->out, "%.2s/%s - %s", hex, hex + 2, hex);
	} else if (inode->type == SFD_TREE_FILE) {
		fputs("- ", d->out);
		put_field(d->out, inode->data, inode->size);
		fputs(" -", d->out);
	} else {
		fputs("- - -", d->out);
	}
}

static void put_inode(struct dumper *d, const struct sfd_tree_inode *inode)
{
	bool device = inode->type == SFD_TREE_CHARACTER || inode->type == SFD_TREE_BLOCK;
	bool directory = inode->type == SFD_TREE_DIRECTORY;

	put_field(d->out, d->len > 0 ? d->path : "/", d->len > 0 ? d->len : 1);
	fprintf(d->out,
		" %" PRIu64 " %o %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu64 " %" PRId64
		".%" PRIu32 " ",
		device ? 0 : inode->size, inode->mode | sfd_tree_file_type(inode->type),
		directory ? 2 + inode->dir->n_directories : inode->links, inode->uid, inode->gid,
		device ? inode->size : 0, inode->mtime, inode->mtime_nsec);
	put_content(d, inode);
	put_xattrs(d, inode);
	putc('\n', d->out);
}

static int put_leaf(struct dumper *d, const struct sfd_tree_inode *inode)
{
	char **first = &d->first_paths[inode->id];

	if (*first == NULL) {
		put_inode(d, inode);
		if (inode->links < 2)
			return 0;
		*first = strndup(d->path, d->len);
		return *first != NULL ? 0 : -ENOMEM;
	}
	put_field(d->out, d->path, d->len);
	fputs(" 0 @120000 - - - - 0.0 ", d->out);
	put_field(d->out, *first, strlen(*first));
	fputs(" - -\n", d->out);
	return 0;
}

static int put_directory(struct dumper *d, const struct sfd_tree_inode *inode)
{
	size_t len = d->len;
	int r = 0;

	put_inode(d, inode);
	for (uint32_t i = 0; i < inode->dir->n_names && r == 0; i++) {
		const struct sfd_tree_name *name = inode->dir->names[i];

		/* freezing has made sure that it fits */
		d->path[d->len++] = '/';
		memcpy(d->path + d->len, name->text, name->len);
		d->len += name->len;
		r = name->inode->type == SFD_TREE_DIRECTORY ? put_directory(d, name->inode)
							    : put_leaf(d, name->inode);
		d->len = len;
	}
	return r;
}

int sfd_dump_write(const struct sfd_tree *tree, FILE *out, struct splitfd_error *err)
{
	struct dumper d = { .tree = tree, .out = out };
	int r;

	if (!tree->frozen)
		return splitfd_error_set(
			err, SPLITFD_ERROR_USAGE, EINVAL, "the tree is not finished");
	d.first_paths = calloc((size_t)tree->n_inodes, sizeof(char *));
	if (d.first_paths == NULL)
		return splitfd_error_oom(err);
	r = put_directory(&d, tree->root);
	for (uint32_t i = 0; i < tree->n_inodes; i++)
		free(d.first_paths[i]);
	free(d.first_paths);
	if (r < 0)
		return splitfd_error_oom(err);
	if (fflush(out) != 0 || ferror(out))
		return splitfd_error_sys(err, errno != 0 ? errno : EIO, "writing the dump");
	return 0;
}
