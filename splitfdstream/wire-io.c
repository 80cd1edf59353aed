/* SPDX-License-Identifier: Apache-2.0 */
/* The inputs and outputs of wire.h: plain descriptors, and memory. */
#include "splitfdstream/wire.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/fd.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/base/timed-write.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct splitfd_input *splitfd_input_free(struct splitfd_input *input)
{
	if (input != NULL)
		input->ops->free(input);
	return NULL;
}

struct splitfd_output *splitfd_output_free(struct splitfd_output *output)
{
	if (output != NULL)
		output->ops->free(output);
	return NULL;
}

/* A plain descriptor or memory, with an array of descriptors. */
struct plain_input {
	struct splitfd_input base;
	int fd; /* -EBADF: memory */
	const uint8_t *data;
	size_t left;
	int timeout_ms;
	size_t n_fds;
	int fds[];
};

static ssize_t plain_read(
	struct splitfd_input *base, void *buffer, size_t n, struct splitfd_error *err)
{
	struct plain_input *in = (struct plain_input *)base;
	ssize_t got;
	int r = sfd_wait_or_cancel(in->fd, POLLIN, base->cancel_fd, in->timeout_ms);

	if (r == -ECANCELED)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, ECANCELED, "interrupted");
	if (r == 0)
		return splitfd_error_set(err, SPLITFD_ERROR_PEER, ETIMEDOUT,
			"nothing arrived on the stream for %d ms", in->timeout_ms);
	got = r < 0 ? r : sfd_read_some(in->fd, buffer, n);
	if (got < 0)
		return splitfd_error_sys(err, (int)-got, "cannot read the stream");
	return got;
}

static ssize_t memory_read(
	struct splitfd_input *base, void *buffer, size_t n, struct splitfd_error *err)
{
	struct plain_input *in = (struct plain_input *)base;

	(void)err;
	if (n > in->left)
		n = in->left;
	if (n > 0)
		memcpy(buffer, in->data, n);
	in->data += n;
	in->left -= n;
	return (ssize_t)n;
}

static int plain_get_fd(
	struct splitfd_input *base, uint64_t index, int *ret_fd, struct splitfd_error *err)
{
	struct plain_input *in = (struct plain_input *)base;
	int fd;

	if (index >= in->n_fds)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADF,
			"descriptor %llu is referred to, only %zu were passed",
			(unsigned long long)index, in->n_fds);
	fd = fcntl(in->fds[index], F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return splitfd_error_sys(err, errno, "descriptor %llu cannot be duplicated",
			(unsigned long long)index);
	*ret_fd = fd;
	return 0;
}

static void plain_free(struct splitfd_input *base)
{
	struct plain_input *in = (struct plain_input *)base;

	sfd_close(in->fd);
	for (size_t i = 0; i < in->n_fds; i++)
		sfd_close(in->fds[i]);
	free(in);
}

static const struct splitfd_input_ops plain_ops = {
	.read = plain_read,
	.get_fd = plain_get_fd,
	.free = plain_free,
};

static const struct splitfd_input_ops memory_ops = {
	.read = memory_read,
	.get_fd = plain_get_fd,
	.free = plain_free,
};

static struct plain_input *plain_input_alloc(int fd, const int *fds, size_t n_fds)
{
	struct plain_input *in = calloc(1, sizeof(*in) + n_fds * sizeof(int));

	if (in == NULL) {
		sfd_close(fd);
		for (size_t i = 0; i < n_fds; i++)
			sfd_close(fds[i]);
		return NULL;
	}
	in->fd = fd;
	in->n_fds = n_fds;
	if (n_fds > 0)
		memcpy(in->fds, fds, n_fds * sizeof(int));
	return in;
}

int splitfd_input_new(int fd, const int *fds, size_t n_fds, int timeout_ms,
	struct splitfd_input **ret, struct splitfd_error *err)
{
	struct plain_input *in = plain_input_alloc(fd, fds, n_fds);

	if (in == NULL)
		return splitfd_error_oom(err);
	in->base.ops = &plain_ops;
	in->timeout_ms = timeout_ms;
	*ret = &in->base;
	return 0;
}

int splitfd_input_memory_new(const void *data, size_t size, const int *fds, size_t n_fds,
	struct splitfd_input **ret, struct splitfd_error *err)
{
	struct plain_input *in = plain_input_alloc(-EBADF, fds, n_fds);

	if (in == NULL)
		return splitfd_error_oom(err);
	in->base.ops = &memory_ops;
	in->data = data;
	in->left = size;
	*ret = &in->base;
	return 0;
}

struct plain_output {
	struct splitfd_output base;
	int fd;
	struct sfd_timed_write to;
};

static int plain_write(struct splitfd_output *base, const void *data, size_t n, const int *fds,
	size_t n_fds, struct splitfd_error *err)
{
	struct plain_output *out = (struct plain_output *)base;
	int r;

	(void)fds;
	if (n_fds > 0)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, EOPNOTSUPP,
			"no descriptors can be passed along with this output");
	out->to.cancel_fd = base->cancel_fd;
	r = sfd_timed_write(&out->to, data, n);
	if (r == -ECANCELED)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, ECANCELED, "interrupted");
	if (r == -ETIMEDOUT)
		return splitfd_error_set(err, SPLITFD_ERROR_PEER, ETIMEDOUT,
			"the reader of the stream accepted no data for %d ms", out->to.timeout_ms);
	if (r == -EPIPE)
		return splitfd_error_set(
			err, SPLITFD_ERROR_PEER, EPIPE, "the reader of the stream has gone away");
	if (r < 0)
		return splitfd_error_sys(err, -r, "cannot write the stream");
	return 0;
}

static void plain_output_free(struct splitfd_output *base)
{
	struct plain_output *out = (struct plain_output *)base;

	sfd_timed_write_done(&out->to);
	sfd_close(out->fd);
	free(out);
}

static const struct splitfd_output_ops plain_output_ops = {
	.write = plain_write,
	.free = plain_output_free,
};

int splitfd_output_new(
	int fd, int timeout_ms, struct splitfd_output **ret, struct splitfd_error *err)
{
	struct plain_output *out = calloc(1, sizeof(*out));

	if (out == NULL) {
		sfd_close(fd);
		return splitfd_error_oom(err);
	}
	out->base.ops = &plain_output_ops;
	out->fd = fd;
	sfd_timed_write_init(&out->to, fd, timeout_ms);
	*ret = &out->base;
	return 0;
}
