/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/copy/push-output.h"
#include "splitfdstream/base/fd.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

struct output {
	struct splitfd_output base;
	struct sfd_push_pipe pipe;
};

/* Room in the pipe. */
static int wait_room(const struct output *o, struct splitfd_error *err)
{
	struct pollfd p[3] = { { .fd = o->pipe.fd, .events = POLLOUT },
		{ .fd = o->pipe.connection, .events = POLLIN },
		{ .fd = o->pipe.cancel_fd > 0 ? o->pipe.cancel_fd : -1, .events = POLLIN } };
	int r;

	do {
		r = poll(p, 3, o->pipe.timeout_ms);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return splitfd_error_sys(err, errno, "cannot wait for the service");
	if (r == 0)
		return splitfd_error_set(err, SPLITFD_ERROR_PEER, ETIMEDOUT,
			"the service is silent for %d seconds (--timeout)",
			o->pipe.timeout_ms / 1000);
	if (p[2].revents != 0)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, ECANCELED, "interrupted");
	if (p[0].revents != 0)
		return 0;
	return splitfd_error_set(err, SPLITFD_ERROR_PEER, EPIPE,
		"the service answered before it had the whole layer");
}

static int output_write(struct splitfd_output *output, const void *data, size_t n, const int *fds,
	size_t n_fds, struct splitfd_error *err)
{
	struct output *o = (struct output *)output;
	const char *at = data;

	(void)fds;
	(void)n_fds;
	while (n > 0) {
		ssize_t done = write(o->pipe.fd, at, n);
		int r = 0;

		if (done >= 0) {
			at += done;
			n -= (size_t)done;
			*o->pipe.sent += (uint64_t)done;
		} else if (errno == EAGAIN) {
			r = wait_room(o, err);
		} else if (errno == EPIPE) {
			r = splitfd_error_set(err, SPLITFD_ERROR_PEER, EPIPE,
				"the service stopped reading the layer");
		} else if (errno != EINTR) {
			r = splitfd_error_sys(err, errno, "cannot write the layer's stream");
		}
		if (r < 0)
			return r;
	}
	return 0;
}

static void output_free(struct splitfd_output *output)
{
	struct output *o = (struct output *)output;

	sfd_close(o->pipe.fd);
	free(o);
}

int sfd_push_output_new(
	const struct sfd_push_pipe *pipe, struct splitfd_output **ret, struct splitfd_error *err)
{
	static const struct splitfd_output_ops ops = { .write = output_write, .free = output_free };
	struct output *o = calloc(1, sizeof(*o));

	if (o == NULL) {
		sfd_close(pipe->fd);
		return splitfd_error_oom(err);
	}
	o->base.ops = &ops; /* fd_batch 0: descriptors travel with the call only */
	o->pipe = *pipe;
	*ret = &o->base;
	return 0;
}
