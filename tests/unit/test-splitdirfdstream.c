/* SPDX-License-Identifier: Apache-2.0 */
/* The two directions of splitdirfdstream, and every way in which the reader must refuse. */
#include "splitfdstream/base/buffer.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/dir-files.h"
#include "splitfdstream/reconstruct.h"
#include "splitfdstream/splitdirfdstream-reader.h"
#include "splitfdstream/splitdirfdstream-writer.h"
#include "tests/unit/check.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static void metadata(struct sfd_buffer *b, const char *text, bool content)
{
	uint32_t le = htole32((uint32_t)strlen(text));
	uint8_t type = content;

	CHECK_INT(sfd_buffer_append(b, &type, 1), 0);
	CHECK_INT(sfd_buffer_append(b, &le, 4), 0);
	CHECK_INT(sfd_buffer_append_str(b, text), 0);
}

static void file_ref(
	struct sfd_buffer *b, uint64_t size, uint32_t dir, const void *name, uint32_t name_len)
{
	uint32_t le_dir = htole32(dir), le_len = htole32(name_len);
	uint8_t type = 2;

	size = htole64(size);
	CHECK_INT(sfd_buffer_append(b, &type, 1), 0);
	CHECK_INT(sfd_buffer_append(b, &size, 8), 0);
	CHECK_INT(sfd_buffer_append(b, &le_dir, 4), 0);
	CHECK_INT(sfd_buffer_append(b, &le_len, 4), 0);
	CHECK_INT(sfd_buffer_append(b, name, name_len), 0);
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

static int read_all(
	const void *data, size_t size, int dir, struct text *text, struct splitfd_error *err)
{
	struct splitfd_input *input;
	struct splitfd_source *source;
	struct splitfd_sink *sink;
	int r;

	*text = (struct text){ 0 };
	CHECK_INT(splitfd_input_memory_new(data, size, &dir, dir >= 0, &input, err), 0);
	CHECK_INT(splitfd_splitdirfdstream_reader_new(input, NULL, &source, err), 0);
	CHECK_INT(splitfd_reconstruct_sink_new(add_text, text, &sink, err), 0);
	r = splitfd_pump(source, sink, NULL, err);
	splitfd_source_free(source);
	splitfd_sink_free(sink);
	return r;
}

/* A directory with a file in it, and everything that a name should not lead to. */
static char top[] = "/var/tmp/splitfd-test-XX"
		    "XX"
		    "XX";
static int top_fd = -EBADF;

static void make_file(const char *name, const char *text, mode_t mode)
{
	int fd = openat(top_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	CHECK(fd >= 0);
	CHECK_INT(sfd_write_all(fd, text, strlen(text)), 0);
	CHECK_INT(fchmod(fd, mode), 0);
	close(fd);
}

static void make_socket(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/socket", top);
	CHECK_INT(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
}

static int get_top(void)
{
	if (top_fd >= 0)
		return dup(top_fd);
	CHECK(mkdtemp(top) != NULL);
	top_fd = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC);
	CHECK(top_fd >= 0);
	CHECK_INT(mkdirat(top_fd, "d", 0755), 0);
	make_file("d/f", "content", 0644);
	make_file("d/secret", "hidden", 0600);
	make_file("d/caf\xe9", "latin", 0644);
	CHECK_INT(symlinkat("d", top_fd, "inside"), 0);
	CHECK_INT(symlinkat("f", top_fd, "d/link"), 0);
	CHECK_INT(symlinkat("/etc", top_fd, "outside"), 0);
	CHECK_INT(symlinkat("../..", top_fd, "d/up"), 0);
	CHECK_INT(mkfifoat(top_fd, "fifo", 0644), 0);
	make_socket();
	return dup(top_fd);
}

__attribute__((destructor)) static void remove_top(void)
{
	static const char *const names[] = { "d/f", "d/secret", "d/caf\xe9", "inside", "d/link",
		"outside", "d/up", "fifo", "socket" };

	if (top_fd < 0)
		return;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlinkat(top_fd, names[i], 0);
	unlinkat(top_fd, "d", AT_REMOVEDIR);
	rmdir(top);
}

TEST(all_three_types_of_chunk)
{
	sfd_cleanup_buffer struct sfd_buffer b = { .max = 4096 };
	struct splitfd_error err = { 0 };
	struct text text;

	metadata(&b, "head ", false);
	metadata(&b, "", false);
	metadata(&b, "inline ", true);
	metadata(&b, "", true);
	file_ref(&b, 7, 0, "d/f", 3);
	file_ref(&b, 7, 0, "./inside//f", 11);
	CHECK_OK(read_all(b.data, b.len, get_top(), &text, &err), &err);
	CHECK_STR(text.bytes, "head inline contentcontent");
}

TEST(truncated_at_every_byte)
{
	sfd_cleanup_buffer struct sfd_buffer b = { .max = 4096 };
	struct splitfd_error err = { 0 };
	struct text text;

	metadata(&b, "head", false);
	metadata(&b, "inline", true);
	file_ref(&b, 7, 0, "d/f", 3);
	for (size_t n = 0; n < b.len; n++) {
		int r = read_all(b.data, n, get_top(), &text, &err);

		if (n == 0 || n == 9 || n == 20) {
			CHECK_INT(r, 0);
			continue;
		}
		CHECK_INT(r, -EBADMSG);
		CHECK(strstr(err.text, "splitdirfdstream, byte ") != NULL);
		CHECK(strstr(err.text, "missing") != NULL);
	}
}

static void refuse_bytes(const void *data, size_t n, const char *why)
{
	struct splitfd_error err = { 0 };
	struct text text;

	CHECK(read_all(data, n, get_top(), &text, &err) < 0);
	CHECK_INT(err.kind, SPLITFD_ERROR_REFUSED);
	if (strstr(err.text, why) == NULL)
		CHECK_STR(err.text, why);
}

TEST(headers_that_are_refused)
{
	sfd_cleanup_buffer struct sfd_buffer b = { .max = 4096 };

	refuse_bytes("\x03", 1, "byte 0: unknown chunk type 0x03");
	refuse_bytes("\xff", 1, "byte 0: the producer failed");
	refuse_bytes("\x00\x01\x00\x00\x10", 5, "at most 268435456 are allowed");
	refuse_bytes("\x01\xff\xff\xff\xff", 5, "at most 268435456 are allowed");
	file_ref(&b, 7, 1, "d/f", 3);
	refuse_bytes(b.data, b.len, "descriptor 1 is referred to, only 1 were passed");
	b.len = 0;
	file_ref(&b, 7, SPLITFD_DIRS_MAX, "d/f", 3);
	refuse_bytes(b.data, b.len, "directory 4096, at most 4096");
	b.len = 0;
	file_ref(&b, UINT64_MAX, 0, "d/f", 3);
	refuse_bytes(b.data, b.len, "more than a file can have");
	b.len = 0;
	file_ref(&b, 7, 0, "d/f", 0);
	memcpy(b.data + 13, "\x01\x10\x00\x00", 4);
	refuse_bytes(b.data, b.len, "a name of 4097 bytes");
}

static void refuse_name(const char *name, size_t n, uint64_t size, const char *why)
{
	sfd_cleanup_buffer struct sfd_buffer b = { .max = 8192 };

	file_ref(&b, size, 0, name, (uint32_t)n);
	refuse_bytes(b.data, b.len, why);
}

TEST(names_that_are_refused)
{
	refuse_name("", 0, 7, "is empty");
	refuse_name("/etc/passwd", 11, 7, "is absolute");
	refuse_name("..", 2, 7, "component '..'");
	refuse_name("d/../d/f", 8, 7, "component '..'");
	refuse_name("d/..", 4, 7, "component '..'");
	refuse_name("d\0f", 3, 7, "NUL");
	refuse_name("outside/passwd", 14, 7, "leads out");
	refuse_name("d/up/etc/passwd", 15, 7, "leads out");
}

TEST(files_that_are_refused)
{
	refuse_name("d", 1, 7, "not a regular file");
	refuse_name("fifo", 4, 7, "not a regular file");
	refuse_name("socket", 6, 7, "not a regular file");
	refuse_name("d/link", 6, 1, "not a regular file");
	refuse_name("d/f", 3, 6, "has 7 bytes, the layer says 6");
	refuse_name("d/f", 3, 8, "has 7 bytes, the layer says 8");
}

TEST(a_missing_file_is_an_error)
{
	sfd_cleanup_buffer struct sfd_buffer b = { .max = 4096 };
	struct splitfd_error err = { 0 };
	struct text text;

	file_ref(&b, 7, 0, "d/none", 6);
	CHECK_INT(read_all(b.data, b.len, get_top(), &text, &err), -ENOENT);
	CHECK_INT(read_all(b.data, b.len, -EBADF, &text, &err), -EBADF);
}

TEST(a_slot_that_holds_no_directory)
{
	sfd_cleanup_buffer struct sfd_buffer b = { .max = 4096 };
	struct splitfd_error err = { 0 };
	struct text text;

	file_ref(&b, 7, 0, "d/f", 3);
	CHECK(read_all(b.data, b.len, open("/dev/null", O_RDONLY | O_CLOEXEC), &text, &err) < 0);
	CHECK(strstr(err.text, "directory 0: a descriptor that should be a directory is none"));
}

/* Content of more than the buffer comes as a file. */
TEST(large_inline_data_is_spooled)
{
	const uint32_t size = 200000;
	sfd_cleanup_buffer struct sfd_buffer b = { .max = 400000 };
	struct splitfd_error err = { 0 };
	struct splitfd_chunk chunk = { .fd = -EBADF };
	struct splitfd_input *input;
	struct splitfd_source *source;
	uint32_t le = htole32(size);
	char last;

	CHECK_INT(sfd_buffer_append(&b, "\x01", 1), 0);
	CHECK_INT(sfd_buffer_append(&b, &le, 4), 0);
	CHECK_INT(sfd_buffer_reserve(&b, size), 0);
	memset(b.data + b.len, 'x', size);
	b.data[b.len + size - 1] = 'z';
	b.len += size;
	CHECK_INT(splitfd_input_memory_new(b.data, b.len, NULL, 0, &input, &err), 0);
	CHECK_INT(splitfd_splitdirfdstream_reader_new(input, NULL, &source, &err), 0);
	CHECK_INT(splitfd_source_next(source, &chunk, &err), 1);
	CHECK_INT(chunk.kind, SPLITFD_CHUNK_FILE);
	CHECK_INT(chunk.size, size);
	CHECK_INT(sfd_pread_full(chunk.fd, &last, 1, size - 1), 0);
	CHECK_INT(last, 'z');
	splitfd_chunk_clear(&chunk);
	CHECK_INT(splitfd_source_next(source, &chunk, &err), 0);
	splitfd_source_free(source);
}

static size_t write_file(
	const char *name, uint64_t size, uint64_t inline_max, bool all, uint8_t *bytes, size_t room)
{
	struct splitfd_splitdirfdstream_writer_options options = {
		.inline_max = inline_max,
		.consumer_reads_all = all,
	};
	struct splitfd_chunk chunk = { .kind = SPLITFD_CHUNK_FILE,
		.size = size,
		.fd = -EBADF,
		.name = name,
		.name_len = strlen(name) };
	struct splitfd_error err = { 0 };
	struct splitfd_output *output;
	struct splitfd_sink *sink;
	int fd = memfd_create("stream", MFD_CLOEXEC), copy = dup(fd);
	ssize_t n;

	CHECK_OK(sfd_dir_files_new(get_top(), &chunk.files, &err), &err);
	options.known_files = chunk.files;
	CHECK_INT(splitfd_output_new(fd, -1, &output, &err), 0);
	CHECK_INT(splitfd_splitdirfdstream_writer_new(output, &options, &sink, &err), 0);
	splitfd_files_unref(chunk.files);
	CHECK_OK(splitfd_sink_put(sink, &chunk, &err), &err);
	CHECK_OK(splitfd_sink_finish(sink, &err), &err);
	splitfd_sink_free(sink);
	n = pread(copy, bytes, room, 0);
	close(copy);
	CHECK(n > 0);
	return (size_t)n;
}

TEST(what_is_named_and_what_is_sent)
{
	static const struct {
		const char *name;
		uint64_t size, inline_max;
		bool all;
		uint8_t type;
	} rows[] = {
		{ "d/f", 7, 0, false, 2 }, { "d/f", 7, 6, false, 2 }, { "d/f", 7, 7, false, 1 },
		{ "d/secret", 6, 0, false, 1 }, { "d/secret", 6, 0, true, 2 },
		{ "d/caf\xe9", 5, 0, true, 1 }, /* not UTF-8 */
		{ "inside/f", 7, 0, true, 1 },	/* over a symlink */
	};
	uint8_t bytes[128];
	struct text text;
	struct splitfd_error err = { 0 };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t n = write_file(rows[i].name, rows[i].size, rows[i].inline_max, rows[i].all,
			bytes, sizeof(bytes));

		CHECK_INT(bytes[0], rows[i].type);
		CHECK_OK(read_all(bytes, n, get_top(), &text, &err), &err);
		CHECK_INT(text.n, rows[i].size);
	}
}

TEST(a_producer_that_fails_says_why)
{
	static const char data[] = "\x00\x01\x00\x00\x00"
				   "a\xff"
				   "out of memory";
	struct splitfd_error err = { 0 };
	struct text text;

	CHECK_INT(read_all(data, sizeof(data) - 1, get_top(), &text, &err), -EREMOTEIO);
	CHECK_INT(err.kind, SPLITFD_ERROR_FAILED);
	CHECK_STR(err.text, "splitdirfdstream, byte 6: the producer failed: out of memory");
}
