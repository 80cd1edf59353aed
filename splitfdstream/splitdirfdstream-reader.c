/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/splitdirfdstream-reader.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/fd.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/dir-files.h"
#include "splitfdstream/wire-cursor.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum chunk_type {
	TYPE_METADATA = 0x00,
	TYPE_INLINE_DATA = 0x01,
	TYPE_FILE_BACKED = 0x02,
};

#define INLINE_HEADER 5
#define FILE_HEADER   17

struct reader {
	struct splitfd_source base;
	int spool_dir;
	bool ended;
	uint64_t metadata_left; /* of the Metadata chunk that is being given */

	/* Directories received so far; a slot becomes `files` when a chunk first names it. */
	size_t n_dirs;
	int *dirs;
	struct splitfd_files **files;

	char name[SPLITFD_NAME_MAX + 1];
	struct sfd_cursor cursor;
};

static uint32_t get_u32(const uint8_t *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof(v));
	return le32toh(v);
}

static uint64_t get_u64(const uint8_t *at)
{
	uint64_t v;

	memcpy(&v, at, sizeof(v));
	return le64toh(v);
}

/* n bytes at hand, where the end of the stream is never right. */
static int need(struct reader *rd, size_t n, const char *what, struct splitfd_error *err)
{
	int r = sfd_cursor_need(&rd->cursor, n, what, err);

	if (r == 0)
		return sfd_cursor_refuse(&rd->cursor, rd->cursor.offset, err,
			"the stream ends before %s, %zu bytes are missing", what, n);
	return r;
}

/* What is left of a Metadata chunk, and the Metadata chunks that are at hand behind it. */
static int give_metadata(struct reader *rd, struct splitfd_chunk *ret, struct splitfd_error *err)
{
	struct sfd_cursor *c = &rd->cursor;
	int r = sfd_cursor_inline(c, &rd->metadata_left, "a Metadata chunk", ret, err);

	while (r > 0 && rd->metadata_left == 0 && c->end - c->start >= INLINE_HEADER) {
		const uint8_t *at = c->buffer + c->start;

		if (at[0] != TYPE_METADATA ||
			!sfd_cursor_join(c, INLINE_HEADER, get_u32(at + 1), ret))
			break;
	}
	return r;
}

static int spool_open(int dir)
{
	int fd;

	if (dir < 0)
		fd = memfd_create("splitfd-inline-data", MFD_CLOEXEC);
	else
		fd = openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fd;
}

static int give_spooled(
	struct reader *rd, uint32_t length, struct splitfd_chunk *ret, struct splitfd_error *err)
{
	sfd_cleanup_fd int fd = spool_open(rd->spool_dir);
	uint32_t left = length;
	int r = fd;

	while (r >= 0 && left > 0) {
		const uint8_t *data;
		size_t n;

		r = need(rd, 1, "the rest of an InlineData chunk", err);
		if (r < 0)
			return r;
		data = sfd_cursor_at(&rd->cursor, &n);
		if (n > left)
			n = left;
		r = sfd_write_all(fd, data, n);
		sfd_cursor_take(&rd->cursor, n);
		left -= (uint32_t)n;
	}
	if (r < 0) {
		(void)splitfd_error_sys(&rd->cursor.error, -r,
			"cannot keep the content of an InlineData chunk in a temporary file");
		return sfd_cursor_fail(&rd->cursor, rd->cursor.offset, r, err);
	}
	*ret = (struct splitfd_chunk){
		.kind = SPLITFD_CHUNK_FILE,
		.size = length,
		.fd = sfd_take_fd(&fd),
	};
	return 1;
}

static int give_inline_data(
	struct reader *rd, uint32_t length, struct splitfd_chunk *ret, struct splitfd_error *err)
{
	const uint8_t *data;
	size_t n;
	int r;

