/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/tar/tar-source.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/fd.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/base/unnamed-file.h"
#include "splitfdstream/chunk-content.h"
#include "transport/tar/tar-parser.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define PIECE ((size_t)64 * 1024)

struct tar_source {
	struct splitfd_source base;
	struct splitfd_source *inner;
	struct sfd_tar_parser *parser;
	struct sfd_tar_source_options options;
	int failed; /* 0 or -errno: sticks */
	struct splitfd_error error;
	bool ended;
	bool raw; /* from here on nothing is looked at: all is inline */

	/* Bytes at hand: of the inner source's chunk, or read of `file`. */
	const uint8_t *data;
	size_t len;

	/* A FILE chunk that is not passed on: read as bytes. */
	struct splitfd_chunk file;
	int file_fd;
	struct sfd_chunk_content reading;

	uint64_t given;	  /* bytes of the tar so far */
	uint64_t content; /* size of the content that starts (or goes on) here; 0: none */
	uint64_t content_left;
	int spool; /* where it is collected; -EBADF: in `buffer` */
	uint8_t buffer[PIECE];
	uint8_t piece[PIECE]; /* what was read of `file` */
};

static int nothing(void *ctx, const struct sfd_tar_entry *e, struct splitfd_error *err)
{
	(void)ctx;
	(void)e;
	(void)err;
	return 0;
}

/* The next piece of the file that becomes inline; closes it at its end. */
static int read_file_piece(struct tar_source *ts, struct splitfd_error *err)
{
	ssize_t n = sfd_chunk_content_read(&ts->reading, ts->piece, PIECE, err);

	if (n < 0)
		return (int)n;
	if (n == 0)
		ts->file_fd = sfd_close(ts->file_fd);
	ts->data = ts->piece;
	ts->len = (size_t)n;
	return 1;
}

static int start_file(struct tar_source *ts, struct splitfd_chunk *chunk, struct splitfd_error *err)
{
	int r;

	if (chunk->size == 0) {
		splitfd_chunk_clear(chunk);
		return 1;
	}
	r = splitfd_chunk_open(chunk, &ts->file_fd, NULL, err);
	if (r < 0)
		return r;
	ts->file = *chunk;
	ts->reading = (struct sfd_chunk_content){ .chunk = &ts->file, .fd = ts->file_fd };
	return 1;
}

/* Gets bytes to look at. 1: go on; 0: the inner source has ended; 2: *ret is a FILE chunk that is
 * the content that starts here. */
static int more(struct tar_source *ts, struct splitfd_chunk *ret, struct splitfd_error *err)
{
	struct splitfd_chunk chunk = { .fd = -EBADF };
	int r;

	if (ts->file_fd >= 0)
		return read_file_piece(ts, err);
	r = splitfd_source_next(ts->inner, &chunk, err);
	if (r <= 0)
		return r;
	if (chunk.kind == SPLITFD_CHUNK_INLINE) {
		ts->data = chunk.data;
		ts->len = chunk.data_len;
		return 1;
	}
	if (ts->content == 0 || ts->content_left != ts->content)
		return start_file(ts, &chunk, err);
	r = sfd_tar_parser_object(ts->parser, chunk.size, err);
	if (r < 0) {
		splitfd_chunk_clear(&chunk);
		return r;
	}
	ts->given += ts->content;
	ts->content = 0;
	*ret = chunk;
	return 2;
}

static int keep_content(struct tar_source *ts, struct splitfd_error *err)
{
	uint64_t done = ts->content - ts->content_left;
	size_t n = ts->len < ts->content_left ? ts->len : (size_t)ts->content_left;
	int r = 0;

	if (ts->content <= ts->options.inline_content_max)
		memcpy(ts->buffer + done, ts->data, n);
	else if (ts->spool < 0)
		r = ts->spool = sfd_unnamed_file(ts->options.spool_dir);
	if (ts->spool >= 0)
		r = sfd_write_all(ts->spool, ts->data, n);
	if (r < 0)
		return splitfd_error_sys(err, -r, "cannot keep a file's content aside");
	ts->data += n;
	ts->len -= n;
	ts->content_left -= n;
	return 0;
}

