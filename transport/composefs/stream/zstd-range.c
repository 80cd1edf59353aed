/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/stream/zstd-range.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"

#include <zstd.h>
#include <zstd_errors.h>

#define BUFFER_SIZE ((size_t)128 * 1024)

struct sfd_zstd_range {
	int fd; /* borrowed */
	uint64_t pos, end;
	ZSTD_DCtx *zstd;
	ZSTD_inBuffer in;
	size_t out_pos, out_len;
	bool in_frame; /* also before the first one: an empty range holds no frame */
	uint8_t in_data[BUFFER_SIZE], out_data[BUFFER_SIZE];
};

int sfd_zstd_range_new(int fd, uint64_t start, uint64_t end, struct sfd_zstd_range **ret,
	struct splitfd_error *err)
{
	struct sfd_zstd_range *z = malloc(sizeof(*z));

	if (z == NULL)
		return splitfd_error_oom(err);
	z->fd = fd;
	z->pos = start;
	z->end = end;
	z->in = (ZSTD_inBuffer){ z->in_data, 0, 0 };
	z->out_pos = z->out_len = 0;
	z->in_frame = true;
	z->zstd = ZSTD_createDCtx();
	if (z->zstd == NULL) {
		free(z);
		return splitfd_error_oom(err);
	}
	*ret = z;
	return 0;
}

struct sfd_zstd_range *sfd_zstd_range_free(struct sfd_zstd_range *z)
{
	if (z != NULL) {
		ZSTD_freeDCtx(z->zstd);
		free(z);
	}
	return NULL;
}

static int fill_input(struct sfd_zstd_range *z, struct splitfd_error *err)
{
	uint64_t left = z->end - z->pos;
	size_t n = left < BUFFER_SIZE ? (size_t)left : BUFFER_SIZE;
	int r = sfd_pread_full(z->fd, z->in_data, n, z->pos);

	if (r == -ENODATA)
		return splitfd_error_set(
			err, SPLITFD_ERROR_REFUSED, EBADMSG, "the file became shorter");
	if (r < 0)
		return splitfd_error_sys(err, -r, "cannot read it");
	z->pos += n;
	z->in = (ZSTD_inBuffer){ z->in_data, n, 0 };
	return 0;
}

/* One step: more input where there is none left, some output. 1 at the end of the range. */
static int step(struct sfd_zstd_range *z, struct splitfd_error *err)
{
	ZSTD_outBuffer out = { z->out_data, BUFFER_SIZE, 0 };
	bool dry;
	size_t left;

	if (z->in.pos == z->in.size && z->pos < z->end) {
		int r = fill_input(z, err);

		if (r < 0)
			return r;
	}
	dry = z->in.pos == z->in.size;
	if (dry && !z->in_frame)
		return 1;
	left = ZSTD_decompressStream(z->zstd, &out, &z->in);
	if (ZSTD_getErrorCode(left) == ZSTD_error_memory_allocation)
		return splitfd_error_oom(err);
	if (ZSTD_isError(left))
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"compressed data is malformed: %s", ZSTD_getErrorName(left));
	if (dry && out.pos == 0 && left != 0)
		return splitfd_error_set(
			err, SPLITFD_ERROR_REFUSED, EBADMSG, "compressed data is truncated");
	z->in_frame = left != 0;
	z->out_pos = 0;
	z->out_len = out.pos;
	return 0;
}

int sfd_zstd_range_peek(struct sfd_zstd_range *z, const uint8_t **ret_data, size_t *ret_n,
	struct splitfd_error *err)
{
	while (z->out_pos == z->out_len) {
		int r = step(z, err);

		if (r < 0)
			return r;
		if (r > 0)
			break;
	}
	*ret_data = z->out_data + z->out_pos;
	*ret_n = z->out_len - z->out_pos;
	return 0;
}

void sfd_zstd_range_take(struct sfd_zstd_range *z, size_t n)
{
	z->out_pos += n;
}
