/* SPDX-License-Identifier: Apache-2.0 */
/* The inputs of fdpass.h: a stream whose descriptors come over a channel, or attached to it. */
#include "transport/rpc/fdpass.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/fd.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "splitfdstream/base/io.h"

/* Descriptors that came and were not referred to yet, from index `next` on. An attached stream may
 * have some left when the next message brings more. */
#define QUEUE_MAX ((size_t)4 * SPLITFD_FDS_MAX)

struct fd_input {
	struct splitfd_input base;
	int timeout_ms;
	int channel;		      /* where descriptors come from */
	struct splitfd_input *stream; /* CHANNEL: the bytes; NULL: they come over `channel` too */
	uint64_t next;
	size_t n_queued;
	int queue[QUEUE_MAX];
	size_t start, end; /* ATTACHED: bytes of a message that were not asked for yet */
	uint8_t buffer[64 * 1024];
};

static int receive(struct fd_input *in, int timeout_ms, struct splitfd_error *err)
{
	int fds[SPLITFD_FDS_MAX];
	size_t n_fds = 0;
	ssize_t got;
	int r = sfd_wait_or_cancel(in->channel, POLLIN, in->base.cancel_fd, timeout_ms);

	if (r == -ECANCELED)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, ECANCELED, "interrupted");
	if (r == 0)
		return splitfd_error_set(err, SPLITFD_ERROR_PEER, ETIMEDOUT,
			"the peer on the socket was silent for %d ms", timeout_ms);
	got = splitfd_fds_receive(
		in->channel, in->buffer, sizeof(in->buffer), fds, SPLITFD_FDS_MAX, &n_fds, 0, err);
	if (got < 0)
		return (int)got;
	if (n_fds > QUEUE_MAX - in->n_queued) {
		for (size_t i = 0; i < n_fds; i++)
			sfd_close(fds[i]);
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"descriptors arrive long before the bytes that refer to them");
	}
	memcpy(in->queue + in->n_queued, fds, n_fds * sizeof(int));
	in->n_queued += n_fds;
	return (int)got;
}

/* One message of the channel, which has to bring descriptors. */
static int receive_batch(struct fd_input *in, uint64_t index, struct splitfd_error *err)
{
	int r = receive(in, in->timeout_ms, err);

	if (r < 0)
		return r;
	if (r == 0)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADF,
			"descriptor %llu is referred to, but the channel of the descriptors was "
			"closed before it came",
			(unsigned long long)index);
	if (in->n_queued == 0)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"a message on the channel of the descriptors brought none");
	return 0;
}

static int fd_input_get_fd(
	struct splitfd_input *base, uint64_t index, int *ret_fd, struct splitfd_error *err)
{
	struct fd_input *in = (struct fd_input *)base;
	int r;

	if (index != in->next)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"descriptor %llu is referred to where %llu has to come (%s)",
			(unsigned long long)index, (unsigned long long)in->next,
			index < in->next ? "it was used before" : "one was skipped");
	if (in->n_queued == 0 && in->stream == NULL)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADF,
			"descriptor %llu is referred to, but it did not come with the bytes so far",
			(unsigned long long)index);
	if (in->n_queued == 0) {
		r = receive_batch(in, index, err);
		if (r < 0)
			return r;
	}
	*ret_fd = in->queue[0];
	in->n_queued--;
	memmove(in->queue, in->queue + 1, in->n_queued * sizeof(int));
	in->next++;
	return 0;
}

static ssize_t channel_read(
	struct splitfd_input *base, void *buffer, size_t n, struct splitfd_error *err)
{
	struct fd_input *in = (struct fd_input *)base;

	in->stream->cancel_fd = base->cancel_fd;
	return in->stream->ops->read(in->stream, buffer, n, err);
}

static ssize_t attached_read(
	struct splitfd_input *base, void *buffer, size_t n, struct splitfd_error *err)
{
	struct fd_input *in = (struct fd_input *)base;

	if (in->start == in->end) {
		int got = receive(in, in->timeout_ms, err);

		if (got <= 0)
			return got;
		in->start = 0;
		in->end = (size_t)got;
	}
	if (n > in->end - in->start)
		n = in->end - in->start;
	memcpy(buffer, in->buffer + in->start, n);
	in->start += n;
	return (ssize_t)n;
}

/* What was sent has been sent before the stream's last byte, so it is here already: no waiting for
 * a channel that someone else may hold open. */
static int fd_input_end(struct splitfd_input *base, struct splitfd_error *err)
{
	struct fd_input *in = (struct fd_input *)base;
	int r = 0;

	if (in->n_queued == 0 && in->stream != NULL)
		r = sfd_wait_fd(in->channel, POLLIN, 0);
	if (r > 0)
		r = receive(in, 0, err);
	if (in->n_queued > 0)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"the stream ended, but %zu more descriptors came than it refers to",
			in->n_queued);
	return r < 0 ? r : 0;
}

static void fd_input_free(struct splitfd_input *base)
{
	struct fd_input *in = (struct fd_input *)base;

	for (size_t i = 0; i < in->n_queued; i++)
		sfd_close(in->queue[i]);
	splitfd_input_free(in->stream);
	sfd_close(in->channel);
	free(in);
}

static int fd_input_new(
	int channel, int timeout_ms, struct fd_input **ret, struct splitfd_error *err)
{
	struct fd_input *in;
	int r = splitfd_fds_check_socket(channel, "the descriptors' channel", NULL, err);

	in = r < 0 ? NULL : calloc(1, sizeof(*in));
	if (in == NULL) {
		sfd_close(channel);
		return r < 0 ? r : splitfd_error_oom(err);
	}
	in->channel = channel;
	in->timeout_ms = timeout_ms;
	*ret = in;
	return 0;
}

int splitfd_input_channel_new(int stream, int channel, int timeout_ms, struct splitfd_input **ret,
	struct splitfd_error *err)
{
	static const struct splitfd_input_ops ops = {
		.read = channel_read,
		.get_fd = fd_input_get_fd,
		.end = fd_input_end,
		.free = fd_input_free,
	};
	struct fd_input *in = NULL;
	int r = fd_input_new(channel, timeout_ms, &in, err);

	if (r < 0) {
		sfd_close(stream);
		return r;
	}
	in->base.ops = &ops;
	r = splitfd_input_new(stream, NULL, 0, timeout_ms, &in->stream, err);
	if (r < 0) {
		fd_input_free(&in->base);
		return r;
	}
	*ret = &in->base;
	return 0;
}

int splitfd_input_socket_new(
	int socket, int timeout_ms, struct splitfd_input **ret, struct splitfd_error *err)
{
	static const struct splitfd_input_ops ops = {
		.read = attached_read,
		.get_fd = fd_input_get_fd,
		.end = fd_input_end,
		.free = fd_input_free,
	};
	struct fd_input *in = NULL;
	int r = fd_input_new(socket, timeout_ms, &in, err);

	if (r < 0)
		return r;
	in->base.ops = &ops;
	*ret = &in->base;
	return 0;
}
