/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/erofs/erofs-objects.h"
#include "splitfdstream/base/cleanup.h"
#include "transport/composefs/algorithm.h"
#include "transport/composefs/erofs/erofs-format.h"

#include <endian.h>
#include <string.h>
#include <sys/stat.h>

#define TRUSTED	 4 /* index of the prefix "trusted." */
#define METACOPY "overlay.metacopy"

struct walk {
	const uint8_t *image;
	size_t size;
	enum splitfd_algorithm algorithm;
	int (*object)(void *ctx, const struct splitfd_digest *digest, struct splitfd_error *err);
	void *ctx;
	uint64_t inodes, shared_xattrs; /* offsets of the two tables */
	uint8_t *seen;			/* a bit for each slot */
	size_t n_slots;
	uint64_t *stack; /* inodes still to be visited; each at most once */
	size_t n_stack, cap_stack;
};

struct inode {
	uint64_t offset, size, body; /* body: behind the xattrs, where inline data is */
	unsigned int layout, mode;
	uint32_t block; /* first data block */
	uint64_t xattrs, xattrs_len;
};

static int malformed(struct splitfd_error *err, const char *what)
{
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG, "Invalid image: %s", what);
}

static bool inside(const struct walk *w, uint64_t offset, uint64_t n)
{
	return offset <= w->size && n <= w->size - offset;
}

static uint16_t u16(const struct walk *w, uint64_t at)
{
	uint16_t v;

	memcpy(&v, w->image + at, sizeof(v));
	return le16toh(v);
}

static uint32_t u32(const struct walk *w, uint64_t at)
{
	uint32_t v;

	memcpy(&v, w->image + at, sizeof(v));
	return le32toh(v);
}

static uint64_t u64(const struct walk *w, uint64_t at)
{
	uint64_t v;

	memcpy(&v, w->image + at, sizeof(v));
	return le64toh(v);
}

static int read_super(struct walk *w, uint64_t *ret_root, struct splitfd_error *err)
{
	if (!inside(w, 0, SFD_EROFS_INODES))
		return malformed(err, "cannot parse header");
	if (u32(w, 0) != SFD_COMPOSEFS_MAGIC || u32(w, 4) != 1)
		return malformed(err, "no composefs header");
	if (u32(w, SFD_EROFS_HEADER) != SFD_EROFS_MAGIC || w->image[SFD_EROFS_HEADER + 12] != 12)
		return malformed(err, "no EROFS superblock of 4096-byte blocks");
	if (w->size % SFD_EROFS_BLOCK != 0)
		return malformed(err, "its size is not a multiple of 4096");
	w->inodes = (uint64_t)u32(w, SFD_EROFS_HEADER + 40) * SFD_EROFS_BLOCK;
	w->shared_xattrs = (uint64_t)u32(w, SFD_EROFS_HEADER + 44) * SFD_EROFS_BLOCK;
	*ret_root = u16(w, SFD_EROFS_HEADER + 14);
	if (w->inodes > w->size)
		return malformed(err, "the inodes lie outside of it");
	w->n_slots = (size_t)((w->size - w->inodes) / SFD_EROFS_SLOT);
	w->seen = calloc(w->n_slots / 8 + 1, 1);
	return w->seen != NULL ? 0 : splitfd_error_oom(err);
}

/* Each inode once. */
static int push(struct walk *w, uint64_t nid, struct splitfd_error *err)
{
	if (nid >= w->n_slots)
		return malformed(err, "an inode lies outside of it");
	if ((w->seen[nid / 8] & (1 << nid % 8)) != 0)
		return 0;
	w->seen[nid / 8] |= (uint8_t)(1 << nid % 8);
	if (w->n_stack == w->cap_stack) {
		size_t cap = w->cap_stack == 0 ? 256 : w->cap_stack * 2;
		uint64_t *stack = reallocarray(w->stack, cap, sizeof(*stack));

		if (stack == NULL)
			return splitfd_error_oom(err);
		w->stack = stack;
		w->cap_stack = cap;
	}
	w->stack[w->n_stack++] = nid;
	return 0;
}

static int read_inode(
	const struct walk *w, uint64_t nid, struct inode *ret, struct splitfd_error *err)
{
	uint64_t at = w->inodes + nid * SFD_EROFS_SLOT;
	bool extended;
	unsigned int format, icount;
	uint64_t len;

	if (!inside(w, at, SFD_EROFS_SLOT))
		return malformed(err, "an inode lies outside of it");
	format = u16(w, at);
	icount = u16(w, at + 2);
	extended = (format & SFD_EROFS_EXTENDED) != 0;
	len = extended ? 64 : 32;
	ret->xattrs_len = icount == 0 ? 0 : SFD_EROFS_XATTR_HEADER + 4 * ((uint64_t)icount - 1);
	if (!inside(w, at, len + ret->xattrs_len))
		return malformed(err, "an inode reaches out of it");
	ret->offset = at;
	ret->layout = format & SFD_EROFS_LAYOUT;
	ret->mode = u16(w, at + 4);
	ret->size = extended ? u64(w, at + 8) : u32(w, at + 8);
	ret->block = u32(w, at + 16);
	ret->xattrs = at + len;
	ret->body = ret->xattrs + ret->xattrs_len;
	return 0;
}

