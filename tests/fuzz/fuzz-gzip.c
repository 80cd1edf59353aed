/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gzip reader beside zlib: both give the same bytes, or both refuse. The first byte is how much
 * is read at a time; the rest is the file.
 */
#include "transport/tar/gzip-reader.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define OUT_MAX ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct file {
	const uint8_t *data;
	size_t size, piece;
};

static ssize_t give(void *ctx, void *buffer, size_t n, struct splitfd_error *err)
{
	struct file *f = ctx;

	(void)err;
	if (n > f->piece)
		n = f->piece;
	if (n > f->size)
		n = f->size;
	memcpy(buffer, f->data, n);
	f->data += n;
	f->size -= n;
	return (ssize_t)n;
}

/* Bytes in `out`, -1 where it is refused. More than OUT_MAX: the first of them, *ret_more. */
static ssize_t by_splitfd(struct file f, uint8_t *out, bool *ret_more)
{
	struct sfd_gzip_reader *reader = NULL;
	struct splitfd_error err = { 0 };
	size_t n = 0, piece = f.piece;
	ssize_t got = 1;

	assert(sfd_gzip_reader_new_input(give, &f, "cannot decompress", &reader, &err) == 0);
	while (got > 0 && n < OUT_MAX) {
		size_t want = piece < OUT_MAX - n ? piece : OUT_MAX - n;

		got = sfd_gzip_read(reader, out + n, want, &err);
		assert(got <= (ssize_t)want);
		n += got > 0 ? (size_t)got : 0;
	}
	*ret_more = got > 0;
	assert(got >= 0 || (err.kind == SPLITFD_ERROR_REFUSED && err.text[0] != '\0'));
	sfd_gzip_reader_free(reader);
	return got < 0 ? -1 : (ssize_t)n;
}

/* Reserved flags mean nothing to Go, and so to podman; zlib refuses them. */
static bool has_reserved(const struct file *f)
{
	return f->size > 3 && memcmp(f->data, "\x1f\x8b\x08", 3) == 0 && (f->data[3] & 0xe0) != 0;
}

/* One member of the file, which goes on after it. */
static bool member(struct file *f, uint8_t *out, size_t *n, bool *ret_more)
{
	z_stream z = { .next_in = (uint8_t *)(uintptr_t)f->data,
		.avail_in = (uInt)f->size,
		.next_out = out + *n,
		.avail_out = (uInt)(OUT_MAX - *n) };
	int r;

	assert(inflateInit2(&z, 16 + MAX_WBITS) == Z_OK);
	r = inflate(&z, Z_FINISH);
	*n += z.total_out;
	f->data += z.total_in;
	f->size -= z.total_in;
	*ret_more = r == Z_BUF_ERROR && z.avail_out == 0;
	inflateEnd(&z);
	return r == Z_STREAM_END;
}

static ssize_t by_zlib(struct file f, uint8_t *out, bool *ret_more)
{
	size_t n = 0;

	do {
		if (has_reserved(&f)) {
			*ret_more = true; /* of what is not compared */
			return (ssize_t)n;
		}
		if (!member(&f, out, &n, ret_more))
			return *ret_more ? (ssize_t)n : -1;
		/* Zeros up to the end are padding. */
		if (f.size > 0 && f.data[0] == 0) {
			for (size_t i = 0; i < f.size; i++) {
				if (f.data[i] != 0)
					return -1;
			}
			break;
		}
	} while (f.size > 0);
	return (ssize_t)n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *ours = malloc(OUT_MAX), *theirs = malloc(OUT_MAX);
	bool more_ours = false, more_theirs = false;
	struct file f;

	assert(ours != NULL && theirs != NULL);
	if (size > 0) {
		ssize_t a, b;

		f = (struct file){ .data = data + 1, .size = size - 1 };
		f.piece = (size_t)1 << (data[0] % 18);
		a = by_splitfd(f, ours, &more_ours);
		b = by_zlib(f, theirs, &more_theirs);
		/* Where all that is compared came, the rest may still be damaged. */
		if (!more_ours && !more_theirs)
			assert(a == b);
		if (a > 0 && b > 0)
			assert(memcmp(ours, theirs, (size_t)(a < b ? a : b)) == 0);
	}
	free(ours);
	free(theirs);
	return 0;
}
