/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/copy/pull-artifact.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "transport/composefs/import/import.h"
#include "transport/composefs/object-writer.h"
#include "transport/composefs/repository-private.h"
#include "transport/composefs/stream/splitstream.h"
#include "transport/skopeo/blob-relay.h"

#include <stdio.h>

#define BUFFER_SIZE ((size_t)128 * 1024)

SFD_DEFINE_CLEANUP(cleanup_object, struct sfd_object_writer, sfd_object_writer_free);
SFD_DEFINE_CLEANUP(cleanup_writer, struct sfd_splitstream_writer, sfd_splitstream_writer_free);

/* The pipe's bytes into the object, to their end. */
static int copy_bytes(int fd, struct sfd_object_writer *object, struct splitfd_error *err)
{
	sfd_cleanup_free uint8_t *buffer = malloc(BUFFER_SIZE);
	ssize_t n;
	int r = 0;

	if (buffer == NULL)
		return splitfd_error_oom(err);
	while (r == 0 && (n = sfd_read_some(fd, buffer, BUFFER_SIZE)) != 0)
		r = n < 0 ? splitfd_error_sys(err, (int)-n, "cannot read the blob's pipe")
			  : sfd_object_writer_add(object, buffer, (size_t)n, err);
	return r;
}

/* The blob as an object, once it is known to have its digest and size. */
static int fetch(struct sfd_pull *pull, struct sfd_remote_image *image, size_t i, int stall_ms,
	struct splitfd_digest *ret, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_object) struct sfd_object_writer *object = NULL;
	struct sfd_blob_relay *relay = NULL;
	sfd_cleanup_fd int fd = -EBADF;
	enum sfd_object_how how;
	int r = sfd_object_writer_new(sfd_pull_repository(pull), &object, err);

	if (r == 0)
		r = sfd_blob_relay_start(image, i, stall_ms, &relay, &fd, err);
	if (r == 0)
		r = copy_bytes(fd, object, err);
	fd = sfd_close(fd);
	if (r == 0)
		r = sfd_blob_relay_finish(relay, err);
	else if (relay != NULL)
		sfd_blob_relay_abandon(relay);
	sfd_blob_relay_free(relay);
	if (r == 0)
		r = sfd_object_writer_finish(object, ret, &how, err);
	if (r == 0)
		sfd_import_count_object(sfd_pull_import(pull), how, image->layers[i].size);
	return r;
}

/* The stream that names the object, under the blob's digest. */
static int put_stream(struct sfd_pull *pull, const char *name, const struct splitfd_digest *object,
	uint64_t size, struct splitfd_error *err)
{
	struct splitfd_repository *repository = sfd_pull_repository(pull);
	sfd_cleanup(cleanup_writer) struct sfd_splitstream_writer *w = NULL;
	sfd_cleanup_free char *file = NULL;
	struct splitfd_digest stream;
	enum sfd_object_how how;
	size_t file_size = 0;
	int r = sfd_splitstream_writer_new(
		splitfd_repository_algorithm(repository), SFD_STREAM_BLOB, repository->fd, &w, err);

	if (r == 0)
		r = sfd_splitstream_object(w, object, size, err);
	if (r == 0)
		r = sfd_splitstream_finish(w, &file, &file_size, err);
	if (r == 0)
		r = sfd_object_put_bytes(repository, file, file_size, &stream, &how, err);
	if (r == 0)
		r = sfd_names_add_object(sfd_import_names(sfd_pull_import(pull)), name, &stream,
			SFD_NAME_ADOPT, err);
	return r < 0 ? r : 0;
}

static int pull_blob(struct sfd_pull *pull, struct sfd_remote_image *image, size_t i, int stall_ms,
	struct splitfd_error *err)
{
	const struct sfd_remote_layer *layer = &image->layers[i];
	struct splitfd_digest digest;
	char name[18 + 72];
	int r;

	(void)snprintf(name, sizeof(name), "streams/oci-layer-%.71s", layer->digest);
	if (sfd_names_find(sfd_import_names(sfd_pull_import(pull)), name) >= 0)
		return 0;
	r = splitfd_repository_has_layer(sfd_pull_repository(pull), layer->digest, &digest, err);
	if (r > 0)
		sfd_import_count_present(sfd_pull_import(pull));
	if (r != 0)
		return r < 0 ? r : 0;
	r = fetch(pull, image, i, stall_ms, &digest, err);
	return r < 0 ? r : put_stream(pull, name, &digest, layer->size, err);
}

int sfd_pull_artifact(struct sfd_pull *pull, struct sfd_remote_image *image, int stall_ms,
	struct splitfd_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < image->n_layers; i++) {
		r = pull_blob(pull, image, i, stall_ms, err);
		if (r < 0)
			return splitfd_error_wrap(err, r, "blob %s", image->layers[i].digest);
	}
	return r;
}
