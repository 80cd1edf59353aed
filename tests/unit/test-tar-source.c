/* SPDX-License-Identifier: Apache-2.0 */
/* A tar cut into chunks: whatever the pieces it comes in, the same cuts and the same bytes. */
#include "splitfdstream/base/buffer.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/reconstruct.h"
#include "transport/tar/tar-source.h"
#include "tests/unit/check.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static void add_entry(struct sfd_buffer *b, char type, const char *name, const char *text, size_t n)
{
	char block[512] = { 0 };
	unsigned int sum = 0;

	snprintf(block, 100, "%s", name);
	snprintf(block + 100, 8, "0000644");
	snprintf(block + 108, 8, "0000000");
	snprintf(block + 116, 8, "0000000");
	snprintf(block + 124, 12, "%011zo", n);
	snprintf(block + 136, 12, "00000000000");
	memset(block + 148, ' ', 8);
	block[156] = type;
	memcpy(block + 257, "ustar\00000", 8);
	for (size_t i = 0; i < sizeof(block); i++)
		sum += (unsigned char)block[i];
	snprintf(block + 148, 8, "%06o", sum);
	CHECK_INT(sfd_buffer_append(b, block, sizeof(block)), 0);
	CHECK_INT(sfd_buffer_append(b, text, n), 0);
	memset(block, 'p', sizeof(block)); /* padding that is not zero has to survive */
	CHECK_INT(sfd_buffer_append(b, block, (512 - n % 512) % 512), 0);
}

static char big[70000];

static void make_tar(struct sfd_buffer *b)
{
	static const char zero[1024];

	memset(big, 'b', sizeof(big));
	b->len = 0;
	add_entry(b, '5', "d/", "", 0);
	add_entry(b, '0', "d/empty", "", 0);
	add_entry(b, '0', "d/small", big, 64);
	add_entry(b, '0', "d/large", big, 65);
	add_entry(b, '7', "d/larger", big, 700);
	add_entry(b, 'x', "pax", "16 comment=some\n", 16);
	add_entry(b, '0', "d/huge", big, sizeof(big));
	add_entry(b, '1', "d/link", big, 100);
	CHECK_INT(sfd_buffer_append(b, zero, sizeof(zero)), 0);
	CHECK_INT(sfd_buffer_append_str(b, "garbage"), 0);
}

/* A source that gives some bytes in pieces; file[i] stands for `size` bytes from `at`. */
struct pieces {
	struct splitfd_source base;
	const uint8_t *data;
	size_t at, len, piece;
	size_t file_at[4], file_size[4], n_files;
};

static int pieces_next(
	struct splitfd_source *source, struct splitfd_chunk *ret, struct splitfd_error *err)
{
	struct pieces *p = (struct pieces *)source;
	size_t n = p->len - p->at < p->piece ? p->len - p->at : p->piece;

	(void)err;
	if (n == 0)
		return 0;
	*ret = (struct splitfd_chunk){ .fd = -EBADF, .data = p->data + p->at, .data_len = n };
	for (size_t i = 0; i < p->n_files; i++) {
		if (p->at < p->file_at[i] && n > p->file_at[i] - p->at)
			n = p->file_at[i] - p->at;
		ret->data_len = n;
		if (p->at != p->file_at[i])
			continue;
		n = p->file_size[i];
		ret->kind = SPLITFD_CHUNK_FILE;
		ret->size = n;
		ret->fd = memfd_create("file", MFD_CLOEXEC);
		CHECK_INT(sfd_write_all(ret->fd, p->data + p->at, n), 0);
		break;
	}
	p->at += n;
	return 1;
}

static void pieces_free(struct splitfd_source *source)
{
	(void)source;
}

struct seen {
	struct sfd_buffer bytes;
	char sizes[256]; /* sizes of contents, in order */
};

static int add_bytes(void *ctx, const void *data, size_t n, struct splitfd_error *err)
{
	struct seen *s = ctx;

	(void)err;
	return sfd_buffer_append(&s->bytes, data, n);
}

static int cut(struct pieces *p, size_t inline_max, struct seen *s, struct splitfd_error *err)
{
	static const struct splitfd_source_ops ops = { .next = pieces_next, .free = pieces_free };
	struct sfd_tar_source_options options = { .inline_content_max = inline_max,
		.spool_dir = -1 };
	struct splitfd_chunk chunk;
	struct splitfd_source *source;
	int r;

	p->base.ops = &ops;
	*s = (struct seen){ .bytes = { .max = 1000000 } };
	CHECK_INT(sfd_tar_source_new(&p->base, &options, &source, err), 0);
	while ((r = splitfd_source_next(source, &chunk, err)) > 0) {
		size_t at = strlen(s->sizes);

		if (chunk.kind == SPLITFD_CHUNK_FILE || chunk.is_content)
			snprintf(s->sizes + at, sizeof(s->sizes) - at, "%c%llu ",
				chunk.is_content ? 'i' : 'f',
				(unsigned long long)(chunk.is_content ? chunk.data_len
								      : chunk.size));
		if (chunk.kind == SPLITFD_CHUNK_INLINE)
			r = add_bytes(s, chunk.data, chunk.data_len, err);
		else
			r = splitfd_chunk_read(&chunk, add_bytes, s, err);
		CHECK_INT(r, 0);
	}
	if (r < 0)
		CHECK_INT(splitfd_source_next(source, &chunk, NULL), r);
	splitfd_source_free(source);
	return r;
}

