/* SPDX-License-Identifier: Apache-2.0 */
/* The answer to GetSplitFDStream as an input of the splitfdstream reader (jsonrpc.h). */
#include "splitfdstream/base/cleanup.h"
#include "transport/rpc/jsonrpc-private.h"

#include <unistd.h>

struct jsonrpc_input {
	struct splitfd_input base;
	struct sfd_jsonrpc *connection;
	int stream;
	uint64_t offset, size;
	uint64_t next, n; /* descriptors that the stream refers to */
};

/* By offset: where the file's position is, is the sender's business. */
static ssize_t input_read(
	struct splitfd_input *base, void *buffer, size_t n, struct splitfd_error *err)
{
	struct jsonrpc_input *in = (struct jsonrpc_input *)base;
	ssize_t got;

	if (n > in->size - in->offset)
		n = (size_t)(in->size - in->offset);
	if (n == 0)
		return 0;
	do {
		got = pread(in->stream, buffer, n, (off_t)in->offset);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return splitfd_error_sys(err, errno, "cannot read the stream's file");
	if (got == 0)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"the stream's file became shorter while it was read");
	in->offset += (uint64_t)got;
	return got;
}

static int input_get_fd(
	struct splitfd_input *base, uint64_t index, int *ret_fd, struct splitfd_error *err)
{
	struct jsonrpc_input *in = (struct jsonrpc_input *)base;
	int r;

	if (index >= in->n)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADF,
			"descriptor %llu is referred to, the answer has %llu",
			(unsigned long long)index, (unsigned long long)in->n);
	if (index != in->next)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"descriptor %llu is referred to where %llu has to come",
			(unsigned long long)index, (unsigned long long)in->next);
	r = sfd_jsonrpc_take_fd(in->connection, ret_fd, err);
	if (r >= 0)
		in->next++;
	return r;
}

static int input_end(struct splitfd_input *base, struct splitfd_error *err)
{
	struct jsonrpc_input *in = (struct jsonrpc_input *)base;

	if (in->next < in->n)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"the answer has %llu descriptors, its stream refers to %llu",
			(unsigned long long)in->n, (unsigned long long)in->next);
	return 0;
}

static void input_free(struct splitfd_input *base)
{
	struct jsonrpc_input *in = (struct jsonrpc_input *)base;

	sfd_close(in->stream);
	free(in);
}

int sfd_jsonrpc_input_new(struct sfd_jsonrpc *c, uint64_t n_fds, uint64_t stream_size,
	struct splitfd_input **ret, struct splitfd_error *err)
{
	static const struct splitfd_input_ops ops = {
		.read = input_read,
		.get_fd = input_get_fd,
		.end = input_end,
		.free = input_free,
	};
	sfd_cleanup_fd int stream = -EBADF;
	struct jsonrpc_input *in;
	int r;

	if (n_fds == 0)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"the answer has no descriptor with the stream");
	r = sfd_jsonrpc_take_fd(c, &stream, err);
	if (r == 0)
		r = sfd_check_regular(stream, stream_size, "the stream's file", NULL, err);
	if (r < 0)
		return r;
	in = calloc(1, sizeof(*in));
	if (in == NULL)
		return splitfd_error_oom(err);
	*in = (struct jsonrpc_input){
		.base.ops = &ops,
		.connection = c,
		.stream = sfd_take_fd(&stream),
		.size = stream_size,
		.n = n_fds - 1,
	};
	*ret = &in->base;
	return 0;
}
