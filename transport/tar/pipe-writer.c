/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/tar/pipe-writer.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

/* Fits the second level cache, together with what the kernel copies. */
#define PIECE ((size_t)256 * 1024)

static int broken(struct splitfd_error *err)
{
	return splitfd_error_set(err, SPLITFD_ERROR_PEER, EPIPE, "write |1: broken pipe");
}

static int ended(struct splitfd_error *err)
{
	return splitfd_error_set(err, SPLITFD_ERROR_PEER, ECANCELED, "the session has ended");
}

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
	return fds[1].revents != 0 ? ended(err) : 0;
}

/* 0: try again. */
static int not_written(struct sfd_pipe_writer *w, int e, struct splitfd_error *err)
{
	if (e == EINTR)
		return 0;
	if (e == EPIPE)
		return broken(err);
	if (e != EAGAIN)
		return splitfd_error_sys(err, e, "cannot write to the client's pipe");
	return wait_room(w, err);
}

int sfd_pipe_write(struct sfd_pipe_writer *w, const void *data, size_t n, struct splitfd_error *err)
{
	const char *at = data;

	while (n > 0) {
		ssize_t done = write(w->fd, at, n);
		int r = done < 0 ? not_written(w, errno, err) : 0;

		if (r < 0)
			return r;
		if (done < 0)
			continue;
		at += done;
		n -= (size_t)done;
		w->bytes += (uint64_t)done;
	}
	return 0;
}

int sfd_pipe_check(struct sfd_pipe_writer *w, struct splitfd_error *err)
{
	struct pollfd fds[2] = { { .fd = w->fd }, { .fd = w->cancel_fd, .events = POLLIN } };

	if (poll(fds, 2, 0) <= 0)
		return 0;
	return fds[1].revents != 0 ? ended(err) : broken(err);
}

/* Headers, padding and small files are gathered, so that they cost no write of their own. */
struct sender {
	struct splitfd_sink base;
	struct sfd_pipe_writer *w;
	struct sfd_follow *follow;
	struct sfd_trace trace;
	uint64_t spliced_to; /* nothing of the blob behind this is spliced */
	bool checks_small;   /* the follower leaves them to us */
	uint8_t *buffer;     /* PIECE bytes */
	size_t len;
};

static int tell(struct sender *s)
{
	return sfd_follow_sent(s->follow, s->w->bytes) ? 0 : -EBADMSG;
}

static int flush(struct sender *s, struct splitfd_error *err)
{
	int r = s->len > 0 ? sfd_pipe_write(s->w, s->buffer, s->len, err) : 0;

	s->len = 0;
	return r < 0 ? r : tell(s);
}

