/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/stream/spool.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/fd.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/base/unnamed-file.h"

#include <unistd.h>

#define PIECE ((size_t)128 * 1024)

void sfd_spool_init(struct sfd_spool *spool, size_t memory_max, int dir)
{
	*spool = (struct sfd_spool){ .memory = { .max = memory_max }, .fd = -EBADF, .dir = dir };
}

void sfd_spool_done(struct sfd_spool *spool)
{
	sfd_buffer_done(&spool->memory);
	spool->fd = sfd_close(spool->fd);
	spool->spilled = 0;
}

uint64_t sfd_spool_length(const struct sfd_spool *spool)
{
	return spool->spilled + spool->memory.len;
}

static int open_spill(struct sfd_spool *spool, struct splitfd_error *err)
{
	int fd = sfd_unnamed_file(spool->dir);

	if (fd < 0)
		return splitfd_error_sys(err, -fd,
			"cannot make a temporary file in the repository for a layer's tar headers");
	spool->fd = fd;
	return 0;
}

static int spill(struct sfd_spool *spool, struct splitfd_error *err)
{
	int r;

	if (spool->fd < 0) {
		r = open_spill(spool, err);
		if (r < 0)
			return r;
	}
	r = sfd_pwrite_all(spool->fd, spool->memory.data, spool->memory.len, spool->spilled);
	if (r < 0)
		return splitfd_error_sys(err, -r, "cannot write a temporary file for tar headers");
	spool->spilled += spool->memory.len;
	spool->memory.len = 0;
	return 0;
}

int sfd_spool_add(struct sfd_spool *spool, const void *data, size_t n, struct splitfd_error *err)
{
	const uint8_t *p = data;

	while (n > 0) {
		size_t piece = spool->memory.max - spool->memory.len;
		int r;

		if (piece == 0) {
			r = spill(spool, err);
			if (r < 0)
				return r;
			continue;
		}
		if (piece > n)
			piece = n;
		if (sfd_buffer_append(&spool->memory, p, piece) < 0)
			return splitfd_error_oom(err);
		p += piece;
		n -= piece;
	}
	return 0;
}

static int flush_spilled(struct sfd_spool *spool,
	int (*take)(void *ctx, const uint8_t *data, size_t n, struct splitfd_error *err), void *ctx,
	struct splitfd_error *err)
{
	sfd_cleanup_free uint8_t *piece = malloc(PIECE);

	if (piece == NULL)
		return splitfd_error_oom(err);
	for (uint64_t done = 0; done < spool->spilled;) {
		size_t n = spool->spilled - done < PIECE ? (size_t)(spool->spilled - done) : PIECE;
		int r = sfd_pread_full(spool->fd, piece, n, done);

		if (r < 0)
			return splitfd_error_sys(
				err, -r, "cannot read back a temporary file of tar headers");
		r = take(ctx, piece, n, err);
		if (r < 0)
			return r;
		done += n;
	}
	spool->spilled = 0;
	if (ftruncate(spool->fd, 0) < 0)
		return splitfd_error_sys(err, errno, "cannot empty a temporary file");
	return 0;
}

int sfd_spool_flush(struct sfd_spool *spool,
	int (*take)(void *ctx, const uint8_t *data, size_t n, struct splitfd_error *err), void *ctx,
	struct splitfd_error *err)
{
	int r = 0;

	if (spool->spilled > 0)
		r = flush_spilled(spool, take, ctx, err);
	if (r == 0 && spool->memory.len > 0)
		r = take(ctx, spool->memory.data, spool->memory.len, err);
	spool->memory.len = 0;
	return r;
}
