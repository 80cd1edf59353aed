/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/tar/tar-sink.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/base/text.h"
#include "splitfdstream/base/timed-write.h"
#include "splitfdstream/chunk-cleanup.h"
#include "splitfdstream/digest.h"
#include "splitfdstream/reconstruct.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <unistd.h>

#define BUFFER_SIZE ((size_t)256 * 1024)

/* From here on a copy in the kernel is cheaper than a read into the buffer. */
#define KERNEL_MIN ((uint64_t)64 * 1024)

struct tar_sink {
	struct splitfd_sink base;
	struct sfd_timed_write to;
	bool check_crc64;
	bool no_copy_range, no_sendfile; /* the descriptors cannot do that */
	char diff_id[72];		 /* "": any */
	uint64_t expected, size;
	struct splitfd_sha256 *sha; /* NULL: not wanted */
	size_t used;
	struct splitfd_error failed;
	uint8_t buffer[BUFFER_SIZE];
};

static int write_failed(const struct tar_sink *s, int r, struct splitfd_error *err)
{
	if (r == -ETIMEDOUT)
		return splitfd_error_set(err, SPLITFD_ERROR_PEER, ETIMEDOUT,
			"the reader of the tar accepted no data for %d ms", s->to.timeout_ms);
	if (r == -EPIPE || r == -ECONNRESET)
		return splitfd_error_set(err, SPLITFD_ERROR_PEER, EPIPE,
			"the reader of the tar went away before its end");
	if (r == -ECANCELED)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, ECANCELED, "interrupted");
	return splitfd_error_sys(err, -r, "cannot write the tar");
}

static int flush(struct tar_sink *s, struct splitfd_error *err)
{
	int r = s->used > 0 ? sfd_timed_write(&s->to, s->buffer, s->used) : 0;

	s->used = 0;
	return r < 0 ? write_failed(s, r, err) : 0;
}

static int account(struct tar_sink *s, uint64_t n, struct splitfd_error *err)
{
	if (n > s->expected - s->size)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"the tar is longer than the layer's %llu bytes",
			(unsigned long long)s->expected);
	s->size += n;
	return 0;
}

/* Hashes, counts and sends. */
static int put_bytes(void *ctx, const void *data, size_t n, struct splitfd_error *err)
{
	struct tar_sink *s = ctx;
	int r = account(s, n, err);

	if (r < 0)
		return r;
	if (s->sha != NULL)
		splitfd_sha256_update(s->sha, data, n);
	if (n > BUFFER_SIZE - s->used) {
		r = flush(s, err);
		if (r < 0)
			return r;
	}
	if (n > BUFFER_SIZE) {
		r = sfd_timed_write(&s->to, data, n);
		return r < 0 ? write_failed(s, r, err) : 0;
	}
	memcpy(s->buffer + s->used, data, n);
	s->used += n;
	return 0;
}

/* What neither call can do with these descriptors, as against what went wrong. */
static bool cannot(int error)
{
	return error == EINVAL || error == ENOSYS || error == EXDEV || error == EOPNOTSUPP ||
	       error == EBADF || error == EPERM;
}

/* One piece from file to output in the kernel. The count, 0 at the end of the file, -EOPNOTSUPP
 * where no call can do it, -errno. */
static ssize_t copy_piece(struct tar_sink *s, int fd, off_t *offset, size_t n)
{
	ssize_t put = -1;

	if (!s->no_copy_range) {
		put = copy_file_range(fd, offset, s->to.fd, NULL, n, 0);
		if (put > 0)
			return put;
		/* Some file systems answer 0 where they cannot: the other call tells. */
		if (put < 0 && !cannot(errno))
			return errno == EINTR ? -EAGAIN : -errno;
		s->no_copy_range = put < 0;
	}
	if (s->no_sendfile)
		return -EOPNOTSUPP;
	put = sendfile(s->to.fd, fd, offset, n);
	if (put >= 0)
		return put;
	if (cannot(errno)) {
		s->no_sendfile = true;
		return -EOPNOTSUPP;
	}
	return errno == EINTR ? -EAGAIN : -errno;
}

/* The content in the kernel, as far as that goes: *ret_done bytes. */
static int copy_file(struct tar_sink *s, const struct splitfd_chunk *chunk, int fd,
	uint64_t *ret_done, struct splitfd_error *err)
{
	off_t offset = 0;
	int r = flush(s, err);

	while (r >= 0 && (uint64_t)offset < chunk->size) {
		uint64_t left = chunk->size - (uint64_t)offset;
		ssize_t put = copy_piece(s, fd, &offset, left < 1u << 30 ? left : 1u << 30);

		if (put == -EOPNOTSUPP)
			break;
		if (put == 0)
			return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
				"%s: the file became shorter while it was read",
				chunk->name != NULL ? chunk->name : "a file");
		if (put == -EAGAIN)
			r = sfd_timed_write_wait(&s->to);
		else if (put < 0)
			r = (int)put;
		if (r < 0)
			return write_failed(s, r, err);
	}
	*ret_done = (uint64_t)offset;
	return r;
}