TEST(pieces_of_any_size)
{
	static const size_t sizes[] = { 1, 7, 511, 512, 513, 4096, 65536, 1000000 };
	sfd_cleanup_buffer struct sfd_buffer tar = { .max = 1000000 };
	struct splitfd_error err = { 0 };
	struct seen s;

	make_tar(&tar);
	for (size_t i = 0; i < 16; i++) {
		struct pieces p = { .data = tar.data, .len = tar.len, .piece = sizes[i / 2] };

		CHECK_OK(cut(&p, i % 2 ? 4096 : 0, &s, &err), &err);
		CHECK_STR(s.sizes, i % 2 ? "i65 i700 f70000 " : "f65 f700 f70000 ");
		CHECK_INT(s.bytes.len, tar.len);
		CHECK(memcmp(s.bytes.data, tar.data, tar.len) == 0);
		sfd_buffer_done(&s.bytes);
	}
}

/* Offsets of contents in make_tar(). */
#define SMALL_AT  ((size_t)(3 * 512))
#define LARGE_AT  ((size_t)(5 * 512))
#define LARGER_AT ((size_t)(7 * 512))

TEST(files_of_the_inner_source)
{
	sfd_cleanup_buffer struct sfd_buffer tar = { .max = 1000000 };
	struct splitfd_error err = { 0 };
	struct seen s;
	struct pieces p = { .piece = 1000,
		.file_at = { SMALL_AT, LARGE_AT, LARGER_AT, LARGER_AT + 1024 },
		.file_size = { 64, 65, 700, 512 },
		.n_files = 4 };

	make_tar(&tar);
	p.data = tar.data;
	p.len = tar.len;
	CHECK_OK(cut(&p, 0, &s, &err), &err);
	CHECK_STR(s.sizes, "f65 f700 f70000 ");
	CHECK_INT(s.bytes.len, tar.len);
	CHECK(memcmp(s.bytes.data, tar.data, tar.len) == 0);
	sfd_buffer_done(&s.bytes);
}

TEST(files_of_another_size_than_the_tar_says)
{
	static const size_t sizes[] = { 64, 66, 512 };
	sfd_cleanup_buffer struct sfd_buffer tar = { .max = 1000000 };
	struct splitfd_error err = { 0 };
	struct seen s;

	make_tar(&tar);
	for (size_t i = 0; i < 3; i++) {
		struct pieces p = { .data = tar.data,
			.len = tar.len,
			.piece = 1000,
			.file_at = { LARGE_AT },
			.file_size = { sizes[i] },
			.n_files = 1 };

		CHECK(cut(&p, 0, &s, &err) < 0);
		CHECK_INT(err.kind, SPLITFD_ERROR_REFUSED);
		CHECK(strstr(err.text, "the tar says 65 bytes") != NULL);
		sfd_buffer_done(&s.bytes);
	}
}

TEST(truncated_tars)
{
	sfd_cleanup_buffer struct sfd_buffer tar = { .max = 1000000 };
	struct splitfd_error err = { 0 };
	size_t n_padding = 0;
	struct seen s;

	make_tar(&tar);
	for (size_t n = 0; n < LARGER_AT + 1024; n += 61) {
		struct pieces p = { .data = tar.data, .len = n, .piece = 1000 };
		int r = cut(&p, 0, &s, &err);

		/* Nothing, or all but padding: odd, and exactly what came. */
		if (r == 0) {
			CHECK_INT(s.bytes.len, n);
			n_padding += n > 0;
		} else {
			CHECK(r < 0);
			CHECK_INT(err.kind, SPLITFD_ERROR_REFUSED);
		}
		sfd_buffer_done(&s.bytes);
	}
	CHECK(n_padding > 0 && n_padding < 20);
}

TEST(compressed_bytes)
{
	/* printf hello | gzip -n, twice; zstd; xz; bzip2 of the same */
	static const char gz[] = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcb\x48\xcd\xc9\xc9\x07"
				 "\x00\x86\xa6\x10\x36\x05\x00\x00\x00";
	char twice[2 * (sizeof(gz) - 1)];
	struct splitfd_error err = { 0 };
	struct splitfd_source *source;
	struct splitfd_chunk chunk;
	int tube[2];
	char text[32] = "";

	memcpy(twice, gz, sizeof(gz) - 1);
	memcpy(twice + sizeof(gz) - 1, gz, sizeof(gz) - 1);
	for (int cut_off = 0; cut_off < 2; cut_off++) {
		int r;

		text[0] = '\0';
		CHECK_INT(pipe(tube), 0);
		CHECK_INT(sfd_write_all(tube[1], twice, sizeof(twice) - (size_t)cut_off * 12), 0);
		close(tube[1]);
		CHECK_OK(sfd_archive_source_new(tube[0], 1000, 0, &source, &err), &err);
		while ((r = splitfd_source_next(source, &chunk, &err)) > 0)
			strncat(text, (const char *)chunk.data, chunk.data_len);
		splitfd_source_free(source);
		if (cut_off) {
			CHECK(r < 0);
			CHECK_INT(err.kind, SPLITFD_ERROR_REFUSED);
		} else {
			CHECK_OK(r, &err);
			CHECK_STR(text, "hellohello");
		}
	}
}

TEST(a_silent_pipe)
{
	struct splitfd_error err = { 0 };
	struct splitfd_source *source;
	struct splitfd_chunk chunk;
	int tube[2];

	for (int i = 0; i < 2; i++) {
		CHECK_INT(pipe(tube), 0);
		CHECK_OK(i ? sfd_archive_source_new(tube[0], 50, 0, &source, &err)
			   : sfd_bytes_source_new(tube[0], 50, 0, &source, &err),
			&err);
		CHECK_INT(splitfd_source_next(source, &chunk, &err), -ETIMEDOUT);
		CHECK_INT(err.kind, SPLITFD_ERROR_PEER);
		splitfd_source_free(source);
		close(tube[1]);
	}
}