	if (length > SFD_CURSOR_SIZE)
		return give_spooled(rd, length, ret, err);
	r = need(rd, length, "the bytes of an InlineData chunk", err);
	if (r < 0)
		return r;
	data = sfd_cursor_at(&rd->cursor, &n);
	sfd_cursor_take(&rd->cursor, length);
	*ret = (struct splitfd_chunk){
		.kind = SPLITFD_CHUNK_INLINE,
		.data = data,
		.data_len = length,
		.is_content = true,
		.fd = -EBADF,
	};
	return 1;
}

/* Receives directories until slot `index` is there. */
static int receive_dirs(
	struct reader *rd, uint32_t index, uint64_t offset, struct splitfd_error *err)
{
	struct splitfd_input *input = rd->cursor.input;
	int r;

	if (index >= SPLITFD_DIRS_MAX)
		return sfd_cursor_refuse(&rd->cursor, offset, err,
			"directory %u, at most %d are allowed", index, SPLITFD_DIRS_MAX);
	if (input->ops->get_fd == NULL)
		return sfd_cursor_refuse(&rd->cursor, offset, err,
			"directory %u is named, but none can come along with this stream", index);
	while (rd->n_dirs <= index) {
		int *dirs = reallocarray(rd->dirs, rd->n_dirs + 1, sizeof(*dirs));
		struct splitfd_files **files;

		if (dirs != NULL)
			rd->dirs = dirs;
		files = dirs == NULL ? NULL
				     : reallocarray(rd->files, rd->n_dirs + 1, sizeof(void *));
		if (files == NULL) {
			(void)splitfd_error_oom(&rd->cursor.error);
			return sfd_cursor_fail(&rd->cursor, offset, -ENOMEM, err);
		}
		rd->files = files;
		r = input->ops->get_fd(input, rd->n_dirs, &rd->dirs[rd->n_dirs], &rd->cursor.error);
		if (r < 0)
			return sfd_cursor_fail(&rd->cursor, offset, r, err);
		rd->files[rd->n_dirs++] = NULL;
	}
	return 0;
}

static int find_files(struct reader *rd, uint32_t index, uint64_t offset,
	struct splitfd_files **ret, struct splitfd_error *err)
{
	int r = index < rd->n_dirs ? 0 : receive_dirs(rd, index, offset, err);

	if (r < 0)
		return r;
	if (rd->files[index] == NULL) {
		r = sfd_dir_files_new(
			sfd_take_fd(&rd->dirs[index]), &rd->files[index], &rd->cursor.error);
		if (r < 0) {
			(void)splitfd_error_wrap(&rd->cursor.error, r, "directory %u", index);
			return sfd_cursor_fail(&rd->cursor, offset, r, err);
		}
	}
	*ret = rd->files[index];
	return 0;
}

static int take_name(struct reader *rd, uint32_t len, uint64_t offset, struct splitfd_error *err)
{
	const uint8_t *at;
	const char *fault;
	size_t n;
	int r;

	if (len > SPLITFD_NAME_MAX)
		return sfd_cursor_refuse(&rd->cursor, offset, err,
			"a name of %u bytes, at most %d are allowed", len, SPLITFD_NAME_MAX);
	r = len > 0 ? need(rd, len, "a file's name", err) : 0;
	if (r < 0)
		return r;
	at = sfd_cursor_at(&rd->cursor, &n);
	fault = sfd_dir_name_fault((const char *)at, len);
	if (fault != NULL)
		return sfd_cursor_refuse(&rd->cursor, offset, err, "the name '%.*s' %s", (int)len,
			(const char *)at, fault);
	memcpy(rd->name, at, len);
	rd->name[len] = '\0';
	sfd_cursor_take(&rd->cursor, len);
	return 0;
}

static int give_file(
	struct reader *rd, uint64_t offset, struct splitfd_chunk *ret, struct splitfd_error *err)
{
	struct splitfd_files *files = NULL;
	uint32_t index, name_len;
	const uint8_t *at;
	uint64_t size;
	size_t n;
	int r = need(rd, FILE_HEADER, "a FileBackedData chunk's header", err);

