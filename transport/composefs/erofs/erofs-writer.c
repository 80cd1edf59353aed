/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/erofs/erofs-writer.h"

#include "splitfdstream/base/cleanup.h"
#include "transport/composefs/erofs/erofs-private.h"
#include "transport/composefs/verity.h"

#include <string.h>

/* The bytes, from first to last; everything was measured before. */
struct writer {
	struct sfd_erofs *e;
	sfd_erofs_output *output;
	void *ctx;
	struct splitfd_error *err;
	int failed;	     /* the first error of the output */
	uint64_t at;	     /* offset of the next byte */
	uint64_t next_block; /* the next data block that an inode refers to */
	uint8_t *entry;	     /* room for one xattr */
	size_t n;
	uint8_t buffer[64 * 1024];
};

static void flush(struct writer *w)
{
	if (w->failed == 0 && w->n > 0)
		w->failed = w->output(w->ctx, w->buffer, w->n, w->err);
	w->n = 0;
}

static void put(struct writer *w, const void *data, size_t len)
{
	const uint8_t *p = data;

	w->at += len;
	while (len > 0) {
		size_t some = sizeof(w->buffer) - w->n < len ? sizeof(w->buffer) - w->n : len;

		memcpy(w->buffer + w->n, p, some);
		w->n += some;
		p += some;
		len -= some;
		if (w->n == sizeof(w->buffer))
			flush(w);
	}
}

static void fill(struct writer *w, uint64_t len, uint8_t byte)
{
	uint8_t run[512];

	memset(run, byte, sizeof(run));
	while (len > 0) {
		size_t some = len < sizeof(run) ? (size_t)len : sizeof(run);

		put(w, run, some);
		len -= some;
	}
}

static void pad_to(struct writer *w, uint64_t offset)
{
	fill(w, offset - w->at, 0);
}

static void put_headers(struct writer *w)
{
	const struct sfd_erofs *e = w->e;
	uint8_t h[SFD_EROFS_SUPERBLOCK] = { 0 };

	sfd_put32(h, SFD_COMPOSEFS_MAGIC);
	sfd_put32(h + 4, 1);
	sfd_put32(h + 8, e->first && e->has_acl ? SFD_COMPOSEFS_HAS_ACL : 0);
	sfd_put32(h + 12, (uint32_t)e->format);
	put(w, h, 32);
	pad_to(w, SFD_EROFS_HEADER);
	memset(h, 0, sizeof(h));
	sfd_put32(h, SFD_EROFS_MAGIC);
	sfd_put32(h + 8, SFD_EROFS_COMPAT);
	h[12] = 12; /* block bits */
	sfd_put16(h + 14, e->nids[0]);
	sfd_put64(h + 16, e->n_inodes);
	if (e->first) {
		sfd_put64(h + 24, e->build_time);
		sfd_put32(h + 32, e->build_time_nsec);
		sfd_put32(h + 44, (uint32_t)(e->inodes_end / SFD_EROFS_BLOCK));
	}
	sfd_put32(h + 36, (uint32_t)(e->end / SFD_EROFS_BLOCK));
	put(w, h, sizeof(h));
}

/* i_u: a device number, the chunk format, or the first data block. */
static uint32_t union_of(
	struct writer *w, const struct sfd_tree_inode *inode, const struct sfd_erofs_inode *m)
{
	uint32_t block = m->n_blocks > 0 ? (uint32_t)w->next_block : 0;

	if (m->layout == SFD_EROFS_CHUNK_BASED) {
		uint32_t bits = SFD_EROFS_CHUNK_BITS_MAX;

		if (w->e->first)
			bits = sfd_erofs_chunk_bits(inode->size) - 12;
		return (block & 0xffff0000u) | bits;
	}
	if (inode->type == SFD_TREE_CHARACTER || inode->type == SFD_TREE_BLOCK)
		return (uint32_t)inode->size;
	return block;
}

static void put_compact(struct writer *w, uint32_t number, const struct sfd_tree_inode *inode,
	const struct sfd_erofs_inode *m, uint32_t icount)
{
	uint8_t h[SFD_EROFS_COMPACT_SIZE] = { 0 };

	sfd_put16(h, m->layout);
	sfd_put16(h + 2, icount);
	sfd_put16(h + 4, m->mode);
	sfd_put16(h + 6, m->links);
	sfd_put32(h + 8, (uint32_t)m->size);
	sfd_put32(h + 16, union_of(w, inode, m));
	sfd_put32(h + 20, number);
	sfd_put16(h + 24, inode->uid);
	sfd_put16(h + 26, inode->gid);
	put(w, h, sizeof(h));
}