static int put_bytes(struct sender *s, const uint8_t *data, size_t n, struct splitfd_error *err)
{
	sfd_trace_bytes(&s->trace, data, n);
	while (n > 0) {
		size_t part = n < PIECE - s->len ? n : PIECE - s->len;
		int r = 0;

		memcpy(s->buffer + s->len, data, part);
		s->len += part;
		data += part;
		n -= part;
		if (s->len == PIECE)
			r = flush(s, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The pipe gets the file's own pages. Stops at once where the file system cannot. */
static int splice_file(struct sender *s, int fd, uint64_t n, const char *name, uint64_t *done,
	struct splitfd_error *err)
{
	int r = flush(s, err);

	while (r == 0 && *done < n) {
		off_t at = (off_t)*done;
		size_t part = n - *done < SFD_PIPE_SIZE ? (size_t)(n - *done) : SFD_PIPE_SIZE;
		ssize_t got = splice(fd, &at, s->w->fd, NULL, part, SPLICE_F_NONBLOCK);

		if (got == 0)
			return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, ENODATA,
				"'%s' became shorter while it was sent", name);
		if (got < 0 && (errno == EINVAL || errno == EOPNOTSUPP))
			return 0;
		if (got < 0) {
			r = not_written(s->w, errno, err);
			continue;
		}
		*done += (uint64_t)got;
		s->w->bytes += (uint64_t)got;
		r = tell(s);
	}
	return r;
}

static int copy_file(struct sender *s, int fd, uint64_t done, const struct splitfd_chunk *chunk,
	const char *name, struct splitfd_error *err)
{
	bool check = s->checks_small && chunk->has_crc64 && chunk->size < SFD_SPLICE_MIN;
	uint64_t crc = 0;

	while (done < chunk->size) {
		uint64_t left = chunk->size - done;
		uint8_t *at = s->buffer + s->len;
		size_t n = left < PIECE - s->len ? (size_t)left : PIECE - s->len;
		int r = sfd_pread_full(fd, at, n, done);

		if (r < 0)
			return splitfd_error_sys(err, -r, "cannot read '%s'", name);
		if (check)
			crc = splitfd_crc64(crc, at, n);
		s->len += n;
		done += n;
		r = s->len == PIECE ? flush(s, err) : 0;
		if (r < 0)
			return r;
	}
	return check && crc != chunk->crc64 ? sfd_bad_crc64(name, err) : 0;
}

static int put_file(struct sender *s, struct splitfd_chunk *chunk, struct splitfd_error *err)
{
	sfd_cleanup_fd int fd = -EBADF;
	const char *name = chunk->name != NULL ? chunk->name : "a file";
	uint64_t at = s->w->bytes + s->len, done = 0, n = 0;
	int r;

	r = splitfd_chunk_open(chunk, &fd, NULL, err);
	if (r == 0 && !(s->checks_small && chunk->size < SFD_SPLICE_MIN))
		r = sfd_trace_file(&s->trace, fd, err);
	if (at < s->spliced_to)
		n = chunk->size < s->spliced_to - at ? chunk->size : s->spliced_to - at;
	if (r == 0 && n >= SFD_SPLICE_MIN)
		r = splice_file(s, fd, n, name, &done, err);
	return r == 0 ? copy_file(s, fd, done, chunk, name, err) : r;
}

static int sender_put(
	struct splitfd_sink *base, struct splitfd_chunk *chunk, struct splitfd_error *err)
{
	struct sender *s = (struct sender *)base;
	int r;

	if (chunk->kind == SPLITFD_CHUNK_INLINE)
		r = put_bytes(s, chunk->data, chunk->data_len, err);
	else
		r = put_file(s, chunk, err);
	splitfd_chunk_clear(chunk);
	return r;
}

static int sender_finish(struct splitfd_sink *base, struct splitfd_error *err)
{
	return flush((struct sender *)base, err);
}

static const struct splitfd_sink_ops sender_ops = { .put = sender_put, .finish = sender_finish };

int sfd_pipe_write_layer(struct sfd_pipe_writer *w, struct splitfd_source *source,
	struct splitfd_source *again, uint64_t size, uint8_t digest[32], struct splitfd_error *err)
{
	sfd_cleanup_free uint8_t *buffer = malloc(PIECE);
	sfd_cleanup_follow struct sfd_follow *follow = NULL;
	struct sender s = {
		.base.ops = &sender_ops, .w = w, .buffer = buffer, .checks_small = digest == NULL
	};
	int r;

	if (buffer == NULL)
		return splitfd_error_oom(err);
	r = sfd_follow_new(again, digest != NULL, size > PIECE, &follow, err);
	if (r < 0)
		return r;
	s.follow = follow;
	/* When the last piece is in the pipe, the client has taken all that came before it. */
	if (size != UINT64_MAX && size > SFD_PIPE_SIZE)
		s.spliced_to = size - SFD_PIPE_SIZE;
	r = splitfd_pump(source, &s.base, NULL, err);
	if (r >= 0)
		r = splitfd_sink_finish(&s.base, err);
	if (r < 0 && sfd_follow_sent(follow, w->bytes))
		return r;
	return sfd_follow_end(follow, &s.trace, w->cancel_fd, digest, err);
}
