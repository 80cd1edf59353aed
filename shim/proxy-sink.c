/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/proxy-sink.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

/* Fits the second level cache, together with what the kernel copies. */
#define PIECE ((size_t)256 * 1024)

static int wait_room(struct sfd_pipe_writer *w, struct splitfd_error *err)
{
	struct pollfd fds[2] = { { .fd = w->fd, .events = POLLOUT },
		{ .fd = w->cancel_fd, .events = POLLIN } };
	int r;

	do
		r = poll(fds, w->cancel_fd >= 0 ? 2 : 1, w->stall_ms);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return splitfd_error_sys(err, errno, "cannot wait for the client");
	if (r == 0)
		return splitfd_error_set(err, SPLITFD_ERROR_PEER, ETIMEDOUT,
			"the client has read nothing for %d seconds", w->stall_ms / 1000);
	if (fds[1].revents != 0)
		return splitfd_error_set(
			err, SPLITFD_ERROR_PEER, ECANCELED, "the session has ended");
	return 0;
}

int sfd_pipe_write(struct sfd_pipe_writer *w, const void *data, size_t n, struct splitfd_error *err)
{
	const char *at = data;

	if (w->sha256 != NULL)
		splitfd_sha256_update(w->sha256, data, n);
	w->bytes += n;
	while (n > 0) {
		ssize_t done = write(w->fd, at, n);
		int r;

		if (done >= 0) {
			at += done;
			n -= (size_t)done;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno == EPIPE)
			return splitfd_error_set(
				err, SPLITFD_ERROR_PEER, EPIPE, "write |1: broken pipe");
		if (errno != EAGAIN)
			return splitfd_error_sys(err, errno, "cannot write to the client's pipe");
		r = wait_room(w, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Headers, padding and content are gathered, so that small files cost no write of their own. */
struct gather {
	struct sfd_pipe_writer *w;
	uint8_t *buffer; /* PIECE bytes */
	size_t len;
};

static int flush(struct gather *g, struct splitfd_error *err)
{
	int r = g->len > 0 ? sfd_pipe_write(g->w, g->buffer, g->len, err) : 0;

	g->len = 0;
	return r;
}

static int put_bytes(struct gather *g, const uint8_t *data, size_t n, struct splitfd_error *err)
{
	while (n > 0) {
		size_t part = n < PIECE - g->len ? n : PIECE - g->len;
		int r = 0;

		memcpy(g->buffer + g->len, data, part);
		g->len += part;
		data += part;
		n -= part;
		if (g->len == PIECE)
			r = flush(g, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int put_file(struct gather *g, struct splitfd_chunk *chunk, struct splitfd_error *err)
{
	sfd_cleanup_fd int fd = -EBADF;
	const char *name = chunk->name != NULL ? chunk->name : "a file";
	uint64_t done = 0, crc = 0;
	int r;

	r = splitfd_chunk_open(chunk, &fd, NULL, err);
	if (r < 0)
		return r;
	while (done < chunk->size) {
		size_t room = PIECE - g->len;
		size_t n = chunk->size - done < room ? (size_t)(chunk->size - done) : room;

		r = sfd_pread_full(fd, g->buffer + g->len, n, done);
		if (r < 0)
			return splitfd_error_sys(err, -r, "cannot read '%s'", name);
		crc = splitfd_crc64(crc, g->buffer + g->len, n);
		g->len += n;
		done += n;
		r = g->len == PIECE ? flush(g, err) : 0;
		if (r < 0)
			return r;
	}
	if (chunk->has_crc64 && crc != chunk->crc64)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"file integrity checksum failed for '%s'", name);
	return 0;
}

int sfd_pipe_write_source(
	struct sfd_pipe_writer *w, struct splitfd_source *source, struct splitfd_error *err)
{
	sfd_cleanup_free uint8_t *buffer = malloc(PIECE);
	struct gather g = { .w = w, .buffer = buffer };
	struct splitfd_chunk chunk;
	int r;

	if (buffer == NULL)
		return splitfd_error_oom(err);
	while ((r = splitfd_source_next(source, &chunk, err)) > 0) {
		if (chunk.kind == SPLITFD_CHUNK_INLINE)
			r = put_bytes(&g, chunk.data, chunk.data_len, err);
		else
			r = put_file(&g, &chunk, err);
		splitfd_chunk_clear(&chunk);
		if (r < 0)
			return r;
	}
	return r == 0 ? flush(&g, err) : r;
}
