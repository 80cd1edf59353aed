/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/copy/pull-varlink-layer.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/splitdirfdstream-reader.h"
#include "transport/rpc/peer-opener.h"
#include "transport/tar/tar-source.h"

/* What the importer takes in memory as well as in a file. */
#define CONTENT_IN_MEMORY ((size_t)64 * 1024)

/* The reader's chunks, with every file open. */
struct held_source {
	struct splitfd_source base;
	struct splitfd_source *inner;
	struct sfd_oci_layer layer; /* what is left of its descriptors */
};

static int held_next(
	struct splitfd_source *source, struct splitfd_chunk *ret, struct splitfd_error *err)
{
	struct held_source *s = (struct held_source *)source;
	int fd = -EBADF, r = splitfd_source_next(s->inner, ret, err);

	if (r <= 0 || ret->kind != SPLITFD_CHUNK_FILE || ret->fd >= 0)
		return r;
	r = splitfd_chunk_open(ret, &fd, NULL, err);
	if (r < 0)
		return r;
	ret->fd = fd;
	return 1;
}

static void held_free(struct splitfd_source *source)
{
	struct held_source *s = (struct held_source *)source;

	splitfd_source_free(s->inner);
	sfd_oci_layer_done(&s->layer);
	free(s);
}

/* The stream and the directories go to the reader. */
static int read_layer(struct sfd_oci_layer *layer, const struct sfd_pull_service *service,
	int spool_dir, struct splitfd_source **ret, struct splitfd_error *err)
{
	const struct splitfd_splitdirfdstream_reader_options options = { .spool_dir = spool_dir,
		.files_new = service->opener != NULL ? sfd_peer_opener_files : NULL,
		.files_ctx = service->opener };
	struct splitfd_input *input = NULL;
	int r = splitfd_input_new(
		layer->fds[0], layer->fds + 1, layer->n_dirs, service->timeout_ms, &input, err);

	for (size_t i = 0; i < 1 + layer->n_dirs; i++)
		layer->fds[i] = -EBADF;
	if (r < 0)
		return r;
	input->cancel_fd = service->cancel_fd;
	return splitfd_splitdirfdstream_reader_new(input, &options, ret, err);
}

int sfd_pull_varlink_layer(const struct sfd_pull_service *service, const char *diff_id,
	int spool_dir, struct splitfd_source **ret, struct splitfd_error *err)
{
	static const struct splitfd_source_ops ops = { .next = held_next, .free = held_free };
	const struct sfd_tar_source_options cut = { .inline_content_max = CONTENT_IN_MEMORY,
		.spool_dir = spool_dir };
	struct held_source *s = calloc(1, sizeof(*s));
	int r;

	if (s == NULL)
		return splitfd_error_oom(err);
	s->base.ops = &ops;
	r = sfd_oci_call_get_layer(
		service->connection, service->handle, diff_id, service->reads_all, &s->layer, err);
	if (r == 0)
		r = read_layer(&s->layer, service, spool_dir, &s->inner, err);
	if (r < 0) {
		held_free(&s->base);
		return r;
	}
	return sfd_tar_source_new(&s->base, &cut, ret, err);
}
