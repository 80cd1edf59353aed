/* SPDX-License-Identifier: Apache-2.0 */
/* The two directions of splitfdstream, and every way in which the reader must refuse. */
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/reconstruct.h"
#include "splitfdstream/splitfdstream-reader.h"
#include "splitfdstream/splitfdstream-writer.h"
#include "splitfdstream/verify-sink.h"
#include "tests/unit/check.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static int file_of(const char *text)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	CHECK(fd >= 0);
	CHECK_INT(sfd_write_all(fd, text, strlen(text)), 0);
	return fd;
}

struct text {
	char bytes[256];
	size_t n;
};

static int add_text(void *ctx, const void *data, size_t n, struct splitfd_error *err)
{
	struct text *t = ctx;

	if (n > sizeof(t->bytes) - 1 - t->n)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, ENOBUFS, "too long");
	memcpy(t->bytes + t->n, data, n);
	t->n += n;
	t->bytes[t->n] = '\0';
	return 0;
}

/* Reads a stream in memory to its end. fds (or NULL) are taken. */
static int read_all(const void *data, size_t size, const int *fds, size_t n_fds, struct text *text,
	struct splitfd_error *err)
{
	struct splitfd_input *input;
	struct splitfd_source *source;
	struct splitfd_sink *sink;
	int r;

	*text = (struct text){ 0 };
	CHECK_INT(splitfd_input_memory_new(data, size, fds, n_fds, &input, err), 0);
	CHECK_INT(splitfd_splitfdstream_reader_new(input, &source, err), 0);
	CHECK_INT(splitfd_reconstruct_sink_new(add_text, text, &sink, err), 0);
	r = splitfd_pump(source, sink, NULL, err);
	if (r >= 0)
		r = splitfd_sink_finish(sink, err);
	else
		CHECK_INT(splitfd_pump(source, sink, NULL, NULL), r);
	splitfd_source_free(source);
	splitfd_sink_free(sink);
	return r;
}

static const uint8_t hello[] = "\xfb\xff\xff\xff\xff\xff\xff\xffhello\0\0\0\0\0\0\0\0";
#define HELLO_SIZE (sizeof(hello) - 1)

TEST(the_example_of_the_format)
{
	struct splitfd_error err = { 0 };
	struct text text;
	int fd = file_of(" world");

	CHECK_OK(read_all(hello, HELLO_SIZE, &fd, 1, &text, &err), &err);
	CHECK_STR(text.bytes, "hello world");
	CHECK_OK(read_all("", 0, NULL, 0, &text, &err), &err);
	CHECK_INT(text.n, 0);
}

TEST(truncated_at_every_byte)
{
	struct splitfd_error err = { 0 };
	struct text text;

	for (size_t n = 0; n < HELLO_SIZE; n++) {
		int r = read_all(hello, n, NULL, 0, &text, &err);

		if (n == 0 || n == 13) {
			CHECK_INT(r, 0);
			continue;
		}
		CHECK_INT(r, -EBADMSG);
		CHECK_INT(err.kind, SPLITFD_ERROR_REFUSED);
		CHECK(strstr(err.text, "missing") != NULL);
	}
}

static int read_prefix(uint64_t prefix, const int *fds, size_t n_fds, struct splitfd_error *err)
{
	struct text text;
	uint64_t le = htole64(prefix);

	return read_all(&le, sizeof(le), fds, n_fds, &text, err);
}

TEST(prefixes_that_are_refused)
{
	struct splitfd_error err = { 0 };

	CHECK_INT(read_prefix((uint64_t)INT64_MIN, NULL, 0, &err), -EBADMSG);
	CHECK(strstr(err.text, "byte 0: an inline chunk of 9223372036854775808 bytes") != NULL);
	CHECK_INT(read_prefix(-(uint64_t)(SPLITFD_INLINE_MAX + 1), NULL, 0, &err), -EBADMSG);
	CHECK(strstr(err.text, "at most 268435456") != NULL);
	/* Exactly the limit is allowed: what is wrong here is that the bytes are missing. */
	CHECK_INT(read_prefix(-(uint64_t)SPLITFD_INLINE_MAX, NULL, 0, &err), -EBADMSG);
	CHECK(strstr(err.text, "268435456 bytes are missing") != NULL);
	CHECK_INT(read_prefix(UINT64_C(1) << 32, NULL, 0, &err), -EBADMSG);
	CHECK(strstr(err.text, "at most 32 bits") != NULL);
	CHECK_INT(read_prefix(INT64_MAX, NULL, 0, &err), -EBADMSG);
}