static void put_extended(struct writer *w, uint32_t number, const struct sfd_tree_inode *inode,
	const struct sfd_erofs_inode *m, uint32_t icount)
{
	uint8_t h[SFD_EROFS_EXTENDED_SIZE] = { 0 };

	sfd_put16(h, m->layout | SFD_EROFS_EXTENDED);
	sfd_put16(h + 2, icount);
	sfd_put16(h + 4, m->mode);
	sfd_put64(h + 8, m->size);
	sfd_put32(h + 16, union_of(w, inode, m));
	sfd_put32(h + 20, w->e->first ? number : w->e->nids[number]);
	sfd_put32(h + 24, inode->uid);
	sfd_put32(h + 28, inode->gid);
	sfd_put64(h + 32, (uint64_t)inode->mtime);
	sfd_put32(h + 40, w->e->first ? inode->mtime_nsec : 0);
	sfd_put32(h + 44, m->links);
	put(w, h, sizeof(h));
}

static int put_xattrs(struct writer *w, uint32_t number)
{
	struct sfd_erofs *e = w->e;
	uint8_t h[SFD_EROFS_XATTR_HEADER] = { 0 }, at[4];
	int n = sfd_erofs_xattrs_of(e, number);
	uint32_t filter = 0;

	if (n <= 0)
		return n;
	for (int k = 0; k < n; k++) {
		filter |= sfd_erofs_filter_bit(e, e->scratch[k]);
		h[4] = (uint8_t)(h[4] + (sfd_erofs_shared_at(e, e->scratch[k]) >= 0));
	}
	sfd_put32(h, ~filter);
	put(w, h, sizeof(h));
	for (int k = 0; k < n; k++) {
		int64_t shared = sfd_erofs_shared_at(e, e->scratch[k]);

		sfd_put32(at, (uint32_t)shared);
		if (shared >= 0)
			put(w, at, sizeof(at));
	}
	for (int k = 0; k < n; k++)
		if (sfd_erofs_shared_at(e, e->scratch[k]) < 0)
			put(w, w->entry, sfd_erofs_entry(e, e->scratch[k], w->entry));
	return 0;
}

/* The type in a directory entry. */
static uint8_t dirent_type(const struct sfd_erofs *e, const struct sfd_tree_inode *inode)
{
	static const uint8_t types[] = {
		[SFD_TREE_DIRECTORY] = 2,
		[SFD_TREE_FILE] = 1,
		[SFD_TREE_SYMLINK] = 7,
		[SFD_TREE_CHARACTER] = 3,
		[SFD_TREE_BLOCK] = 4,
		[SFD_TREE_FIFO] = 5,
		[SFD_TREE_SOCKET] = 6,
	};

	if ((e->flags[e->numbers[inode->id]] & SFD_ESCAPED_WHITEOUT) != 0)
		return types[SFD_TREE_FILE];
	return types[inode->type];
}

/* One block of directory entries: the fixed parts, then the names. */
static void put_entries(struct writer *w, const struct sfd_tree_inode *dir,
	const struct sfd_erofs_entries *d, uint32_t from, uint32_t to)
{
	uint32_t offset = (to - from) * SFD_EROFS_DIRENT;
	const char *text;
	size_t len;

	for (uint32_t i = from; i < to; i++) {
		uint8_t h[SFD_EROFS_DIRENT] = { 0 };
		const struct sfd_tree_inode *inode = sfd_erofs_entry_at(d, i, &text, &len);

		if (inode == NULL)
			inode = i == d->dot ? dir : dir->dir->parent;
		sfd_put64(h, w->e->nids[w->e->numbers[inode->id]]);
		sfd_put16(h + 8, offset);
		h[10] = dirent_type(w->e, inode);
		put(w, h, sizeof(h));
		offset += (uint32_t)len;
	}
	for (uint32_t i = from; i < to; i++) {
		sfd_erofs_entry_at(d, i, &text, &len);
		put(w, text, len);
	}
}

/* The last entries, behind the inode. */
static void put_directory_tail(
	struct writer *w, const struct sfd_tree_inode *dir, const struct sfd_erofs_inode *m)
{
	struct sfd_erofs_entries d;
	uint32_t bytes, from = 0;

	sfd_erofs_entries(w->e, dir, &d);
	for (uint32_t i = 0; i < m->n_blocks; i++)
		from = sfd_erofs_block_end(&d, from, &bytes);
	put_entries(w, dir, &d, from, d.n);
}

static void put_tail(
	struct writer *w, const struct sfd_tree_inode *inode, const struct sfd_erofs_inode *m)
{
	if (m->tail == 0)
		return;
	if (inode->type == SFD_TREE_DIRECTORY)
		put_directory_tail(w, inode, m);
	else if (inode->external)
		fill(w, m->tail, 0xff);
	else
		put(w, inode->data, m->tail);
}

static int put_inode(struct writer *w, uint32_t number)
{
	const struct sfd_tree_inode *inode = w->e->order[number];
	struct sfd_erofs_inode m = { 0 };
	uint32_t icount = 0;
	int r;

	r = sfd_erofs_measure(w->e, number, &m, w->err);
	if (r < 0)
		return r;
	pad_to(w, (uint64_t)w->e->nids[number] * SFD_EROFS_SLOT);
	if (m.xattr_size > 0)
		icount = 1 + (m.xattr_size - SFD_EROFS_XATTR_HEADER) / 4;
	if (m.extended)
		put_extended(w, number, inode, &m, icount);
	else
		put_compact(w, number, inode, &m, icount);
	if (put_xattrs(w, number) < 0)
		return splitfd_error_oom(w->err);
	put_tail(w, inode, &m);
	w->next_block += m.n_blocks;
	return w->failed;
}

