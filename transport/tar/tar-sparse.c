/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/tar/tar-sparse.h"

#include "splitfdstream/base/cleanup.h"
#include "transport/tar/tar-header.h"
#include "transport/tar/tar-pax.h"

#include <errno.h>
#include <stdlib.h>

#define PIECE ((size_t)64 * 1024)
/* As archive/tar has it. */
#define MAP_MAX ((size_t)1024 * 1024)

/* A map in front of the content: decimal numbers with a newline each, first how many ranges. */
struct front {
	const struct sfd_tar_expansion *x;
	uint8_t block[SFD_TAR_BLOCK];
	size_t at; /* in the block; SFD_TAR_BLOCK: the next one is to be read */
	size_t total;
	uint64_t left; /* of the content */
};

static int damaged(struct splitfd_error *err)
{
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EINVAL,
		"the map in front of a sparse file's content is damaged");
}

static int too_long(struct splitfd_error *err)
{
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EINVAL,
		"the map in front of a sparse file's content is longer than 1 MiB, which podman "
		"refuses, too");
}

static int next_block(struct front *f, struct splitfd_error *err)
{
	f->total += SFD_TAR_BLOCK;
	if (f->total > MAP_MAX)
		return too_long(err);
	if (f->left < SFD_TAR_BLOCK)
		return damaged(err);
	f->left -= SFD_TAR_BLOCK;
	f->at = 0;
	return f->x->read(f->x->ctx, f->block, SFD_TAR_BLOCK, err);
}

static int next_number(struct front *f, uint64_t *ret, struct splitfd_error *err)
{
	char digits[32];
	size_t n = 0;

	for (;;) {
		char c;
		int r = f->at == SFD_TAR_BLOCK ? next_block(f, err) : 0;

		if (r < 0)
			return r;
		c = (char)f->block[f->at++];
		if (c == '\n')
			break;
		if (n == sizeof(digits))
			return damaged(err);
		digits[n++] = c;
	}
	if (!sfd_tar_decimal(digits, n, ret) || *ret > INT64_MAX)
		return damaged(err);
	return 0;
}

static int read_front(struct front *f, struct sfd_tar_ranges *ranges, struct splitfd_error *err)
{
	uint64_t n = 0, offset = 0, size = 0;
	int r = next_number(f, &n, err);

	if (r == 0 && n > SFD_TAR_RANGES_MAX)
		r = too_long(err);
	for (; r == 0 && n > 0; n--) {
		r = next_number(f, &offset, err);
		if (r == 0)
			r = next_number(f, &size, err);
		if (r == 0 && sfd_tar_ranges_add(ranges, (int64_t)offset, (int64_t)size) < 0)
			r = splitfd_error_oom(err);
	}
	return r;
}

static int copy(const struct sfd_tar_expansion *x, uint64_t n, struct splitfd_error *err)
{
	uint8_t buffer[PIECE];

	while (n > 0) {
		size_t piece = n < PIECE ? (size_t)n : PIECE;
		int r = x->read(x->ctx, buffer, piece, err);

		if (r == 0)
			r = x->write(x->ctx, buffer, piece, err);
		if (r < 0)
			return r;
		n -= piece;
	}
	return 0;
}

static int fill(const struct sfd_tar_expansion *x, const struct sfd_tar_range *ranges, size_t n,
	uint64_t size, struct splitfd_error *err)
{
	uint64_t end = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		uint64_t hole = (uint64_t)ranges[i].offset - end;

		if (hole > 0)
			r = x->write(x->ctx, NULL, hole, err);
		if (r == 0)
			r = copy(x, (uint64_t)ranges[i].size, err);
		end = (uint64_t)(ranges[i].offset + ranges[i].size);
	}
	if (r == 0 && end < size)
		r = x->write(x->ctx, NULL, size - end, err);
	return r;
}

int sfd_tar_sparse_expand(
	const struct sfd_tar_entry *e, const struct sfd_tar_expansion *x, struct splitfd_error *err)
{
	struct front f = { .x = x, .at = SFD_TAR_BLOCK, .left = e->content };
	struct sfd_tar_ranges ranges = { 0 };
	int r;

	if (e->sparse == SFD_TAR_DENSE)
		return copy(x, e->content, err);
	if (e->sparse == SFD_TAR_SPARSE_MAP)
		return fill(x, e->ranges, e->n_ranges, e->size, err);
	r = read_front(&f, &ranges, err);
	if (r == 0 && !sfd_tar_ranges_check(ranges.items, ranges.n, e->size, f.left))
		r = damaged(err);
	if (r == 0)
		r = fill(x, ranges.items, ranges.n, e->size, err);
	free(ranges.items);
	return r;
}
