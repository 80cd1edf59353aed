/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/wire-buffer.h"
#include "splitfdstream/base/fd.h"
#include "splitfdstream/chunk-content.h"

#include <errno.h>
#include <string.h>

/* Sends descriptors, then bytes. */
static int flush(struct sfd_wire *w, struct splitfd_error *err)
{
	int r;

	if (w->len == 0 && w->n_fds == 0)
		return 0;
	r = w->output->ops->write(w->output, w->buffer, w->len, w->fds, w->n_fds, err);
	for (size_t i = 0; i < w->n_fds; i++)
		sfd_close(w->fds[i]);
	w->n_fds = 0;
	w->len = 0;
	return r;
}

int sfd_wire_bytes(struct sfd_wire *w, const void *data, size_t n, struct splitfd_error *err)
{
	if (n > sizeof(w->buffer) - w->len) {
		int r = flush(w, err);

		if (r < 0)
			return r;
		if (n > sizeof(w->buffer))
			return w->output->ops->write(w->output, data, n, NULL, 0, err);
	}
	if (n > 0)
		memcpy(w->buffer + w->len, data, n);
	w->len += n;
	return 0;
}

int sfd_wire_fd(struct sfd_wire *w, int fd, struct splitfd_error *err)
{
	size_t batch = w->output->fd_batch < SFD_WIRE_FDS ? w->output->fd_batch : SFD_WIRE_FDS;
	int r = 0;

	if (batch == 0)
		r = splitfd_error_set(err, SPLITFD_ERROR_USAGE, EOPNOTSUPP,
			"a file has to be sent as a descriptor, but no descriptors can be passed "
			"along; give a Unix socket");
	else if (w->n_fds >= batch)
		r = flush(w, err);
	if (r < 0) {
		sfd_close(fd);
		return r;
	}
	w->fds[w->n_fds++] = fd;
	return 0;
}

/* Straight into the buffer: the bytes are copied once. */
int sfd_wire_content(
	struct sfd_wire *w, int fd, const struct splitfd_chunk *chunk, struct splitfd_error *err)
{
	struct sfd_chunk_content content = { .chunk = chunk, .fd = fd };

	for (;;) {
		ssize_t n;
		int r = w->len == sizeof(w->buffer) ? flush(w, err) : 0;

		if (r < 0)
			return r;
		n = sfd_chunk_content_read(
			&content, w->buffer + w->len, sizeof(w->buffer) - w->len, err);
		if (n <= 0)
			return (int)n;
		w->len += (size_t)n;
	}
}

void sfd_wire_done(struct sfd_wire *w)
{
	for (size_t i = 0; i < w->n_fds; i++)
		sfd_close(w->fds[i]);
	w->n_fds = 0;
	w->output = splitfd_output_free(w->output);
}

static int put_inline(
	struct sfd_wire_sink *s, const struct splitfd_chunk *chunk, struct splitfd_error *err)
{
	/* Content that does not fit in one chunk is no longer one file's. */
	bool content = chunk->is_content && chunk->data_len <= SPLITFD_INLINE_MAX;
	const uint8_t *data = chunk->data;
	size_t left = chunk->data_len;

	while (left > 0) {
		size_t n = left < SPLITFD_INLINE_MAX ? left : SPLITFD_INLINE_MAX;
		int r = s->put_header(s, content, (uint32_t)n, err);

		if (r >= 0)
			r = sfd_wire_bytes(&s->wire, data, n, err);
		if (r < 0)
			return r;
		data += n;
		left -= n;
	}
	return 0;
}

static int failed(const struct sfd_wire *w, struct splitfd_error *err)
{
	return w->failed < 0 ? splitfd_error_copy(err, w->failed, &w->error) : w->failed;
}

int sfd_wire_sink_put(
	struct splitfd_sink *sink, struct splitfd_chunk *chunk, struct splitfd_error *err)
{
	struct sfd_wire_sink *s = (struct sfd_wire_sink *)sink;
	int r;

	if (s->wire.failed < 0) {
		splitfd_chunk_clear(chunk);
		return failed(&s->wire, err);
	}
	r = chunk->kind == SPLITFD_CHUNK_INLINE ? put_inline(s, chunk, &s->wire.error)
						: s->put_file(s, chunk, &s->wire.error);
	s->wire.failed = r < 0 ? r : 0;
	return failed(&s->wire, err);
}

int sfd_wire_sink_finish(struct splitfd_sink *sink, struct splitfd_error *err)
{
	struct sfd_wire_sink *s = (struct sfd_wire_sink *)sink;
	int r;

	if (s->wire.failed == 0) {
		r = flush(&s->wire, &s->wire.error);
		s->wire.failed = r < 0 ? r : 0;
	}
	return failed(&s->wire, err);
}
