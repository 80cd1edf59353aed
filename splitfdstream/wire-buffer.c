/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/wire-buffer.h"
#include "splitfdstream/base/fd.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/digest.h"

#include <errno.h>
#include <string.h>

int sfd_wire_flush(struct sfd_wire *w, struct splitfd_error *err)
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
		int r = sfd_wire_flush(w, err);

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
		r = sfd_wire_flush(w, err);
	if (r < 0) {
		sfd_close(fd);
		return r;
	}
	w->fds[w->n_fds++] = fd;
	return 0;
}

/* Straight into the buffer: the bytes are copied once. */
int sfd_wire_content(struct sfd_wire *w, int fd, const struct splitfd_chunk *chunk,
	const char *name, struct splitfd_error *err)
{
	uint64_t done = 0, crc = 0;
	char more;
	int r;

	while (done < chunk->size) {
		size_t n = sizeof(w->buffer) - w->len;

		if (n == 0) {
			r = sfd_wire_flush(w, err);
			if (r < 0)
				return r;
			continue;
		}
		if (n > chunk->size - done)
			n = (size_t)(chunk->size - done);
		r = sfd_pread_full(fd, w->buffer + w->len, n, done);
		if (r == -ENODATA)
			return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
				"%s: the file became shorter while it was read", name);
		if (r < 0)
			return splitfd_error_sys(err, -r, "%s: cannot read", name);
		crc = splitfd_crc64(crc, w->buffer + w->len, n);
		w->len += n;
		done += n;
	}
	if (sfd_pread_full(fd, &more, 1, done) != -ENODATA)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"%s: the file became longer while it was read", name);
	if (chunk->has_crc64 && crc != chunk->crc64)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"%s: the content is not the layer's (CRC-64 differs)", name);
	return 0;
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
	if (w->failed < 0 && err != NULL)
		*err = w->error;
	return w->failed;
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
		r = sfd_wire_flush(&s->wire, &s->wire.error);
		s->wire.failed = r < 0 ? r : 0;
	}
	return failed(&s->wire, err);
}
