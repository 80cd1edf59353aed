/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of a descriptor as a source: as they are, or decompressed: gzip by ISA-L, which checks
 * every member's CRC-32 and length, the others by libarchive's filters. */
#include "transport/tar/tar-source.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/fd.h"
#include "splitfdstream/base/io.h"
#include "transport/tar/archive-library.h"
#include "transport/tar/gzip-reader.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define PIECE ((size_t)64 * 1024)
#define MAGIC 6

struct bytes_source {
	struct splitfd_source base;
	int fd;
	int timeout_ms;
	int cancel_fd;
	bool maybe_compressed;
	bool sniffed;
	size_t have;			/* bytes in `raw` that were read to look at them */
	struct sfd_gzip_reader *gzip;	/* NULL: not gzip */
	struct archive *archive;	/* NULL: bytes as they are */
	uint64_t given;			/* compressed bytes that it has got */
	struct sfd_archive_library lib; /* where there is an archive */
	int failed;			/* 0 or -errno: sticks */
	struct splitfd_error error;
	bool ended;
	bool opened;
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

/* libarchive asks for compressed bytes. */
static la_ssize_t on_read(struct archive *archive, void *ctx, const void **ret)
{
	struct bytes_source *bs = ctx;
	ssize_t got = (ssize_t)bs->have;

	*ret = bs->raw;
	bs->have = 0;
	if (got == 0)
		got = read_raw(bs, bs->raw, sizeof(bs->raw), &bs->error);
	if (got > 0)
		bs->given += (uint64_t)got;
	if (got < 0) {
		bs->failed = (int)got;
		bs->lib.set_error(archive, (int)-got, "input failed");
	}
	return got;
}

static int archive_failed(struct bytes_source *bs, struct splitfd_error *err)
{
	const char *text = bs->lib.error_string(bs->archive);

	/* Our own reading failed: on_read has left the text. */
	if (bs->failed < 0)
		return bs->failed;
	/* Not every failure of memory in it is said to be one. */
	if (bs->lib.error_number(bs->archive) == ENOMEM || errno == ENOMEM)
		return splitfd_error_oom(err);
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG, "cannot decompress: %s",
		text != NULL ? text : "damaged data");
}

/* Whatever follows a bzip2 stream and is none ends it for libarchive, also a damaged next stream.
 */
static int check_end(struct bytes_source *bs, struct splitfd_error *err)
{
	la_int64_t used = bs->lib.filter_bytes(bs->archive, -1);
	ssize_t more = 0;

	if (used >= 0 && (uint64_t)used == bs->given)
		more = read_raw(bs, bs->raw, 1, err);
	if (more < 0)
		return (int)more;
	if (more == 0 && (uint64_t)used == bs->given)
		return 0;
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
		"cannot decompress: bytes after its end, at byte %lld of the compressed file",
		(long long)used);
}

static ssize_t read_archive(struct bytes_source *bs, struct splitfd_error *err)
{
	struct archive_entry *entry;
	la_ssize_t n;
	int r;

	errno = 0;
	if (!bs->opened) {
		r = bs->lib.read_open(bs->archive, bs, NULL, on_read, NULL);
		if (r == ARCHIVE_OK)
			r = bs->lib.next_header(bs->archive, &entry);
		bs->opened = true;
		if (r == ARCHIVE_EOF)
			return bs->failed < 0 ? bs->failed : check_end(bs, err);
		if (r != ARCHIVE_OK)
			return archive_failed(bs, err);
	}
	n = bs->lib.read_data(bs->archive, bs->buffer, sizeof(bs->buffer));
	if (n < 0 || bs->failed < 0)
		return archive_failed(bs, err);
	return n > 0 ? (ssize_t)n : check_end(bs, err);
}

static int open_archive(struct bytes_source *bs, struct splitfd_error *err)
{
	int r = sfd_archive_library_open(&bs->lib, err);

	if (r < 0)
		return r;
	errno = 0;
	bs->archive = bs->lib.read_new();
	/* By name: "all" would start external programs. ARCHIVE_WARN is such a program, too. */
	if (bs->archive != NULL && bs->lib.filter_gzip(bs->archive) == ARCHIVE_OK &&
		bs->lib.filter_zstd(bs->archive) == ARCHIVE_OK &&
		bs->lib.filter_xz(bs->archive) == ARCHIVE_OK &&
		bs->lib.filter_bzip2(bs->archive) == ARCHIVE_OK &&
		bs->lib.format_raw(bs->archive) == ARCHIVE_OK &&
		bs->lib.format_empty(bs->archive) == ARCHIVE_OK)
		return 0;
	if (errno == ENOMEM)
		return splitfd_error_oom(err);
	return splitfd_error_set(err, SPLITFD_ERROR_FAILED, ENOTSUP,
		"libarchive has no support for gzip, zstd, xz and bzip2");
}

/* As the first bytes look. */
static bool is_compressed(const uint8_t *at, size_t n)
{
	return (n >= 2 && memcmp(at, "\x1f\x8b", 2) == 0) ||
	       (n >= 3 && memcmp(at, "BZh", 3) == 0) ||
	       (n >= 4 && memcmp(at, "\x28\xb5\x2f\xfd", 4) == 0) ||
	       (n >= 4 && (at[0] & 0xf0) == 0x50 && memcmp(at + 1, "\x2a\x4d\x18", 3) == 0) ||
	       (n >= 6 && memcmp(at, "\xfd\x37\x7a\x58\x5a\x00", 6) == 0);
}

/* A plain tar needs no library. */
static int sniff(struct bytes_source *bs, struct splitfd_error *err)
{
	ssize_t n = 1;

	bs->sniffed = true;
	while (n > 0 && bs->have < MAGIC) {
		n = read_raw(bs, bs->raw + bs->have, sizeof(bs->raw) - bs->have, err);
		if (n < 0)
			return (int)n;
		bs->have += (size_t)n;
	}
	if (bs->have >= 2 && memcmp(bs->raw, "\x1f\x8b", 2) == 0)
		return sfd_gzip_reader_new_input(
			read_input, bs, "cannot decompress", &bs->gzip, err);
	return is_compressed(bs->raw, bs->have) ? open_archive(bs, err) : 0;
}

static ssize_t read_bytes(struct bytes_source *bs, struct splitfd_error *err)
{
	size_t n;
	int r = bs->maybe_compressed && !bs->sniffed ? sniff(bs, err) : 0;

	if (r < 0)
		return r;
	if (bs->gzip != NULL)
		return sfd_gzip_read(bs->gzip, bs->buffer, sizeof(bs->buffer), err);
	if (bs->archive != NULL)
		return read_archive(bs, err);
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
	if (bs->failed < 0 && err != NULL)
		*err = bs->error;
	return bs->failed < 0 ? bs->failed : r;
}

static void bytes_free(struct splitfd_source *source)
{
	struct bytes_source *bs = (struct bytes_source *)source;

	if (bs->archive != NULL)
		bs->lib.read_free(bs->archive);
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
