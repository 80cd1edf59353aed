/* SPDX-License-Identifier: Apache-2.0 */
/* A layer's stream in each format, cut at every byte: refused each time, with its place and reason,
 * by what import-layer puts between the bytes and the repository. */
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/digest.h"
#include "splitfdstream/splitdirfdstream-reader.h"
#include "splitfdstream/splitfdstream-reader.h"
#include "splitfdstream/verify-sink.h"
#include "tests/unit/check.h"
#include "tests/unit/temp-dir.h"
#include "transport/tar/tar-source.h"

#include <endian.h>
#include <errno.h>
#include <sys/mman.h>

enum { BODY = 3000, SMALL = 70, TAR = 512 + BODY + 72 + 512 + SMALL + 442 + 1024 };

struct bytes {
	uint8_t data[8192];
	size_t n;
};

static uint8_t tar[TAR], *end;
static char diff_id[72];

static void entry(const char *name, size_t size, char fill)
{
	unsigned int sum = 0;
	char *h = (char *)end;

	memset(h, 0, 512);
	snprintf(h, 100, "%s", name);
	snprintf(h + 100, 8, "%07o", 0644U);
	snprintf(h + 108, 8, "%07o", 0U);
	snprintf(h + 116, 8, "%07o", 0U);
	snprintf(h + 124, 12, "%011o", (unsigned int)size);
	snprintf(h + 136, 12, "%011o", 0U);
	memset(h + 148, ' ', 8);
	h[156] = '0';
	memcpy(h + 257,
		"ustar\0"
		"00",
		8);
	for (int i = 0; i < 512; i++)
		sum += end[i];
	snprintf(h + 148, 8, "%06o", sum);
	memset(end + 512, fill, size);
	end += 512 + size + (512 - size % 512) % 512;
}

static void make_tar(void)
{
	memset(tar, 0, sizeof(tar));
	end = tar;
	entry("usr/large", BODY, 'b');
	entry("usr/small", SMALL, 's');
	CHECK_INT(end + 1024 - tar, TAR);
	CHECK_INT(splitfd_sha256_text(tar, TAR, diff_id, NULL), 0);
}

static void add(struct bytes *b, const void *data, size_t n)
{
	CHECK(n <= sizeof(b->data) - b->n);
	memcpy(b->data + b->n, data, n);
	b->n += n;
}

static void add_u32(struct bytes *b, uint32_t v)
{
	v = htole32(v);
	add(b, &v, sizeof(v));
}

static void add_u64(struct bytes *b, uint64_t v)
{
	v = htole64(v);
	add(b, &v, sizeof(v));
}

/* A run of the tar's bytes as the format has it. */
static void add_run(struct bytes *b, bool dir, uint8_t type, const uint8_t *data, size_t n)
{
	if (dir) {
		add(b, &type, 1);
		add_u32(b, (uint32_t)n);
	} else {
		add_u64(b, -(uint64_t)n);
	}
	add(b, data, n);
}

static void make_stream(struct bytes *b, bool dir)
{
	static const char name[] = "large";
	const uint8_t *small = tar + 512 + BODY + 72;

	b->n = 0;
	add_run(b, dir, 0, tar, 512);
	if (dir) {
		add(b, "\2", 1);
		add_u64(b, BODY);
		add_u32(b, 0);
		add_u32(b, sizeof(name) - 1);
		add(b, name, sizeof(name) - 1);
	} else {
		add_u64(b, 0);
	}
	add_run(b, dir, 0, tar + 512 + BODY, 72);
	add_run(b, dir, 0, small, 512);
	add_run(b, dir, 1, small + 512, SMALL);
	add_run(b, dir, 0, small + 512 + SMALL, 442 + 1024);
}

static int open_body(bool dir)
{
	int fd;

	if (!dir) {
		fd = memfd_create("body", MFD_CLOEXEC);
		CHECK_INT(sfd_write_all(fd, tar + 512, BODY), 0);
		return fd;
	}
	return open(temp_path("."), O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int consume(const struct bytes *b, size_t n, bool dir, struct splitfd_error *err)
{
	const struct sfd_tar_source_options cut = { .inline_content_max = (size_t)64 * 1024,
		.spool_dir = -EBADF };
	const struct splitfd_verify_options verify = { .diff_id = diff_id, .size = UINT64_MAX };
	struct splitfd_input *input;
	struct splitfd_source *source;
	struct splitfd_sink *sink;
	int fd = open_body(dir), r;

	CHECK_INT(splitfd_input_memory_new(b->data, n, &fd, 1, &input, err), 0);
	CHECK_INT(dir ? splitfd_splitdirfdstream_reader_new(input, NULL, &source, err)
		      : splitfd_splitfdstream_reader_new(input, &source, err),
		0);
	CHECK_INT(sfd_tar_source_new(source, &cut, &source, err), 0);
	CHECK_INT(splitfd_verify_sink_new(NULL, &verify, &sink, err), 0);
	r = splitfd_pump(source, sink, NULL, err);
	if (r >= 0)
		r = splitfd_sink_finish(sink, err);
	splitfd_source_free(source);
	splitfd_sink_free(sink);
	return r;
}

static void cut_everywhere(bool dir)
{
	struct bytes b;

	make_tar();
	make_stream(&b, dir);
	for (size_t n = 0; n <= b.n; n++) {
		struct splitfd_error err = { 0 };
		int r = consume(&b, n, dir, &err);

		if (n == b.n) {
			CHECK_OK(r, &err);
			break;
		}
		if (r != -EBADMSG || err.kind != SPLITFD_ERROR_REFUSED ||
			strstr(err.text, "byte ") == NULL)
			printf("# cut at %zu of %zu: %d '%s'\n", n, b.n, r, err.text);
		CHECK_INT(r, -EBADMSG);
		CHECK_INT(err.kind, SPLITFD_ERROR_REFUSED);
		CHECK(strstr(err.text, "byte ") != NULL);
	}
}

TEST(splitfdstream_cut_at_every_byte)
{
	cut_everywhere(false);
}

TEST(splitdirfdstream_cut_at_every_byte)
{
	int fd;

	temp_make();
	make_tar();
	fd = open(temp_path("large"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	CHECK_INT(sfd_write_all(fd, tar + 512, BODY), 0);
	close(fd);
	cut_everywhere(true);
}