TEST(index_out_of_range)
{
	struct splitfd_error err = { 0 };
	int fd = file_of("x");

	CHECK(read_prefix(1, &fd, 1, &err) < 0);
	CHECK_INT(err.kind, SPLITFD_ERROR_REFUSED);
	CHECK_STR(err.text, "splitfdstream, byte 0: descriptor 1 is referred to, only 1 were "
			    "passed");
	fd = file_of("x");
	CHECK(read_prefix(UINT32_MAX, &fd, 1, &err) < 0);
}

TEST(an_array_may_be_referred_to_again)
{
	struct splitfd_error err = { 0 };
	uint64_t twice[2] = { 0, 0 };
	struct text text;
	int fd = file_of("ab");

	CHECK_OK(read_all(twice, sizeof(twice), &fd, 1, &text, &err), &err);
	CHECK_STR(text.bytes, "abab");
}

static void refuse_descriptor(int fd, const char *why)
{
	struct splitfd_error err = { 0 };

	CHECK(fd >= 0);
	CHECK(read_prefix(0, &fd, 1, &err) < 0);
	CHECK_INT(err.kind, SPLITFD_ERROR_REFUSED);
	if (strstr(err.text, why) == NULL)
		CHECK_STR(err.text, why);
}

TEST(descriptors_of_the_wrong_kind)
{
	char path[] = "/var/tmp/splitfd-test-XX"
		      "XX"
		      "XX";
	int fds[2], file = mkstemp(path);

	CHECK(file >= 0);
	close(file);
	refuse_descriptor(open(path, O_WRONLY | O_CLOEXEC), "not open for reading");
	refuse_descriptor(open(path, O_PATH | O_CLOEXEC), "not open for reading");
	unlink(path);
	refuse_descriptor(open("/", O_RDONLY | O_CLOEXEC), "not a regular file");
	refuse_descriptor(open("/dev/null", O_RDONLY | O_CLOEXEC), "not a regular file");
	CHECK_INT(pipe2(fds, O_CLOEXEC), 0);
	refuse_descriptor(fds[0], "not a regular file");
	close(fds[1]);
}

/* A source over an array of chunks. */
struct chunks {
	struct splitfd_source base;
	struct splitfd_chunk *at;
	size_t left;
};

static int chunks_next(
	struct splitfd_source *source, struct splitfd_chunk *ret, struct splitfd_error *err)
{
	struct chunks *c = (struct chunks *)source;

	(void)err;
	if (c->left == 0)
		return 0;
	c->left--;
	*ret = *c->at++;
	return 1;
}

static int write_all(struct splitfd_chunk *chunks, size_t n, uint64_t inline_max, int *ret_fd,
	struct splitfd_error *err)
{
	static const struct splitfd_source_ops ops = { .next = chunks_next };
	struct splitfd_splitfdstream_writer_options options = { .inline_max = inline_max };
	struct chunks source = { { &ops }, chunks, n };
	struct splitfd_output *output;
	struct splitfd_sink *sink;
	int fd = memfd_create("stream", MFD_CLOEXEC), r;

	*ret_fd = dup(fd);
	CHECK_INT(splitfd_output_new(fd, -1, &output, err), 0);
	CHECK_INT(splitfd_splitfdstream_writer_new(output, &options, &sink, err), 0);
	r = splitfd_pump(&source.base, sink, NULL, err);
	if (r >= 0)
		r = splitfd_sink_finish(sink, err);
	splitfd_sink_free(sink);
	return r;
}

static struct splitfd_chunk inline_chunk(const char *text)
{
	return (struct splitfd_chunk){
		.data = (const uint8_t *)text, .data_len = strlen(text), .fd = -EBADF
	};
}

static struct splitfd_chunk file_chunk(const char *text)
{
	return (struct splitfd_chunk){
		.kind = SPLITFD_CHUNK_FILE, .size = strlen(text), .fd = file_of(text)
	};
}

TEST(small_files_are_written_inline)
{
	struct splitfd_error err = { 0 };
	struct splitfd_chunk chunks[] = { inline_chunk("head"), file_chunk("body"), file_chunk(""),
		inline_chunk("tail") };
	struct text text;
	uint8_t bytes[64];
	ssize_t n;
	int fd;

	CHECK_OK(write_all(chunks, 4, 64, &fd, &err), &err);
	n = pread(fd, bytes, sizeof(bytes), 0);
	close(fd);
	CHECK_INT(n, 3 * (8 + 4));
	CHECK_OK(read_all(bytes, (size_t)n, NULL, 0, &text, &err), &err);
	CHECK_STR(text.bytes, "headbodytail");
}

