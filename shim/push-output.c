/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/push-output.h"
#include "shim/cancel.h"
#include "splitfdstream/base/clock.h"
#include "splitfdstream/base/fd.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* How often the cancel flag is looked at while the service is silent. */
#define SLICE_MS 500

struct output {
	struct splitfd_output base;
	struct sfd_push_pipe pipe;
};

/* One of the n descriptors becomes ready: 1. */
static int wait_any(struct pollfd *fds, nfds_t n, int timeout_ms, struct splitfd_error *err)
{
	int64_t end = sfd_now_ms() + timeout_ms;

	for (;;) {
		int64_t left = timeout_ms < 0 ? SLICE_MS : end - sfd_now_ms();
		int r;

		if (*sfd_cancel_flag() != 0)
			return splitfd_error_set(err, SPLITFD_ERROR_FAILED, ECANCELED,
				"interrupted; what the service has not finished is not visible");
		if (left < 0)
			return splitfd_error_set(err, SPLITFD_ERROR_PEER, ETIMEDOUT,
				"the service is silent for %d seconds (--timeout)",
				timeout_ms / 1000);
		r = poll(fds, n, left < SLICE_MS ? (int)left : SLICE_MS);
		if (r > 0)
			return 1;
		if (r < 0 && errno != EINTR)
			return splitfd_error_sys(err, errno, "cannot wait for the service");
	}
}

int sfd_push_wait(int connection, int timeout_ms, struct splitfd_error *err)
{
	struct pollfd fd = { .fd = connection, .events = POLLIN };
	int r = wait_any(&fd, 1, timeout_ms, err);

	return r < 0 ? r : 0;
}

/* Room in the pipe. */
static int wait_room(const struct output *o, struct splitfd_error *err)
{
	struct pollfd fds[2] = { { .fd = o->pipe.fd, .events = POLLOUT },
		{ .fd = o->pipe.connection, .events = POLLIN } };
	int r = wait_any(fds, 2, o->pipe.timeout_ms, err);

	if (r < 0 || fds[0].revents != 0)
		return r < 0 ? r : 0;
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