	if (r < 0)
		return r;
	at = sfd_cursor_at(&rd->cursor, &n);
	size = get_u64(at + 1);
	index = get_u32(at + 9);
	name_len = get_u32(at + 13);
	sfd_cursor_take(&rd->cursor, FILE_HEADER);
	if (size > INT64_MAX)
		return sfd_cursor_refuse(&rd->cursor, offset, err,
			"a file of %llu bytes: more than a file can have",
			(unsigned long long)size);
	r = take_name(rd, name_len, offset, err);
	if (r >= 0)
		r = find_files(rd, index, offset, &files, err);
	if (r < 0)
		return r;
	*ret = (struct splitfd_chunk){
		.kind = SPLITFD_CHUNK_FILE,
		.size = size,
		.fd = -EBADF,
		.files = files,
		.name = rd->name,
		.name_len = name_len,
	};
	return 1;
}

/* One chunk's header. 1: *ret is set; 0: the chunk was empty, go on; -errno. */
static int give_chunk(
	struct reader *rd, uint8_t type, struct splitfd_chunk *ret, struct splitfd_error *err)
{
	uint64_t offset = rd->cursor.offset;
	const uint8_t *at;
	uint32_t length;
	size_t n;
	int r;

	if (type == TYPE_FILE_BACKED)
		return give_file(rd, offset, ret, err);
	if (type != TYPE_METADATA && type != TYPE_INLINE_DATA)
		return sfd_cursor_refuse(
			&rd->cursor, offset, err, "unknown chunk type 0x%02x", type);
	r = need(rd, INLINE_HEADER, "a chunk's header", err);
	if (r < 0)
		return r;
	at = sfd_cursor_at(&rd->cursor, &n);
	length = get_u32(at + 1);
	if (length > SPLITFD_INLINE_MAX)
		return sfd_cursor_refuse(&rd->cursor, offset, err,
			"a chunk of %u bytes, at most %zu are allowed", length, SPLITFD_INLINE_MAX);
	sfd_cursor_take(&rd->cursor, INLINE_HEADER);
	if (length == 0)
		return 0;
	if (type == TYPE_INLINE_DATA)
		return give_inline_data(rd, length, ret, err);
	rd->metadata_left = length;
	return give_metadata(rd, ret, err);
}

static int reader_next(
	struct splitfd_source *source, struct splitfd_chunk *ret, struct splitfd_error *err)
{
	struct reader *rd = (struct reader *)source;
	int r = 0;

	if (rd->cursor.failed < 0)
		return sfd_cursor_failed(&rd->cursor, err);
	if (rd->metadata_left > 0)
		return give_metadata(rd, ret, err);
	while (r == 0 && !rd->ended) {
		size_t n;

		r = sfd_cursor_need(&rd->cursor, 1, "a chunk's type", err);
		if (r < 0)
			return r;
		if (r == 0)
			rd->ended = true;
		else
			r = give_chunk(rd, *sfd_cursor_at(&rd->cursor, &n), ret, err);
	}
	return r;
}

static void reader_free(struct splitfd_source *source)
{
	struct reader *rd = (struct reader *)source;

	for (size_t i = 0; i < rd->n_dirs; i++) {
		sfd_close(rd->dirs[i]);
		splitfd_files_unref(rd->files[i]);
	}
	free(rd->dirs);
	free(rd->files);
	splitfd_input_free(rd->cursor.input);
	free(rd);
}

int splitfd_splitdirfdstream_reader_new(struct splitfd_input *input,
	const struct splitfd_splitdirfdstream_reader_options *options, struct splitfd_source **ret,
	struct splitfd_error *err)
{
	static const struct splitfd_source_ops ops = { .next = reader_next, .free = reader_free };
	struct reader *rd = calloc(1, sizeof(*rd));

	if (rd == NULL) {
		splitfd_input_free(input);
		return splitfd_error_oom(err);
	}
	rd->base.ops = &ops;
	rd->spool_dir = options != NULL ? options->spool_dir : -EBADF;
	rd->cursor.format = "splitdirfdstream";
	rd->cursor.input = input;
	*ret = &rd->base;
	return 0;
}