TEST(what_the_writer_refuses)
{
	struct splitfd_error err = { 0 };
	struct splitfd_chunk chunk = file_chunk("body");
	int fd;

	/* No descriptors on a plain output. */
	CHECK_INT(write_all(&chunk, 1, 0, &fd, &err), -EOPNOTSUPP);
	close(fd);
	/* The file is longer, then shorter, than the chunk says. */
	chunk = file_chunk("body");
	chunk.size = 3;
	CHECK(write_all(&chunk, 1, 64, &fd, &err) < 0);
	close(fd);
	chunk = file_chunk("body");
	chunk.size = 5;
	CHECK(write_all(&chunk, 1, 64, &fd, &err) < 0);
	CHECK_INT(err.kind, SPLITFD_ERROR_REFUSED);
	close(fd);
	chunk = file_chunk("body");
	chunk.has_crc64 = true;
	chunk.crc64 = 1;
	CHECK(write_all(&chunk, 1, 64, &fd, &err) < 0);
	CHECK(strstr(err.text, "CRC-64") != NULL);
	close(fd);
}

/* An input that never ends: one-byte inline chunks. */
struct endless {
	struct splitfd_input base;
	uint64_t left;
};

static ssize_t endless_read(
	struct splitfd_input *input, void *buffer, size_t n, struct splitfd_error *err)
{
	static const uint8_t one[9] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 'x' };
	struct endless *e = (struct endless *)input;
	size_t done = 0;

	(void)err;
	for (; e->left > 0 && n - done >= sizeof(one); e->left--, done += sizeof(one))
		memcpy((char *)buffer + done, one, sizeof(one));
	return (ssize_t)done;
}

static void endless_free(struct splitfd_input *input)
{
	(void)input;
}

static int count_bytes(void *ctx, const void *data, size_t n, struct splitfd_error *err)
{
	(void)data;
	(void)err;
	*(uint64_t *)ctx += n;
	return 0;
}

TEST(tiny_chunks_take_no_memory)
{
	static const struct splitfd_input_ops ops = { .read = endless_read, .free = endless_free };
	const char *many = getenv("SPLITFD_TEST_TINY_CHUNKS");
	struct endless input = { { &ops }, many != NULL ? strtoull(many, NULL, 10) : 5000000 };
	uint64_t expected = input.left, seen = 0;
	struct splitfd_error err = { 0 };
	struct splitfd_source *source;
	struct splitfd_sink *sink;
	struct rusage before, after;

	CHECK_INT(getrusage(RUSAGE_SELF, &before), 0);
	CHECK_INT(splitfd_splitfdstream_reader_new(&input.base, &source, &err), 0);
	CHECK_INT(splitfd_reconstruct_sink_new(count_bytes, &seen, &sink, &err), 0);
	CHECK_OK(splitfd_pump(source, sink, NULL, &err), &err);
	splitfd_source_free(source);
	splitfd_sink_free(sink);
	CHECK_INT(getrusage(RUSAGE_SELF, &after), 0);
	CHECK_INT(seen, expected);
	CHECK(after.ru_maxrss - before.ru_maxrss < 4096);
}

static int verified(struct splitfd_chunk *chunks, size_t n, const char *diff_id, uint64_t size,
	struct splitfd_error *err)
{
	static const struct splitfd_source_ops ops = { .next = chunks_next };
	struct splitfd_verify_options options = { .diff_id = diff_id, .size = size };
	struct chunks source = { { &ops }, chunks, n };
	struct text text = { 0 };
	struct splitfd_sink *sink;
	uint64_t total;
	int r;

	CHECK_INT(splitfd_reconstruct_sink_new(add_text, &text, &sink, err), 0);
	CHECK_INT(splitfd_verify_sink_new(sink, &options, &sink, err), 0);
	r = splitfd_pump(&source.base, sink, NULL, err);
	if (r >= 0)
		r = splitfd_sink_finish(sink, err);
	if (r >= 0) {
		splitfd_verify_sink_result(sink, NULL, &total);
		CHECK_INT(total, text.n);
	}
	splitfd_sink_free(sink);
	return r;
}

TEST(verification_of_the_whole)
{
	static const char abc[] =
		"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
	struct splitfd_error err = { 0 };
	struct splitfd_chunk chunks[2] = { inline_chunk("a"), file_chunk("bc") };

	CHECK_OK(verified(chunks, 2, abc, 3, &err), &err);
	chunks[1] = file_chunk("bd");
	CHECK_INT(verified(chunks, 2, abc, 3, &err), -EBADMSG);
	CHECK(strstr(err.text, "not the layer sha256:ba78") != NULL);
	chunks[1] = file_chunk("bcd");
	CHECK_INT(verified(chunks, 2, abc, 3, &err), -EBADMSG);
	CHECK_INT(verified(chunks, 1, abc, 3, &err), -EBADMSG);
	CHECK_INT(err.kind, SPLITFD_ERROR_REFUSED);
}