/* A rest that the kernel did not copy. */
static int copy_rest(struct tar_sink *s, const struct splitfd_chunk *chunk, int fd, uint64_t done,
	struct splitfd_error *err)
{
	while (done < chunk->size) {
		uint64_t left = chunk->size - done;
		size_t n = left < BUFFER_SIZE ? (size_t)left : BUFFER_SIZE;
		int r = sfd_pread_full(fd, s->buffer, n, done);

		if (r < 0)
			return splitfd_error_sys(err, -r, "%s: cannot read",
				chunk->name != NULL ? chunk->name : "a file");
		s->used = n;
		r = flush(s, err);
		if (r < 0)
			return r;
		done += n;
	}
	return 0;
}

static int put_file(struct tar_sink *s, struct splitfd_chunk *chunk, struct splitfd_error *err)
{
	sfd_cleanup_fd int fd = -EBADF;
	uint64_t done = 0;
	int r = splitfd_chunk_open(chunk, &fd, NULL, err);

	if (r < 0)
		return r;
	if (s->sha != NULL || chunk->size < KERNEL_MIN || (s->check_crc64 && chunk->has_crc64)) {
		if (!s->check_crc64)
			chunk->has_crc64 = false;
		return splitfd_chunk_read_fd(chunk, fd, put_bytes, s, err);
	}
	r = account(s, chunk->size, err);
	if (r >= 0)
		r = copy_file(s, chunk, fd, &done, err);
	return r < 0 ? r : copy_rest(s, chunk, fd, done, err);
}

static int tell(const struct tar_sink *s, struct splitfd_error *err)
{
	if (s->failed.errnum == 0)
		return 0;
	return splitfd_error_copy(err, -s->failed.errnum, &s->failed);
}

static int sink_put(
	struct splitfd_sink *base, struct splitfd_chunk *chunk, struct splitfd_error *err)
{
	struct tar_sink *s = (struct tar_sink *)base;

	if (s->failed.errnum == 0) {
		if (chunk->kind == SPLITFD_CHUNK_INLINE)
			put_bytes(s, chunk->data, chunk->data_len, &s->failed);
		else
			put_file(s, chunk, &s->failed);
	}
	splitfd_chunk_clear(chunk);
	return tell(s, err);
}

static int check_whole(struct tar_sink *s, struct splitfd_error *err)
{
	char text[72];
	int r;

	if (s->expected != UINT64_MAX && s->size != s->expected)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"the tar has %llu bytes, the layer %llu", (unsigned long long)s->size,
			(unsigned long long)s->expected);
	if (s->sha == NULL)
		return 0;
	r = splitfd_sha256_final_text(s->sha, text, err);
	s->sha = splitfd_sha256_free(s->sha);
	if (r < 0)
		return r;
	if (strcmp(text, s->diff_id) != 0)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"the tar is %s, not the layer %s", text, s->diff_id);
	return 0;
}

static int sink_finish(struct splitfd_sink *base, struct splitfd_error *err)
{
	struct tar_sink *s = (struct tar_sink *)base;

	if (s->failed.errnum == 0 && flush(s, &s->failed) >= 0)
		check_whole(s, &s->failed);
	return tell(s, err);
}

static void sink_free(struct splitfd_sink *base)
{
	struct tar_sink *s = (struct tar_sink *)base;

	splitfd_sha256_free(s->sha);
	sfd_timed_write_done(&s->to);
	free(s);
}

static const struct splitfd_sink_ops sink_ops = { sink_put, sink_finish, sink_free };

int sfd_tar_sink_new(int fd, const struct sfd_tar_sink_options *options, struct splitfd_sink **ret,
	struct splitfd_error *err)
{
	struct tar_sink *s = malloc(sizeof(*s));
	sfd_cleanup_sink struct splitfd_sink *owned = NULL;

	if (s == NULL)
		return splitfd_error_oom(err);
	memset(s, 0, offsetof(struct tar_sink, buffer));
	s->base.ops = &sink_ops;
	sfd_timed_write_init(&s->to, fd, options->timeout_ms);
	s->to.cancel_fd = options->cancel_fd;
	/* These would wait in the kernel, without a limit. */
	s->no_sendfile = s->to.how == SFD_WRITE_SEND || s->to.how == SFD_WRITE_PIECE_WISE;
	s->check_crc64 = options->check_crc64;
	s->expected = options->size;
	owned = &s->base;
	if (options->diff_id != NULL) {
		if (!sfd_parse_sha256(options->diff_id, NULL))
			return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
				"'%s' is not a digest like sha256:HEX", options->diff_id);
		memcpy(s->diff_id, options->diff_id, sizeof(s->diff_id));
		s->sha = splitfd_sha256_new();
		if (s->sha == NULL)
			return splitfd_error_oom(err);
	}
	*ret = sfd_take_ptr(&owned);
	return 0;
}
