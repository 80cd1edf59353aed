/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/splitfdstream-writer.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/fd.h"
#include "splitfdstream/wire-buffer.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct writer {
	struct splitfd_sink base;
	uint64_t inline_max;
	uint64_t next_index;
	struct sfd_wire wire;
};

static int put_prefix(struct writer *w, int64_t value, struct splitfd_error *err)
{
	uint64_t le = htole64((uint64_t)value);

	return sfd_wire_bytes(&w->wire, &le, sizeof(le), err);
}

static int put_inline(
	struct writer *w, const struct splitfd_chunk *chunk, struct splitfd_error *err)
{
	const uint8_t *data = chunk->data;
	size_t left = chunk->data_len;

	while (left > 0) {
		size_t n = left < SPLITFD_INLINE_MAX ? left : SPLITFD_INLINE_MAX;
		int r = put_prefix(w, -(int64_t)n, err);

		if (r >= 0)
			r = sfd_wire_bytes(&w->wire, data, n, err);
		if (r < 0)
			return r;
		data += n;
		left -= n;
	}
	return 0;
}

/* The descriptor is queued before its index is written: a full batch is sent in between, and then
 * the index must not be among the bytes that go along with it. */
static int put_descriptor(struct writer *w, int fd, struct splitfd_error *err)
{
	int r;

	if (w->next_index > UINT32_MAX) {
		sfd_close(fd);
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, EOVERFLOW,
			"more than 2^32 files cannot be expressed in a splitfdstream");
	}
	r = sfd_wire_fd(&w->wire, fd, err);
	if (r >= 0)
		r = put_prefix(w, (int64_t)w->next_index, err);
	if (r >= 0)
		w->next_index++;
	return r;
}

static int put_file(struct writer *w, struct splitfd_chunk *chunk, struct splitfd_error *err)
{
	sfd_cleanup_fd int fd = -EBADF;
	int r = splitfd_chunk_open(chunk, &fd, NULL, err);

	if (r < 0)
		return r;
	if (chunk->size > w->inline_max)
		return put_descriptor(w, sfd_take_fd(&fd), err);
	/* Zero inline bytes cannot be expressed, and need not be. */
	if (chunk->size > 0)
		r = put_prefix(w, -(int64_t)chunk->size, err);
	if (r < 0)
		return r;
	return sfd_wire_content(&w->wire, fd, chunk, chunk->name ? chunk->name : "a file", err);
}

static int writer_put(
	struct splitfd_sink *sink, struct splitfd_chunk *chunk, struct splitfd_error *err)
{
	struct writer *w = (struct writer *)sink;
	struct splitfd_error error = { 0 };
	int r;

	if (w->wire.failed < 0) {
		splitfd_chunk_clear(chunk);
		return sfd_wire_failed(&w->wire, err);
	}
	r = chunk->kind == SPLITFD_CHUNK_INLINE ? put_inline(w, chunk, &error)
						: put_file(w, chunk, &error);
	return r < 0 ? sfd_wire_fail(&w->wire, r, &error, err) : 0;
}

static int writer_finish(struct splitfd_sink *sink, struct splitfd_error *err)
{
	struct writer *w = (struct writer *)sink;
	struct splitfd_error error = { 0 };
	int r;

	if (w->wire.failed < 0)
		return sfd_wire_failed(&w->wire, err);
	r = sfd_wire_flush(&w->wire, &error);
	return r < 0 ? sfd_wire_fail(&w->wire, r, &error, err) : 0;
}

static void writer_free(struct splitfd_sink *sink)
{
	struct writer *w = (struct writer *)sink;

	sfd_wire_done(&w->wire);
	free(w);
}

int splitfd_splitfdstream_writer_new(struct splitfd_output *output,
	const struct splitfd_splitfdstream_writer_options *options, struct splitfd_sink **ret,
	struct splitfd_error *err)
{
	static const struct splitfd_sink_ops ops = {
		.put = writer_put,
		.finish = writer_finish,
		.free = writer_free,
	};
	struct writer *w = calloc(1, sizeof(*w));

	if (w == NULL) {
		splitfd_output_free(output);
		return splitfd_error_oom(err);
	}
	w->base.ops = &ops;
	w->inline_max = options != NULL ? options->inline_max : 0;
	if (w->inline_max > SPLITFD_INLINE_MAX)
		w->inline_max = SPLITFD_INLINE_MAX;
	w->wire.output = output;
	*ret = &w->base;
	return 0;
}
