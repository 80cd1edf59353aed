/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/reconstruct.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/fd.h"
#include "splitfdstream/chunk-content.h"

#include <errno.h>
#include <stdlib.h>

#define PIECE ((size_t)64 * 1024)

int splitfd_chunk_read_fd(const struct splitfd_chunk *chunk, int fd, splitfd_bytes_fn *bytes,
	void *ctx, struct splitfd_error *err)
{
	struct sfd_chunk_content content = { .chunk = chunk, .fd = fd };
	sfd_cleanup_free uint8_t *buffer = malloc(PIECE);
	ssize_t n;

	if (buffer == NULL)
		return splitfd_error_oom(err);
	while ((n = sfd_chunk_content_read(&content, buffer, PIECE, err)) > 0) {
		int r = bytes(ctx, buffer, (size_t)n, err);

		if (r < 0)
			return r;
	}
	return (int)n;
}

int splitfd_chunk_read(
	struct splitfd_chunk *chunk, splitfd_bytes_fn *bytes, void *ctx, struct splitfd_error *err)
{
	sfd_cleanup_fd int fd = -EBADF;
	int r = splitfd_chunk_open(chunk, &fd, NULL, err);

	return r < 0 ? r : splitfd_chunk_read_fd(chunk, fd, bytes, ctx, err);
}

struct reconstruct {
	struct splitfd_sink base;
	splitfd_bytes_fn *bytes;
	void *ctx;
	int failed;
	struct splitfd_error error;
};

static int reconstruct_put(
	struct splitfd_sink *sink, struct splitfd_chunk *chunk, struct splitfd_error *err)
{
	struct reconstruct *rc = (struct reconstruct *)sink;

	if (rc->failed < 0)
		splitfd_chunk_clear(chunk);
	else if (chunk->kind == SPLITFD_CHUNK_INLINE)
		rc->failed = rc->bytes(rc->ctx, chunk->data, chunk->data_len, &rc->error);
	else
		rc->failed = splitfd_chunk_read(chunk, rc->bytes, rc->ctx, &rc->error);
	return rc->failed < 0 ? splitfd_error_copy(err, rc->failed, &rc->error) : 0;
}

static int reconstruct_finish(struct splitfd_sink *sink, struct splitfd_error *err)
{
	struct reconstruct *rc = (struct reconstruct *)sink;

	return rc->failed < 0 ? splitfd_error_copy(err, rc->failed, &rc->error) : 0;
}

static void reconstruct_free(struct splitfd_sink *sink)
{
	free(sink);
}

int splitfd_reconstruct_sink_new(
	splitfd_bytes_fn *bytes, void *ctx, struct splitfd_sink **ret, struct splitfd_error *err)
{
	static const struct splitfd_sink_ops ops = {
		.put = reconstruct_put,
		.finish = reconstruct_finish,
		.free = reconstruct_free,
	};
	struct reconstruct *rc = calloc(1, sizeof(*rc));

	if (rc == NULL)
		return splitfd_error_oom(err);
	rc->base.ops = &ops;
	rc->bytes = bytes;
	rc->ctx = ctx;
	*ret = &rc->base;
	return 0;
}