/* One xattr; *ret_len is how long it is. `end` bounds it. */
static int visit_xattr(
	struct walk *w, uint64_t at, uint64_t end, uint64_t *ret_len, struct splitfd_error *err)
{
	size_t digest_size = sfd_digest_size(w->algorithm);
	struct splitfd_digest digest = { .size = (uint8_t)digest_size };
	const uint8_t *value;
	unsigned int name_len, value_len;

	if (end > w->size || at > end || end - at < SFD_EROFS_XATTR_ENTRY)
		return malformed(err, "an xattr lies outside of it");
	name_len = w->image[at];
	value_len = u16(w, at + 2);
	*ret_len = ((uint64_t)SFD_EROFS_XATTR_ENTRY + name_len + value_len + 3) & ~(uint64_t)3;
	if (SFD_EROFS_XATTR_ENTRY + name_len + value_len > end - at)
		return malformed(err, "an xattr reaches out of its place");
	if (w->image[at + 1] != TRUSTED || name_len != strlen(METACOPY) ||
		memcmp(w->image + at + SFD_EROFS_XATTR_ENTRY, METACOPY, name_len) != 0)
		return 0;
	value = w->image + at + SFD_EROFS_XATTR_ENTRY + name_len;
	/* Without a digest it is a plain metacopy mark. */
	if (value_len != 4 + digest_size || value[3] != w->algorithm)
		return 0;
	memcpy(digest.bytes, value + 4, digest_size);
	return w->object(w->ctx, &digest, err);
}

static int visit_xattrs(struct walk *w, const struct inode *inode, struct splitfd_error *err)
{
	uint64_t at = inode->xattrs + SFD_EROFS_XATTR_HEADER, end = inode->body, len = 0;
	unsigned int n_shared;
	int r = 0;

	if (inode->xattrs_len == 0)
		return 0;
	n_shared = w->image[inode->xattrs + 4];
	if (4 * (uint64_t)n_shared > end - at)
		return malformed(err, "an inode has more shared xattrs than room for them");
	for (; r == 0 && n_shared > 0; n_shared--, at += 4)
		r = visit_xattr(w, w->shared_xattrs + 4 * (uint64_t)u32(w, at), w->size, &len, err);
	while (r == 0 && at < end) {
		r = visit_xattr(w, at, end, &len, err);
		at += len;
	}
	return r;
}

/* The names of one block of a directory. */
static int visit_block(struct walk *w, uint64_t at, uint64_t n, struct splitfd_error *err)
{
	uint64_t count;

	if (!inside(w, at, n) || n < SFD_EROFS_DIRENT)
		return malformed(err, "a directory lies outside of it");
	count = u16(w, at + 8) / SFD_EROFS_DIRENT;
	if (count == 0 || count * SFD_EROFS_DIRENT > n)
		return malformed(err, "a directory's names lie outside of it");
	for (uint64_t i = 0; i < count; i++) {
		int r = push(w, u64(w, at + i * SFD_EROFS_DIRENT), err);

		if (r < 0)
			return r;
	}
	return 0;
}

static int visit_dir(struct walk *w, const struct inode *inode, struct splitfd_error *err)
{
	uint64_t blocks = inode->size / SFD_EROFS_BLOCK, tail = inode->size % SFD_EROFS_BLOCK;
	uint64_t data = (uint64_t)inode->block * SFD_EROFS_BLOCK;
	int r = 0;

	if (inode->layout != SFD_EROFS_FLAT_PLAIN && inode->layout != SFD_EROFS_FLAT_INLINE)
		return malformed(err, "a directory has another layout than flat");
	if (blocks > 0 && !inside(w, data, blocks * SFD_EROFS_BLOCK))
		return malformed(err, "a directory lies outside of it");
	for (uint64_t i = 0; r == 0 && i < blocks; i++)
		r = visit_block(w, data + i * SFD_EROFS_BLOCK, SFD_EROFS_BLOCK, err);
	if (r == 0 && tail > 0)
		r = visit_block(w,
			inode->layout == SFD_EROFS_FLAT_INLINE ? inode->body
							       : data + blocks * SFD_EROFS_BLOCK,
			tail, err);
	return r;
}

static int walk_all(struct walk *w, struct splitfd_error *err)
{
	uint64_t root = 0;
	int r = read_super(w, &root, err);

	if (r == 0)
		r = push(w, root, err);
	while (r == 0 && w->n_stack > 0) {
		struct inode inode = { 0 };

		r = read_inode(w, w->stack[--w->n_stack], &inode, err);
		if (r == 0)
			r = visit_xattrs(w, &inode, err);
		if (r == 0 && S_ISDIR(inode.mode))
			r = visit_dir(w, &inode, err);
	}
	return r;
}

int sfd_erofs_objects(const uint8_t *image, size_t size, enum splitfd_algorithm algorithm,
	int (*object)(void *ctx, const struct splitfd_digest *digest, struct splitfd_error *err),
	void *ctx, struct splitfd_error *err)
{
	struct walk w = {
		.image = image, .size = size, .algorithm = algorithm, .object = object, .ctx = ctx
	};
	int r = walk_all(&w, err);

	free(w.seen);
	free(w.stack);
	return r;
}
