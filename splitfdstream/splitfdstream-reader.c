/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/splitfdstream-reader.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/fd.h"
#include "splitfdstream/wire-header.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct reader {
	struct splitfd_source base;
	bool ended;
	uint64_t inline_left; /* of the inline chunk that is being given */
	struct sfd_cursor cursor;
	struct sfd_wire_header header;
};

/* What is left of an inline chunk, and the inline chunks that are at hand behind it. */
static int give_inline(struct reader *rd, struct splitfd_chunk *ret, struct splitfd_error *err)
{
	int r = sfd_cursor_inline(&rd->cursor, &rd->inline_left, "an inline chunk", ret, err);

	if (r > 0 && rd->inline_left == 0)
		sfd_splitfdstream_join(&rd->cursor, ret);
	return r;
}

static int give_file(struct reader *rd, struct splitfd_chunk *ret, struct splitfd_error *err)
{
	struct splitfd_input *input = rd->cursor.input;
	uint64_t offset = rd->header.offset, size;
	uint32_t index = rd->header.index;
	sfd_cleanup_fd int fd = -EBADF;
	char what[64];
	int r;

	if (input->ops->get_fd == NULL)
		return sfd_cursor_refuse(&rd->cursor, offset, err,
			"descriptor %u is referred to, none can come along with this stream",
			index);
	r = input->ops->get_fd(input, index, &fd, &rd->cursor.error);
	if (r < 0)
		return sfd_cursor_fail(&rd->cursor, offset, r, err);
	snprintf(what, sizeof(what), "descriptor %u", index);
	r = sfd_check_regular(fd, UINT64_MAX, what, &size, &rd->cursor.error);
	if (r < 0)
		return sfd_cursor_fail(&rd->cursor, offset, r, err);
	*ret = (struct splitfd_chunk){
		.kind = SPLITFD_CHUNK_FILE,
		.size = size,
		.fd = sfd_take_fd(&fd),
	};
	return 1;
}

static int reader_end(struct reader *rd, struct splitfd_error *err)
{
	struct splitfd_input *input = rd->cursor.input;
	int r = 0;

	if (input->ops->end != NULL)
		r = input->ops->end(input, &rd->cursor.error);
	if (r < 0)
		return sfd_cursor_fail(&rd->cursor, rd->cursor.offset, r, err);
	rd->ended = true;
	return 0;
}

static int reader_next(
	struct splitfd_source *source, struct splitfd_chunk *ret, struct splitfd_error *err)
{
	struct reader *rd = (struct reader *)source;
	int r;

	if (rd->cursor.failed < 0)
		return sfd_cursor_failed(&rd->cursor, err);
	if (rd->ended)
		return 0;
	if (rd->inline_left > 0)
		return give_inline(rd, ret, err);
	r = sfd_splitfdstream_header(&rd->cursor, &rd->header, err);
	if (r < 0)
		return r;
	if (r == 0)
		return reader_end(rd, err);
	if (rd->header.kind == SFD_WIRE_REFERENCE)
		return give_file(rd, ret, err);
	rd->inline_left = rd->header.size;
	return give_inline(rd, ret, err);
}

static void reader_free(struct splitfd_source *source)
{
	struct reader *rd = (struct reader *)source;

	splitfd_input_free(rd->cursor.input);
	free(rd);
}

int splitfd_splitfdstream_reader_new(
	struct splitfd_input *input, struct splitfd_source **ret, struct splitfd_error *err)
{
	static const struct splitfd_source_ops ops = { .next = reader_next, .free = reader_free };
	struct reader *rd = calloc(1, sizeof(*rd));

	if (rd == NULL) {
		splitfd_input_free(input);
		return splitfd_error_oom(err);
	}
	rd->base.ops = &ops;
	rd->cursor.format = "splitfdstream";
	rd->cursor.input = input;
	*ret = &rd->base;
	return 0;
}
