/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/splitfdstream-reader.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/fd.h"
#include "splitfdstream/wire-cursor.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX_SIZE 8

struct reader {
	struct splitfd_source base;
	bool ended;
	uint64_t inline_left; /* of the inline chunk that is being given */
	struct sfd_cursor cursor;
};

static uint64_t prefix_at(const struct sfd_cursor *c)
{
	uint64_t prefix;
	size_t n;

	memcpy(&prefix, sfd_cursor_at(c, &n), sizeof(prefix));
	return le64toh(prefix);
}

/* What is left of an inline chunk, and the inline chunks that are at hand behind it. */
static int give_inline(struct reader *rd, struct splitfd_chunk *ret, struct splitfd_error *err)
{
	struct sfd_cursor *c = &rd->cursor;
	int r = sfd_cursor_inline(c, &rd->inline_left, "an inline chunk", ret, err);

	while (r > 0 && rd->inline_left == 0 && c->end - c->start > PREFIX_SIZE) {
		uint64_t prefix = prefix_at(c);

		if ((prefix >> 63) == 0 || !sfd_cursor_join(c, PREFIX_SIZE, -prefix, ret))
			break;
	}
	return r;
}

static int give_file(struct reader *rd, uint64_t index, uint64_t offset, struct splitfd_chunk *ret,
	struct splitfd_error *err)
{
	struct splitfd_input *input = rd->cursor.input;
	sfd_cleanup_fd int fd = -EBADF;
	char what[64];
	uint64_t size;
	int r;

	if (index > UINT32_MAX)
		return sfd_cursor_refuse(&rd->cursor, offset, err,
			"descriptor %llu: an index has at most 32 bits", (unsigned long long)index);
	if (input->ops->get_fd == NULL)
		return sfd_cursor_refuse(&rd->cursor, offset, err,
			"descriptor %llu is referred to, none can come along with this stream",
			(unsigned long long)index);
	r = input->ops->get_fd(input, index, &fd, &rd->cursor.error);
	if (r < 0)
		return sfd_cursor_fail(&rd->cursor, offset, r, err);
	snprintf(what, sizeof(what), "descriptor %llu", (unsigned long long)index);
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
	uint64_t prefix, offset;
	int r;

	if (rd->cursor.failed < 0)
		return sfd_cursor_failed(&rd->cursor, err);
	if (rd->ended)
		return 0;
	if (rd->inline_left > 0)
		return give_inline(rd, ret, err);
	offset = rd->cursor.offset;
	r = sfd_cursor_need(&rd->cursor, PREFIX_SIZE, "a chunk's prefix", err);
	if (r < 0)
		return r;
	if (r == 0)
		return reader_end(rd, err);
	prefix = prefix_at(&rd->cursor);
	sfd_cursor_take(&rd->cursor, PREFIX_SIZE);
	if ((prefix >> 63) == 0)
		return give_file(rd, prefix, offset, ret, err);
	/* Unsigned: -2^63 has no positive counterpart, but this is just its size, and too much. */
	rd->inline_left = -prefix;
	if (rd->inline_left > SPLITFD_INLINE_MAX)
		return sfd_cursor_refuse(&rd->cursor, offset, err,
			"an inline chunk of %llu bytes, at most %zu are allowed",
			(unsigned long long)rd->inline_left, SPLITFD_INLINE_MAX);
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
