/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of a descriptor as a source: as they are, or decompressed: gzip by ISA-L, which checks
 * every member's CRC-32 and length, the others by the library of each format. */
#include "transport/tar/tar-source.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/fd.h"
#include "splitfdstream/base/io.h"
#include "transport/tar/decompressor.h"
#include "transport/tar/gzip-reader.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define PIECE ((size_t)64 * 1024)

struct bytes_source {
	struct splitfd_source base;
	int fd;
	int timeout_ms;
	int cancel_fd;
	bool maybe_compressed;
	bool sniffed;
	size_t have;			/* bytes in `raw` that were read to look at them */
	struct sfd_gzip_reader *gzip;	/* NULL: not gzip */
	struct sfd_decompressor *other; /* NULL: gzip, or bytes as they are */
	int failed;			/* 0 or -errno: sticks */
	struct splitfd_error error;
	bool ended;
	uint8_t raw[PIECE];
	uint8_t buffer[PIECE];
};

static ssize_t read_raw(struct bytes_source *bs, void *buffer, size_t n, struct splitfd_error *err)
{
	int r = sfd_wait_or_cancel(bs->fd, POLLIN, bs->cancel_fd, bs->timeout_ms);
	ssize_t got;

	if (r == -ECANCELED)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, ECANCELED, "interrupted");
	if (r == 0)
		return splitfd_error_set(err, SPLITFD_ERROR_PEER, ETIMEDOUT,
			"nothing arrived for %d ms", bs->timeout_ms);
	got = r < 0 ? r : sfd_read_some(bs->fd, buffer, n);
	if (got < 0)
		return splitfd_error_sys(err, (int)-got, "cannot read");
	return got;
}

static int give(ssize_t n, struct bytes_source *bs, struct splitfd_chunk *ret)
{
	if (n <= 0) {
		bs->ended = n == 0;
		return (int)n;
	}
	*ret = (struct splitfd_chunk){ .data = bs->buffer, .data_len = (size_t)n, .fd = -EBADF };
	return 1;
}

/* The bytes that were looked at, then what comes. */
static ssize_t read_input(void *ctx, void *buffer, size_t n, struct splitfd_error *err)
{
	struct bytes_source *bs = ctx;
	size_t have = bs->have < n ? bs->have : n;

	if (have == 0)
		return read_raw(bs, buffer, n, err);
	memcpy(buffer, bs->raw, have);
	bs->have -= have;
	memmove(bs->raw, bs->raw + have, bs->have);
	return (ssize_t)have;
}

/* A plain tar needs no library. */
static int sniff(struct bytes_source *bs, struct splitfd_error *err)
{
	const struct sfd_codec *codec;
	ssize_t n = 1;

	bs->sniffed = true;
	while (n > 0 && bs->have < SFD_CODEC_MAGIC) {
		n = read_raw(bs, bs->raw + bs->have, sizeof(bs->raw) - bs->have, err);
		if (n < 0)
			return (int)n;
		bs->have += (size_t)n;
	}
	if (bs->have >= 2 && memcmp(bs->raw, "\x1f\x8b", 2) == 0)
		return sfd_gzip_reader_new_input(
			read_input, bs, "cannot decompress", &bs->gzip, err);
	codec = sfd_codec_find(bs->raw, bs->have);
	return codec != NULL ? sfd_decompressor_new(codec, read_input, bs, &bs->other, err) : 0;
}

static ssize_t read_bytes(struct bytes_source *bs, struct splitfd_error *err)
{
	size_t n;
	int r = bs->maybe_compressed && !bs->sniffed ? sniff(bs, err) : 0;

	if (r < 0)
		return r;
	if (bs->gzip != NULL)
		return sfd_gzip_read(bs->gzip, bs->buffer, sizeof(bs->buffer), err);
	if (bs->other != NULL)
		return sfd_decompress(bs->other, bs->buffer, sizeof(bs->buffer), err);
	n = bs->have;
	bs->have = 0;
	if (n == 0)
		return read_raw(bs, bs->buffer, sizeof(bs->buffer), err);
	memcpy(bs->buffer, bs->raw, n);
	return (ssize_t)n;
}

static int bytes_next(
	struct splitfd_source *source, struct splitfd_chunk *ret, struct splitfd_error *err)
{
	struct bytes_source *bs = (struct bytes_source *)source;
	int r = 0;

	if (bs->failed == 0 && !bs->ended) {
		r = give(read_bytes(bs, &bs->error), bs, ret);
		if (r < 0)
			bs->failed = r;
	}
	return bs->failed < 0 ? splitfd_error_copy(err, bs->failed, &bs->error) : r;
}

static void bytes_free(struct splitfd_source *source)
{
	struct bytes_source *bs = (struct bytes_source *)source;

	sfd_decompressor_free(bs->other);
	sfd_gzip_reader_free(bs->gzip);
	sfd_close(bs->fd);
	free(bs);
}

int sfd_bytes_source_new(int fd, int timeout_ms, int cancel_fd, struct splitfd_source **ret,
	struct splitfd_error *err)
{
	static const struct splitfd_source_ops ops = { .next = bytes_next, .free = bytes_free };
	struct bytes_source *bs = calloc(1, sizeof(*bs));

	if (bs == NULL) {
		sfd_close(fd);
		return splitfd_error_oom(err);
	}
	bs->base.ops = &ops;
	bs->fd = fd;
	bs->timeout_ms = timeout_ms;
	bs->cancel_fd = cancel_fd;
	*ret = &bs->base;
	return 0;
}

int sfd_archive_source_new(int fd, int timeout_ms, int cancel_fd, struct splitfd_source **ret,
	struct splitfd_error *err)
{
	int r = sfd_bytes_source_new(fd, timeout_ms, cancel_fd, ret, err);

	if (r == 0)
		((struct bytes_source *)*ret)->maybe_compressed = true;
	return r;
}
