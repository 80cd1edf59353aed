/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/proxy-sink.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
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

static int write_file(struct sfd_pipe_writer *w, struct splitfd_chunk *chunk, uint8_t *buffer,
	struct splitfd_error *err)
{
	sfd_cleanup_fd int fd = -EBADF;
	const char *name = chunk->name != NULL ? chunk->name : "a file";
	uint64_t done = 0, crc = 0;
	int r;

	r = splitfd_chunk_open(chunk, &fd, NULL, err);
	if (r < 0)
		return r;
	while (done < chunk->size) {
		size_t n = chunk->size - done < PIECE ? (size_t)(chunk->size - done) : PIECE;

		r = sfd_pread_full(fd, buffer, n, done);
		if (r < 0)
			return splitfd_error_sys(err, -r, "cannot read '%s'", name);
		crc = splitfd_crc64(crc, buffer, n);
		r = sfd_pipe_write(w, buffer, n, err);
		if (r < 0)
			return r;
		done += n;
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
	struct splitfd_chunk chunk;
	int r;

	if (buffer == NULL)
		return splitfd_error_oom(err);
	while ((r = splitfd_source_next(source, &chunk, err)) > 0) {
		if (chunk.kind == SPLITFD_CHUNK_INLINE)
			r = sfd_pipe_write(w, chunk.data, chunk.data_len, err);
		else
			r = write_file(w, &chunk, buffer, err);
		splitfd_chunk_clear(&chunk);
		if (r < 0)
			return r;
	}
	return r;
}
