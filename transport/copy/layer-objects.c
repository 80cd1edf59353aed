/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/copy/layer-objects.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/chunk-cleanup.h"
#include "transport/composefs/import/import.h"
#include "transport/composefs/object-store.h"
#include "transport/composefs/objects-repository.h"
#include "transport/composefs/repository-cleanup.h"

#include <string.h>

/* Stores the layer's files; *ret is the digest of its splitstream. */
static int import(struct splitfd_repository *repository, const char *diff_id,
	struct splitfd_source *source, const volatile int *cancel, struct splitfd_digest *ret,
	struct splitfd_error *err)
{
	const struct splitfd_import_options options = { .verify_diff_id = diff_id != NULL };
	static const char none[] =
		"sha256:"
		"0000000000000000000000000000000000000000000000000000000000000000";
	sfd_cleanup_import struct splitfd_import *import = NULL;
	sfd_cleanup_sink struct splitfd_sink *sink = NULL;
	int r = splitfd_import_new(repository, &options, &import, err);

	/* Nothing gets a name here, so a layer whose diff_id is not known may pass. */
	if (r >= 0)
		r = splitfd_import_layer(import, diff_id != NULL ? diff_id : none, &sink, err);
	if (r >= 0)
		r = splitfd_pump(source, sink, cancel, err);
	if (r >= 0)
		r = splitfd_sink_finish(sink, err);
	if (r >= 0)
		sfd_import_layer_digest(sink, ret);
	return r;
}

/* *ret_fd is the splitstream, open for reading. */
static int store(int objects, enum splitfd_algorithm algorithm, const char *diff_id,
	struct splitfd_source *source, const volatile int *cancel, int *ret_fd, uint64_t *ret_size,
	struct splitfd_error *err)
{
	sfd_cleanup_repository struct splitfd_repository *repository = NULL;
	struct splitfd_digest digest = { 0 };
	int r = sfd_repository_of_objects(objects, algorithm, &repository, err);

	if (r >= 0)
		r = import(repository, diff_id, source, cancel, &digest, err);
	if (r >= 0)
		r = sfd_objects_sync(repository, err);
	return r < 0 ? r : sfd_object_open(repository, &digest, ret_fd, ret_size, err);
}

int sfd_store_layer(int objects, enum splitfd_algorithm algorithm, const char *diff_id,
	struct splitfd_source *source, const volatile int *cancel, splitfd_bytes_fn *bytes,
	void *ctx, struct splitfd_error *err)
{
	struct splitfd_chunk stream = { .fd = -EBADF, .name = "the splitstream" };
	sfd_cleanup_fd int fd = -EBADF;
	int r = store(objects, algorithm, diff_id, source, cancel, &fd, &stream.size, err);

	return r < 0 ? r : splitfd_chunk_read_fd(&stream, fd, bytes, ctx, err);
}
