/* SPDX-License-Identifier: Apache-2.0 */
/* A layer as the answer to GetSplitFDStream (serve-jsonrpc.h). */
#include "shim/jsonrpc/serve-jsonrpc.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/base/unnamed-file.h"
#include "splitfdstream/chunk-cleanup.h"
#include "splitfdstream/splitfdstream-writer.h"
#include "transport/tar/tar-entry.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>

/* Files that are open at a time. The client may live under as low a limit. */
#define BATCH	  32
#define BATCH_LOW 8

void sfd_jsonrpc_layer_done(struct sfd_jsonrpc_layer *layer)
{
	layer->stream = sfd_close(layer->stream);
}

/* The splitfdstream writer's output: bytes into a file, descriptors only counted. */
struct counter {
	struct splitfd_output base;
	int fd;
	struct sfd_jsonrpc_layer *layer;
};

static int counter_write(struct splitfd_output *output, const void *data, size_t n, const int *fds,
	size_t n_fds, struct splitfd_error *err)
{
	struct counter *c = (struct counter *)output;
	int r = sfd_write_all(c->fd, data, n);

	(void)fds;
	if (r < 0)
		return splitfd_error_sys(err, -r,
			"the stream cannot be kept in a file (TMPDIR chooses another place)");
	c->layer->size += n;
	c->layer->n_files += n_fds;
	return 0;
}

static void counter_free(struct splitfd_output *output)
{
	free(output);
}

static int counter_new(int fd, struct sfd_jsonrpc_layer *layer, struct splitfd_output **ret,
	struct splitfd_error *err)
{
	static const struct splitfd_output_ops ops = {
		.write = counter_write,
		.free = counter_free,
	};
	struct counter *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return splitfd_error_oom(err);
	*c = (struct counter){
		.base = { .ops = &ops, .fd_batch = BATCH_LOW }, .fd = fd, .layer = layer
	};
	*ret = &c->base;
	return 0;
}

static int open_spool(struct splitfd_error *err)
{
	sfd_cleanup_fd int dir = sfd_unnamed_dir();
	int fd = sfd_unnamed_file(dir);

	if (fd < 0)
		fd = sfd_unnamed_file(-EBADF);
	return fd >= 0 ? fd : splitfd_error_sys(err, -fd, "cannot make a file for the stream");
}

int sfd_jsonrpc_layer_make(struct splitfd_source *source, const volatile int *cancel,
	struct sfd_jsonrpc_layer *ret, struct splitfd_error *err)
{
	/* As composefs wants them in its own: what is larger and not a descriptor would not become
	 * an object at the other side. */
	const struct splitfd_splitfdstream_writer_options options = {
		.inline_max = SFD_TAR_INLINE_MAX,
	};
	sfd_cleanup_sink struct splitfd_sink *sink = NULL;
	sfd_cleanup_fd int fd = open_spool(err);
	struct splitfd_output *output = NULL;
	int r;

	*ret = (struct sfd_jsonrpc_layer){ .stream = -EBADF };
	if (fd < 0)
		return fd;
	r = counter_new(fd, ret, &output, err);
	if (r == 0)
		r = splitfd_splitfdstream_writer_new(output, &options, &sink, err);
	if (r == 0)
		r = splitfd_pump(source, sink, cancel, err);
	if (r == 0)
		r = splitfd_sink_finish(sink, err);
	if (r < 0)
		return r;
	/* The client gets no right to change what others may still read. */
	ret->stream = sfd_reopen(fd, O_RDONLY);
	return ret->stream >= 0 ? 0
				: splitfd_error_sys(err, -ret->stream, "cannot reopen the stream");
}

struct batch {
	struct splitfd_sink base;
	struct sfd_jsonrpc *c;
	uint64_t left; /* descriptors that were announced and not queued yet */
	size_t n, max;
	int fds[BATCH];
};

static int flush(struct batch *b, struct splitfd_error *err)
{
	int r = sfd_jsonrpc_send_fds(b->c, b->fds, b->n, err);

	for (size_t i = 0; i < b->n; i++)
		sfd_close(b->fds[i]);
	b->n = 0;
	return r;
}

static int changed(struct splitfd_error *err)
{
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
		"the layer changed in the store while it was sent");
}

/* Takes fd. */
static int queue(struct batch *b, int fd, struct splitfd_error *err)
{
	if (b->left == 0) {
		sfd_close(fd);
		return changed(err);
	}
	b->left--;
	b->fds[b->n++] = fd;
	return b->n == b->max ? flush(b, err) : 0;
}

/* The files that the stream refers to. */
static int batch_put(
	struct splitfd_sink *base, struct splitfd_chunk *chunk, struct splitfd_error *err)
{
	bool wanted = chunk->kind == SPLITFD_CHUNK_FILE && chunk->size > SFD_TAR_INLINE_MAX;
	int fd = -EBADF, r = wanted ? splitfd_chunk_open(chunk, &fd, NULL, err) : 0;

	splitfd_chunk_clear(chunk);
	return r >= 0 && wanted ? queue((struct batch *)base, fd, err) : r;
}

static int batch_finish(struct splitfd_sink *base, struct splitfd_error *err)
{
	return flush((struct batch *)base, err);
}

static const struct splitfd_sink_ops batch_ops = { .put = batch_put, .finish = batch_finish };

int sfd_jsonrpc_layer_send(const struct sfd_jsonrpc_layer *layer, struct splitfd_source *source,
	const volatile int *cancel, struct sfd_jsonrpc *c, struct splitfd_error *err)
{
	struct batch b = { .base.ops = &batch_ops, .c = c, .left = layer->n_files, .max = BATCH };
	struct rlimit limit;
	int r;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur < 256)
		b.max = BATCH_LOW;
	r = sfd_jsonrpc_send_fds(c, &layer->stream, 1, err);
	if (r == 0)
		r = splitfd_pump(source, &b.base, cancel, err);
	if (r == 0)
		r = splitfd_sink_finish(&b.base, err);
	for (size_t i = 0; i < b.n; i++)
		sfd_close(b.fds[i]);
	return r == 0 && b.left > 0 ? changed(err) : r;
}