static void put_directory_blocks(
	struct writer *w, const struct sfd_tree_inode *dir, const struct sfd_erofs_inode *m)
{
	struct sfd_erofs_entries d;
	uint32_t bytes, from = 0;

	sfd_erofs_entries(w->e, dir, &d);
	for (uint32_t i = 0; i < m->n_blocks; i++) {
		uint32_t to = sfd_erofs_block_end(&d, from, &bytes);

		put_entries(w, dir, &d, from, to);
		pad_to(w, sfd_round_up(w->at, SFD_EROFS_BLOCK));
		from = to;
	}
}

static int put_blocks(struct writer *w, uint32_t number)
{
	const struct sfd_tree_inode *inode = w->e->order[number];
	struct sfd_erofs_inode m = { 0 };
	int r;

	r = sfd_erofs_measure(w->e, number, &m, w->err);
	if (r < 0 || m.n_blocks == 0)
		return r;
	if (inode->type == SFD_TREE_DIRECTORY)
		put_directory_blocks(w, inode, &m);
	else if (inode->external)
		fill(w, SFD_EROFS_BLOCK, 0xff);
	else
		put(w, inode->data, inode->size);
	pad_to(w, sfd_round_up(w->at, SFD_EROFS_BLOCK));
	return w->failed;
}

/* External files do only where their chunks are many: a chunk has 2^43 bytes at most, a block 1024
 * chunks. */
static bool may_have_blocks(const struct sfd_tree_inode *inode)
{
	return inode->type == SFD_TREE_DIRECTORY || inode->type == SFD_TREE_SYMLINK ||
	       (inode->external && inode->size >> 50 != 0);
}

static int put_image(struct writer *w)
{
	struct sfd_erofs *e = w->e;
	int r;

	put_headers(w);
	w->next_block = e->data_start / SFD_EROFS_BLOCK;
	for (uint32_t i = 0; i < e->n_inodes; i++) {
		r = put_inode(w, i);
		if (r < 0)
			return r;
	}
	pad_to(w, e->inodes_end);
	for (uint32_t i = 0; i < e->n_shared; i++)
		put(w, w->entry, sfd_erofs_entry(e, e->shared[i], w->entry));
	pad_to(w, e->data_start);
	for (uint32_t i = 0; i < e->n_inodes; i++) {
		r = may_have_blocks(e->order[i]) ? put_blocks(w, i) : 0;
		if (r < 0)
			return r;
	}
	flush(w);
	return w->failed;
}

static void erofs_done(struct sfd_erofs *e)
{
	free(e->order);
	free(e->numbers);
	free(e->nids);
	free(e->flags);
	free(e->stubs);
	free(e->stub_names);
	free(e->root_names);
	free(e->uses.plain);
	free(e->uses.metacopy);
	free(e->uses.redirect);
	free(e->shared);
	free(e->scratch);
}

int sfd_erofs_write(const struct sfd_tree *tree, int format, uint64_t *ret_size,
	sfd_erofs_output *output, void *ctx, struct splitfd_error *err)
{
	sfd_cleanup(erofs_done) struct sfd_erofs e = { .tree = tree, .format = format };
	sfd_cleanup_free struct writer *w = NULL;
	sfd_cleanup_free uint8_t *entry = NULL;
	int r;

	if (!tree->frozen || format < 0 || format > 2)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"there is no EROFS format %d, or the tree is not finished", format);
	e.first = format != 2;
	r = sfd_erofs_order(&e, err);
	if (r == 0)
		r = sfd_erofs_share_xattrs(&e, err);
	if (r == 0)
		r = sfd_erofs_layout(&e, err);
	if (r < 0)
		return r;
	if (ret_size != NULL)
		*ret_size = e.end;
	w = calloc(1, sizeof(*w));
	entry = malloc(SFD_EROFS_ENTRY_MAX);
	if (w == NULL || entry == NULL)
		return splitfd_error_oom(err);
	*w = (struct writer){ .e = &e, .output = output, .ctx = ctx, .err = err, .entry = entry };
	return put_image(w);
}

static int to_verity(void *ctx, const uint8_t *data, size_t len, struct splitfd_error *err)
{
	return sfd_verity_update(ctx, data, len) < 0 ? splitfd_error_oom(err) : 0;
}

int sfd_erofs_digest(const struct sfd_tree *tree, int format, struct splitfd_digest *ret,
	struct splitfd_error *err)
{
	sfd_cleanup_verity struct sfd_verity *v = sfd_verity_new(tree->algorithm);
	int r;

	if (v == NULL)
		return splitfd_error_oom(err);
	sfd_verity_begin(v);
	r = sfd_erofs_write(tree, format, NULL, to_verity, v, err);
	if (r < 0)
		return r;
	return sfd_verity_final(v, ret) < 0 ? splitfd_error_oom(err) : 0;
}
