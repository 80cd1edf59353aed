/* SPDX-License-Identifier: Apache-2.0 */
/* Where everything is. Two rules of the layout are older kernels': a symlink must not cross a
 * block, and the tail of an inode must be within one block. How the padding for them is computed
 * is what makes images of the same tree equal, down to its oddities. */
#include "transport/composefs/erofs/erofs-private.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

void sfd_erofs_entries(
	const struct sfd_erofs *e, const struct sfd_tree_inode *dir, struct sfd_erofs_entries *ret)
{
	uint32_t n, i = 0;

	ret->names = sfd_erofs_names(e, dir, &n);
	ret->n = n + 2;
	/* Only names that start with a byte below '.', or with '.', sort around "." and "..". */
	while (i < n && (uint8_t)ret->names[i]->text[0] < '.')
		i++;
	ret->dot = i++;
	while (i - 1 < n && ret->names[i - 1]->text[0] == '.' && ret->names[i - 1]->len > 1 &&
		(uint8_t)ret->names[i - 1]->text[1] < '.')
		i++;
	ret->dotdot = i;
}

const struct sfd_tree_inode *sfd_erofs_entry_at(
	const struct sfd_erofs_entries *d, uint32_t i, const char **text, size_t *len)
{
	const struct sfd_tree_name *name;

	if (i == d->dot || i == d->dotdot) {
		*text = "..";
		*len = i == d->dot ? 1 : 2;
		return NULL;
	}
	name = d->names[i - (i > d->dot) - (i > d->dotdot)];
	*text = name->text;
	*len = name->len;
	return name->inode;
}

uint32_t sfd_erofs_block_end(const struct sfd_erofs_entries *d, uint32_t from, uint32_t *ret_bytes)
{
	uint32_t bytes = 0, i;
	const char *text;
	size_t len;

	for (i = from; i < d->n; i++) {
		sfd_erofs_entry_at(d, i, &text, &len);
		if (bytes + SFD_EROFS_DIRENT + len > SFD_EROFS_BLOCK)
			break;
		bytes += SFD_EROFS_DIRENT + (uint32_t)len;
	}
	*ret_bytes = bytes;
	return i;
}

static void measure_directory(
	const struct sfd_erofs *e, const struct sfd_tree_inode *inode, struct sfd_erofs_inode *m)
{
	struct sfd_erofs_entries d;
	uint32_t bytes = 0;

	sfd_erofs_entries(e, inode, &d);
	for (uint32_t i = 0; i < d.n;) {
		i = sfd_erofs_block_end(&d, i, &bytes);
		if (i < d.n || bytes > SFD_EROFS_BLOCK / 2) {
			m->n_blocks++;
			bytes = 0;
		}
	}
	m->tail = bytes;
	m->size = (uint64_t)m->n_blocks * SFD_EROFS_BLOCK + bytes;
	m->layout = bytes > 0 ? SFD_EROFS_FLAT_INLINE : SFD_EROFS_FLAT_PLAIN;
	m->links = 2 + inode->dir->n_directories;
}

/* The bits of a chunk's size: as few chunks as the format allows. */
uint32_t sfd_erofs_chunk_bits(uint64_t size)
{
	uint32_t bits = size > 1 ? 64 - (uint32_t)__builtin_clzll(size - 1) : 1;

	if (bits < 12)
		bits = 12;
	return bits > 12 + SFD_EROFS_CHUNK_BITS_MAX ? 12 + SFD_EROFS_CHUNK_BITS_MAX : bits;
}

static void measure_external(
	const struct sfd_erofs *e, const struct sfd_tree_inode *inode, struct sfd_erofs_inode *m)
{
	uint64_t chunk = 1ULL << sfd_erofs_chunk_bits(inode->size);

	m->layout = SFD_EROFS_CHUNK_BASED;
	m->size = inode->size;
	m->tail = 4;
	if (!e->first)
		return;
	m->tail = (uint32_t)(inode->size / chunk + (inode->size % chunk != 0)) * 4;
	if (m->tail + m->xattr_size % SFD_EROFS_SLOT > SFD_EROFS_BLOCK) {
		m->n_blocks = 1;
		m->tail = 0;
	}
}

static void measure_leaf(
	const struct sfd_erofs *e, const struct sfd_tree_inode *inode, struct sfd_erofs_inode *m)
{
	m->links = inode->links;
	m->layout = SFD_EROFS_FLAT_PLAIN;
	if (inode->external) {
		measure_external(e, inode, m);
	} else if (inode->type == SFD_TREE_SYMLINK ||
		   (inode->type == SFD_TREE_FILE && inode->size > 0)) {
		m->layout = SFD_EROFS_FLAT_INLINE;
		m->size = inode->size;
		m->tail = (uint32_t)inode->size;
	}
}

static uint32_t mode_of(const struct sfd_erofs *e, uint32_t number)
{
	bool escaped = (e->flags[number] & SFD_ESCAPED_WHITEOUT) != 0;

	return sfd_tree_file_type(escaped ? SFD_TREE_FILE : e->order[number]->type) |
	       (e->order[number]->mode & 07777);
}

