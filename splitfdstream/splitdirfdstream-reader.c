/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/splitdirfdstream-reader.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/fd.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/base/unnamed-file.h"
#include "splitfdstream/dir-files.h"
#include "splitfdstream/wire-header.h"

#include <errno.h>
#include <stdlib.h>

struct reader {
	struct splitfd_source base;
	int spool_dir;
	int (*files_new)(void *ctx, int dir, struct splitfd_files **ret, struct splitfd_error *err);
	void *files_ctx;
	bool ended;
	uint64_t metadata_left; /* of the Metadata chunk that is being given */

	/* Directories received so far; a slot becomes `files` when a chunk first names it. */
	size_t n_dirs;
	int *dirs;
	struct splitfd_files **files;

	struct sfd_cursor cursor;
	struct sfd_wire_header header;
};

/* What is left of a Metadata chunk, and the Metadata chunks that are at hand behind it. */
static int give_metadata(struct reader *rd, struct splitfd_chunk *ret, struct splitfd_error *err)
{
	int r = sfd_cursor_inline(&rd->cursor, &rd->metadata_left, "a Metadata chunk", ret, err);

	if (r > 0 && rd->metadata_left == 0)
		sfd_splitdirfdstream_join(&rd->cursor, ret);
	return r;
}

static int give_spooled(struct reader *rd, struct splitfd_chunk *ret, struct splitfd_error *err)
{
	sfd_cleanup_fd int fd = sfd_unnamed_file(rd->spool_dir);
	uint64_t left = rd->header.size;
	int r = fd;

	while (r >= 0 && left > 0) {
		r = sfd_cursor_inline(&rd->cursor, &left, "an InlineData chunk", ret, err);
		if (r < 0)
			return r;
		r = sfd_write_all(fd, ret->data, ret->data_len);
	}
	if (r < 0) {
		(void)splitfd_error_sys(&rd->cursor.error, -r,
			"cannot keep the content of an InlineData chunk in a temporary file");
		return sfd_cursor_fail(&rd->cursor, rd->cursor.offset, r, err);
	}
	*ret = (struct splitfd_chunk){
		.kind = SPLITFD_CHUNK_FILE,
		.size = rd->header.size,
		.fd = sfd_take_fd(&fd),
	};
	return 1;
}

static int give_inline_data(struct reader *rd, struct splitfd_chunk *ret, struct splitfd_error *err)
{
	size_t n = (size_t)rd->header.size;
	uint64_t left = n;
	int r;

	if (n > SFD_CURSOR_SIZE)
		return give_spooled(rd, ret, err);
	r = sfd_cursor_need(&rd->cursor, n, "an InlineData chunk", err);
	/* 0: the end is here, and the next call says what is missing. */
	if (r >= 0)
		r = sfd_cursor_inline(&rd->cursor, &left, "an InlineData chunk", ret, err);
	ret->is_content = true;
	return r;
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
		r = rd->files_new(rd->files_ctx, sfd_take_fd(&rd->dirs[index]), &rd->files[index],
			&rd->cursor.error);
		if (r < 0) {
			(void)splitfd_error_wrap(&rd->cursor.error, r, "directory %u", index);
			return sfd_cursor_fail(&rd->cursor, offset, r, err);
		}
	}
	*ret = rd->files[index];
	return 0;
}

static int give_file(struct reader *rd, struct splitfd_chunk *ret, struct splitfd_error *err)
{
	const struct sfd_wire_header *h = &rd->header;
	struct splitfd_files *files = NULL;
	int r = find_files(rd, h->index, h->offset, &files, err);

	if (r < 0)
		return r;
	*ret = (struct splitfd_chunk){
		.kind = SPLITFD_CHUNK_FILE,
		.size = h->size,
		.fd = -EBADF,
		.files = files,
		.name = h->name,
		.name_len = h->name_len,
	};
	return 1;
}

static int give_chunk(struct reader *rd, struct splitfd_chunk *ret, struct splitfd_error *err)
{
	if (rd->header.kind == SFD_WIRE_REFERENCE)
		return give_file(rd, ret, err);
	if (rd->header.kind == SFD_WIRE_CONTENT)
		return give_inline_data(rd, ret, err);
	rd->metadata_left = rd->header.size;
	return give_metadata(rd, ret, err);
}

static int reader_next(
	struct splitfd_source *source, struct splitfd_chunk *ret, struct splitfd_error *err)
{
	struct reader *rd = (struct reader *)source;
	int r;

	if (rd->cursor.failed < 0)
		return sfd_cursor_failed(&rd->cursor, err);
	if (rd->metadata_left > 0)
		return give_metadata(rd, ret, err);
	if (rd->ended)
		return 0;
	/* Empty chunks say nothing. */
	do
		r = sfd_splitdirfdstream_header(&rd->cursor, &rd->header, err);
	while (r > 0 && rd->header.kind != SFD_WIRE_REFERENCE && rd->header.size == 0);
	rd->ended = r == 0;
	return r > 0 ? give_chunk(rd, ret, err) : r;
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

static int own_files(void *ctx, int dir, struct splitfd_files **ret, struct splitfd_error *err)
{
	(void)ctx;
	return sfd_dir_files_new(dir, ret, err);
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
	rd->files_new = own_files;
	if (options != NULL && options->files_new != NULL) {
		rd->files_new = options->files_new;
		rd->files_ctx = options->files_ctx;
	}
	rd->cursor.format = "splitdirfdstream";
	rd->cursor.input = input;
	*ret = &rd->base;
	return 0;
}