static int give_content(struct tar_source *ts, struct splitfd_chunk *ret, struct splitfd_error *err)
{
	uint64_t size = ts->content;
	int fd, r = sfd_tar_parser_object(ts->parser, size, err);

	if (r < 0)
		return r;
	ts->given += size;
	ts->content = 0;
	*ret = (struct splitfd_chunk){ .fd = -EBADF };
	if (ts->spool < 0) {
		ret->data = ts->buffer;
		ret->data_len = (size_t)size;
		ret->is_content = true;
		return 1;
	}
	/* Read-only from now on: whoever gets it can rely on that. */
	fd = sfd_reopen(ts->spool, O_RDONLY);
	ts->spool = sfd_close(ts->spool);
	if (fd < 0)
		return splitfd_error_sys(err, -fd, "cannot open a file's content again");
	ret->kind = SPLITFD_CHUNK_FILE;
	ret->size = size;
	ret->fd = fd;
	return 1;
}

/* Bytes up to the next content, as they are. 0: there were none. */
static int give_inline(struct tar_source *ts, struct splitfd_chunk *ret, struct splitfd_error *err)
{
	size_t taken = ts->len;
	int r = 0;

	if (!ts->raw)
		r = sfd_tar_parser_feed_to_object(
			ts->parser, ts->data, ts->len, &taken, &ts->content, err);
	if (r == -EOPNOTSUPP) {
		splitfd_error_clear(err);
		ts->raw = true;
		return 0;
	}
	if (r < 0)
		return r;
	ts->content_left = ts->content;
	if (taken == 0)
		return 0;
	*ret = (struct splitfd_chunk){ .data = ts->data, .data_len = taken, .fd = -EBADF };
	ts->data += taken;
	ts->len -= taken;
	ts->given += taken;
	return 1;
}

static int end(struct tar_source *ts, struct splitfd_error *err)
{
	int r;

	if (ts->content > 0)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"the tar ends inside a file's content, which starts at byte %llu: %llu of "
			"%llu bytes are missing",
			(unsigned long long)ts->given, (unsigned long long)ts->content_left,
			(unsigned long long)ts->content);
	r = ts->raw ? 0 : sfd_tar_parser_finish(ts->parser, err);
	if (r == -EOPNOTSUPP) {
		splitfd_error_clear(err);
		r = 0;
	}
	if (r >= 0)
		ts->ended = true;
	return r;
}

static int step(struct tar_source *ts, struct splitfd_chunk *ret, struct splitfd_error *err)
{
	int r = 0;

	while (r == 0) {
		if (ts->content > 0 && ts->content_left == 0)
			return give_content(ts, ret, err);
		if (ts->len == 0) {
			r = more(ts, ret, err);
			if (r == 0)
				return end(ts, err);
			if (r != 1)
				return r < 0 ? r : 1;
			r = 0;
		} else if (ts->content > 0) {
			r = keep_content(ts, err);
		} else {
			r = give_inline(ts, ret, err);
		}
	}
	return r;
}

static int tar_source_next(
	struct splitfd_source *source, struct splitfd_chunk *ret, struct splitfd_error *err)
{
	struct tar_source *ts = (struct tar_source *)source;
	int r = 0;

	if (ts->failed == 0 && !ts->ended) {
		r = step(ts, ret, &ts->error);
		if (r < 0)
			ts->failed = r;
	}
	return ts->failed < 0 ? splitfd_error_copy(err, ts->failed, &ts->error) : r;
}

static void tar_source_free(struct splitfd_source *source)
{
	struct tar_source *ts = (struct tar_source *)source;

	splitfd_source_free(ts->inner);
	sfd_tar_parser_free(ts->parser);
	sfd_close(ts->spool);
	sfd_close(ts->file_fd);
	free(ts);
}

int sfd_tar_source_new(struct splitfd_source *inner, const struct sfd_tar_source_options *options,
	struct splitfd_source **ret, struct splitfd_error *err)
{
	static const struct splitfd_source_ops ops = {
		.next = tar_source_next,
		.free = tar_source_free,
	};
	struct tar_source *ts = calloc(1, sizeof(*ts));

	if (ts != NULL)
		ts->parser = sfd_tar_parser_new(nothing, NULL);
	if (ts == NULL || ts->parser == NULL) {
		free(ts);
		splitfd_source_free(inner);
		return splitfd_error_oom(err);
	}
	ts->base.ops = &ops;
	ts->inner = inner;
	ts->options.spool_dir = -EBADF;
	if (options != NULL)
		ts->options = *options;
	if (ts->options.inline_content_max > PIECE)
		ts->options.inline_content_max = PIECE;
	ts->spool = -EBADF;
	ts->file_fd = -EBADF;
	*ret = &ts->base;
	return 0;
}
