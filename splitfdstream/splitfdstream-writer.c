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
	struct sfd_wire_sink sink;
	uint64_t inline_max;
	uint64_t next_index;
};

static int put_prefix(struct writer *w, int64_t value, struct splitfd_error *err)
{
	uint64_t le = htole64((uint64_t)value);

	return sfd_wire_bytes(&w->sink.wire, &le, sizeof(le), err);
}

static int put_header(
	struct sfd_wire_sink *sink, bool content, uint32_t n, struct splitfd_error *err)
{
	(void)content;
	return put_prefix((struct writer *)sink, -(int64_t)n, err);
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
	r = sfd_wire_fd(&w->sink.wire, fd, err);
	if (r >= 0)
		r = put_prefix(w, (int64_t)w->next_index, err);
	if (r >= 0)
		w->next_index++;
	return r;
}

static int put_file(
	struct sfd_wire_sink *sink, struct splitfd_chunk *chunk, struct splitfd_error *err)
{
	struct writer *w = (struct writer *)sink;
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
	return sfd_wire_content(&w->sink.wire, fd, chunk, err);
}

static void writer_free(struct splitfd_sink *sink)
{
	struct writer *w = (struct writer *)sink;

	sfd_wire_done(&w->sink.wire);
	free(w);
}

int splitfd_splitfdstream_writer_new(struct splitfd_output *output,
	const struct splitfd_splitfdstream_writer_options *options, struct splitfd_sink **ret,
	struct splitfd_error *err)
{
	static const struct splitfd_sink_ops ops = {
		.put = sfd_wire_sink_put,
		.finish = sfd_wire_sink_finish,
		.free = writer_free,
	};
	struct writer *w = calloc(1, sizeof(*w));

	if (w == NULL) {
		splitfd_output_free(output);
		return splitfd_error_oom(err);
	}
	w->sink.base.ops = &ops;
	w->sink.put_header = put_header;
	w->sink.put_file = put_file;
	w->inline_max = options != NULL ? options->inline_max : 0;
	if (w->inline_max > SPLITFD_INLINE_MAX)
		w->inline_max = SPLITFD_INLINE_MAX;
	w->sink.wire.output = output;
	*ret = &w->sink.base;
	return 0;
}