static bool fits_compact(const struct sfd_erofs *e, const struct sfd_tree_inode *inode,
	const struct sfd_erofs_inode *m)
{
	return e->first && (uint64_t)inode->mtime == e->build_time &&
	       inode->mtime_nsec == e->build_time_nsec && m->links <= UINT16_MAX &&
	       inode->uid <= UINT16_MAX && inode->gid <= UINT16_MAX && m->size <= UINT32_MAX;
}

int sfd_erofs_measure(struct sfd_erofs *e, uint32_t number, struct sfd_erofs_inode *ret,
	struct splitfd_error *err)
{
	const struct sfd_tree_inode *inode = e->order[number];
	struct sfd_erofs_inode m = { .mode = mode_of(e, number) };
	int64_t xattr_size = sfd_erofs_xattr_size(e, number, err);

	if (xattr_size < 0)
		return (int)xattr_size;
	m.xattr_size = (uint32_t)xattr_size;
	if (inode->type == SFD_TREE_DIRECTORY)
		measure_directory(e, inode, &m);
	else
		measure_leaf(e, inode, &m);
	m.extended = !fits_compact(e, inode, &m);
	m.head = (m.extended ? SFD_EROFS_EXTENDED_SIZE : SFD_EROFS_COMPACT_SIZE) + m.xattr_size;
	if (e->first && inode->type == SFD_TREE_SYMLINK && m.tail > 0 &&
		m.head + m.tail >= SFD_EROFS_BLOCK) {
		m.layout = SFD_EROFS_FLAT_PLAIN;
		m.n_blocks = 1;
		m.tail = 0;
	}
	*ret = m;
	return 0;
}

static uint64_t to_block_end(uint64_t at)
{
	return sfd_round_up(at, SFD_EROFS_BLOCK) - at;
}

/* Formats 0 and 1: bytes of padding in front of an inode that would start at `at`. */
static uint64_t padding(const struct sfd_erofs_inode *m, bool symlink, uint64_t at)
{
	uint64_t total = m->head + m->size, rest;

	if (symlink)
		return at % SFD_EROFS_BLOCK + total > SFD_EROFS_BLOCK ? to_block_end(at) : 0;
	if (m->layout == SFD_EROFS_CHUNK_BASED && m->n_blocks > 0)
		return to_block_end(at);
	rest = to_block_end(at + m->head);
	return rest > 0 && rest < m->tail ? sfd_round_up(rest, SFD_EROFS_SLOT) : 0;
}

/* Format 2. */
static uint64_t padding_2(const struct sfd_erofs_inode *m, uint64_t at)
{
	uint64_t last = at + m->head - 1;

	if (m->layout != SFD_EROFS_FLAT_INLINE ||
		last / SFD_EROFS_BLOCK == (last + 1 + m->tail) / SFD_EROFS_BLOCK)
		return 0;
	return sfd_round_up(at + SFD_EROFS_BLOCK - last % SFD_EROFS_BLOCK, SFD_EROFS_SLOT) - at;
}

static void find_build_time(struct sfd_erofs *e)
{
	e->build_time = (uint64_t)e->order[0]->mtime;
	e->build_time_nsec = e->order[0]->mtime_nsec;
	for (uint32_t i = 1; i < e->n_inodes; i++) {
		uint64_t sec = (uint64_t)e->order[i]->mtime;
		uint32_t nsec = e->order[i]->mtime_nsec;

		if (sec < e->build_time || (sec == e->build_time && nsec < e->build_time_nsec)) {
			e->build_time = sec;
			e->build_time_nsec = nsec;
		}
	}
}

int sfd_erofs_layout(struct sfd_erofs *e, struct splitfd_error *err)
{
	uint64_t at = SFD_EROFS_INODES, blocks = 0;
	struct sfd_erofs_inode m = { 0 };
	int r;

	find_build_time(e);
	for (uint32_t i = 0; i < e->n_inodes; i++) {
		r = sfd_erofs_measure(e, i, &m, err);
		if (r < 0)
			return r;
		at = sfd_round_up(at, SFD_EROFS_SLOT);
		at += e->first ? padding(&m, e->order[i]->type == SFD_TREE_SYMLINK, at)
			       : padding_2(&m, at);
		e->nids[i] = (uint32_t)(at / SFD_EROFS_SLOT);
		at += m.head + m.tail;
		blocks += m.n_blocks;
		if (at > (uint64_t)UINT32_MAX * 4 || blocks > UINT32_MAX)
			return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EFBIG,
				"the tree is too large for an EROFS image");
	}
	e->inodes_end = sfd_round_up(at, SFD_EROFS_SLOT);
	e->data_start = sfd_round_up(e->inodes_end + sfd_erofs_place_shared(e), SFD_EROFS_BLOCK);
	e->end = e->data_start + blocks * SFD_EROFS_BLOCK;
	if (e->data_start > (uint64_t)UINT32_MAX * 4 || e->end / SFD_EROFS_BLOCK > UINT32_MAX)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EFBIG,
			"the tree is too large for an EROFS image");
	return 0;
}
