/* SPDX-License-Identifier: Apache-2.0 */
/* The outputs of fdpass.h. */
#include "transport/rpc/fdpass.h"
#include "splitfdstream/base/fd.h"
#include "transport/rpc/socket-wait.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>

/* A packet has to fit into any socket's buffer; so much fits where poll says that there is room. */
#define PACKET_MAX ((size_t)32 * 1024)

struct fd_output {
	struct splitfd_output base;
	int timeout_ms;
	int socket;
	int type;
	struct splitfd_output *stream; /* CHANNEL: the bytes; NULL: they go over `socket` too */
};

static size_t choose_batch(size_t wanted)
{
	struct rlimit limit;

	if (wanted > 0)
		return wanted < SPLITFD_FDS_MAX ? wanted : SPLITFD_FDS_MAX;
	return getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur < 256 ? 8 : 32;
}

/* splitfd_fds_send waits for no more than the peer: there must be room for the piece before it. */
static int send_piece(const struct fd_output *out, const void *data, size_t n, const int *fds,
	size_t n_fds, struct splitfd_error *err)
{
	int r = 0;

	if (out->base.cancel_fd > 0)
		r = sfd_socket_wait(out->socket, POLLOUT, sfd_deadline(out->timeout_ms),
			out->base.cancel_fd, err);
	return r < 0 ? r : splitfd_fds_send(out->socket, data, n, fds, n_fds, out->timeout_ms, err);
}

static int channel_write(struct splitfd_output *base, const void *data, size_t n, const int *fds,
	size_t n_fds, struct splitfd_error *err)
{
	struct fd_output *out = (struct fd_output *)base;
	int r = 0;

	if (n_fds > 0)
		r = send_piece(out, "", 1, fds, n_fds, err);
	out->stream->cancel_fd = base->cancel_fd;
	if (r >= 0 && n > 0)
		r = out->stream->ops->write(out->stream, data, n, NULL, 0, err);
	return r;
}

static int attached_write(struct splitfd_output *base, const void *data, size_t n, const int *fds,
	size_t n_fds, struct splitfd_error *err)
{
	struct fd_output *out = (struct fd_output *)base;
	const char *at = data;
	int r = 0;

	while (r >= 0 && n > 0) {
		bool pieces = out->type == SOCK_SEQPACKET || base->cancel_fd > 0;
		size_t piece = pieces && n > PACKET_MAX ? PACKET_MAX : n;

		r = send_piece(out, at, piece, fds, n_fds, err);
		at += piece;
		n -= piece;
		n_fds = 0;
	}
	if (r >= 0 && n_fds > 0)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, EINVAL,
			"descriptors without a byte to attach them to");
	return r;
}

static void fd_output_free(struct splitfd_output *base)
{
	struct fd_output *out = (struct fd_output *)base;

	splitfd_output_free(out->stream);
	sfd_close(out->socket);
	free(out);
}

static int fd_output_new(int socket, size_t fd_batch, int timeout_ms, struct fd_output **ret,
	struct splitfd_error *err)
{
	struct fd_output *out = NULL;
	int type, r = splitfd_fds_check_socket(socket, "the descriptors' channel", &type, err);

	if (r >= 0) {
		out = calloc(1, sizeof(*out));
		r = out != NULL ? 0 : splitfd_error_oom(err);
	}
	if (r < 0) {
		sfd_close(socket);
		return r;
	}
	out->base.fd_batch = choose_batch(fd_batch);
	out->socket = socket;
	out->type = type;
	out->timeout_ms = timeout_ms;
	*ret = out;
	return 0;
}

int splitfd_output_channel_new(int stream, int channel, size_t fd_batch, int timeout_ms,
	struct splitfd_output **ret, struct splitfd_error *err)
{
	static const struct splitfd_output_ops ops = {
		.write = channel_write,
		.free = fd_output_free,
	};
	struct fd_output *out;
	int r = fd_output_new(channel, fd_batch, timeout_ms, &out, err);

	if (r < 0) {
		sfd_close(stream);
		return r;
	}
	out->base.ops = &ops;
	r = splitfd_output_new(stream, timeout_ms, &out->stream, err);
	if (r < 0) {
		fd_output_free(&out->base);
		return r;
	}
	*ret = &out->base;
	return 0;
}

int splitfd_output_socket_new(int socket, size_t fd_batch, int timeout_ms,
	struct splitfd_output **ret, struct splitfd_error *err)
{
	static const struct splitfd_output_ops ops = {
		.write = attached_write,
		.free = fd_output_free,
	};
	struct fd_output *out;
	int r = fd_output_new(socket, fd_batch, timeout_ms, &out, err);

	if (r < 0)
		return r;
	out->base.ops = &ops;
	*ret = &out->base;
	return 0;
}
