/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/tree/tree-reread.h"

#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/chunk-content.h"
#include "transport/composefs/object-writer.h"
#include "transport/composefs/repository-private.h"
#include "transport/composefs/stream/splitstream.h"
#include "transport/composefs/tree/tree-layer-private.h"
#include "transport/composefs/verity.h"
#include "transport/tar/tar-parser.h"
#include "transport/tar/tar-sparse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PIECE ((size_t)64 * 1024)
/* A few bytes of a tar can stand for any size; larger files are not made. */
#define SPARSE_MAX ((uint64_t)64 * 1024 * 1024 * 1024)

SFD_DEFINE_CLEANUP(cleanup_reread_source, struct splitfd_source, splitfd_source_free);
SFD_DEFINE_CLEANUP(cleanup_reread_layer, struct sfd_tree_layer, sfd_tree_layer_free);

struct rereading {
	const struct sfd_reread *how;
	struct sfd_tree_layer *layer;
	struct splitfd_source *source;
	struct splitfd_chunk chunk; /* a FILE chunk that is being read */
	int fd;			    /* its file; -EBADF: none */
	struct sfd_chunk_content reading;
	const uint8_t *at; /* bytes at hand */
	size_t left;

	/* The file that is being made. */
	struct sfd_tree_content *content;
	struct sfd_object_writer *object;
	struct sfd_verity *verity;
	size_t n;
	const struct sfd_tar_entry *inline_entry; /* its content comes from here */
	size_t inline_at;

	uint8_t piece[PIECE];
};

/* 1: there are bytes; 0: the layer has ended. */
static int more(struct rereading *r, struct splitfd_error *err)
{
	while (r->left == 0) {
		ssize_t n;
		int result;

		if (r->fd >= 0) {
			n = sfd_chunk_content_read(&r->reading, r->piece, PIECE, err);
			if (n < 0)
				return (int)n;
			if (n == 0)
				r->fd = sfd_close(r->fd);
			r->at = r->piece;
			r->left = (size_t)n;
			continue;
		}
		r->chunk = (struct splitfd_chunk){ .fd = -EBADF };
		result = splitfd_source_next(r->source, &r->chunk, err);
		if (result <= 0)
			return result;
		if (r->chunk.kind == SPLITFD_CHUNK_INLINE) {
			r->at = r->chunk.data;
			r->left = r->chunk.data_len;
			continue;
		}
		result = splitfd_chunk_open(&r->chunk, &r->fd, NULL, err);
		if (result < 0)
			return result;
		r->reading = (struct sfd_chunk_content){ .chunk = &r->chunk, .fd = r->fd };
	}
	return 1;
}

/* Content of the entry at hand: of the stream, or of the parser's own. */
static int read_content(void *ctx, void *buffer, size_t n, struct splitfd_error *err)
{
	struct rereading *r = ctx;
	uint8_t *to = buffer;

	if (r->inline_entry != NULL) {
		memcpy(to, r->inline_entry->data + r->inline_at, n);
		r->inline_at += n;
		return 0;
	}
	while (n > 0) {
		int result = more(r, err);
		size_t some;

		if (result <= 0)
			return result < 0 ? result
					  : splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EINVAL,
						    "the tar ends inside a file's content");
		some = r->left < n ? r->left : n;
		memcpy(to, r->at, some);
		r->at += some;
		r->left -= some;
		to += some;
		n -= some;
	}
	return 0;
}

static int put_bytes(struct rereading *r, const uint8_t *data, size_t n, struct splitfd_error *err)
{
	int result;

	if (!r->content->external) {
		memcpy(r->content->bytes + r->n, data, n);
		r->n += n;
		return 0;
	}
	if (r->object != NULL)
		return sfd_object_writer_add(r->object, data, n, err);
	result = sfd_verity_update(r->verity, data, n);
	return result < 0 ? splitfd_error_sys(err, -result, "cannot hash a file") : 0;
}

static int write_content(void *ctx, const void *data, uint64_t n, struct splitfd_error *err)
{
	static const uint8_t zeros[4096];
	int result = 0;

	if (data != NULL)
		return put_bytes(ctx, data, (size_t)n, err);
	while (result == 0 && n > 0) {
		size_t some = n < sizeof(zeros) ? (size_t)n : sizeof(zeros);

		result = put_bytes(ctx, zeros, some, err);
		n -= some;
	}
	return result;
}

static int begin_file(struct rereading *r, struct splitfd_error *err)
{
	if (!r->content->external)
		return 0;
	if (r->how->objects != NULL)
		return sfd_object_writer_new(r->how->repository, &r->object, err);
	if (r->verity == NULL)
		r->verity = sfd_verity_new(splitfd_repository_algorithm(r->how->repository));
	if (r->verity == NULL)
		return splitfd_error_oom(err);
	sfd_verity_begin(r->verity);
	return 0;
}

static int end_file(struct rereading *r, struct splitfd_error *err)
{
	enum sfd_object_how how;
	ptrdiff_t added;
	int result;

	if (!r->content->external)
		return 0;
	if (r->object == NULL) {
		result = sfd_verity_final(r->verity, &r->content->digest);
		return result < 0 ? splitfd_error_sys(err, -result, "cannot hash a file") : 0;
	}
	result = sfd_object_writer_finish(r->object, &r->content->digest, &how, err);
	if (result < 0)
		return result;
	added = sfd_digest_table_add(r->how->objects, &r->content->digest, NULL);
	return added < 0 ? splitfd_error_sys(err, (int)-added, "cannot keep the image's objects")
			 : 0;
}

/* Makes the file of an entry. */
static int make_file(struct rereading *r, const struct sfd_tar_entry *e,
	struct sfd_tree_content *ret, struct splitfd_error *err)
{
	const struct sfd_tar_expansion x = { read_content, write_content, r };
	int result;

	if (e->sparse != SFD_TAR_DENSE && e->size > SPARSE_MAX)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EOPNOTSUPP,
			"a sparse file of more than 64 GiB");
	*ret = (struct sfd_tree_content){ .size = e->size,
		.external = e->size > SFD_TAR_INLINE_MAX };
	r->content = ret;
	r->n = 0;
	result = begin_file(r, err);
	if (result == 0)
		result = sfd_tar_sparse_expand(e, &x, err);
	if (result == 0)
		result = end_file(r, err);
	r->object = sfd_object_writer_free(r->object);
	return result;
}

static int make_inline(struct sfd_tree_layer *layer, const struct sfd_tar_entry *e,
	struct sfd_tree_content *ret, struct splitfd_error *err)
{
	struct rereading *r = layer->make_ctx;
	int result;

	r->inline_entry = e;
	r->inline_at = 0;
	result = make_file(r, e, ret, err);
	r->inline_entry = NULL;
	return result;
}

static int read_object(struct rereading *r, struct splitfd_error *err)
{
	const struct sfd_tar_entry *e = sfd_tar_parser_at_object(r->layer->parser);
	struct sfd_tree_content content;
	int result = make_file(r, e, &content, err);

	if (result < 0)
		return splitfd_error_wrap(
			err, result, "%.*s", (int)(e->path_len < 512 ? e->path_len : 512), e->path);
	r->layer->content = &content;
	result = sfd_tar_parser_object(r->layer->parser, UINT64_MAX, err);
	r->layer->content = NULL;
	return result;
}

static int read_all(struct rereading *r, struct splitfd_error *err)
{
	int result;

	while ((result = more(r, err)) > 0) {
		uint64_t object = 0;
		size_t taken = 0;

		result = sfd_tar_parser_feed_to_object(
			r->layer->parser, r->at, r->left, &taken, &object, err);
		if (result < 0)
			return result;
		r->at += taken;
		r->left -= taken;
		if (object > 0)
			result = read_object(r, err);
		if (result < 0)
			return result;
	}
	return result == 0 ? sfd_tar_parser_finish(r->layer->parser, err) : result;
}

int sfd_tree_layer_reread(const struct sfd_reread *how, const struct splitfd_digest *stream,
	const char *diff_id, struct sfd_tree_layer **ret, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_reread_layer) struct sfd_tree_layer *layer = NULL;
	sfd_cleanup(cleanup_reread_source) struct splitfd_source *source = NULL;
	sfd_cleanup_free struct rereading *r = calloc(1, sizeof(*r));
	int result;

	if (r == NULL)
		return splitfd_error_oom(err);
	result = sfd_splitstream_source_new(how->repository, stream, &source, err);
	if (result == 0)
		result = sfd_tree_layer_new(splitfd_repository_algorithm(how->repository), diff_id,
			how->xattrs, &layer, err);
	if (result < 0)
		return result;
	r->how = how;
	r->layer = layer;
	r->source = source;
	r->fd = -EBADF;
	layer->make = make_inline;
	layer->make_ctx = r;
	layer->rules = how->rules;
	if (how->rules == SFD_TAR_OF_CFSCTL)
		sfd_tar_parser_as_cfsctl(layer->parser);
	result = read_all(r, err);
	sfd_close(r->fd);
	sfd_verity_free(r->verity);
	if (result == 0 && how->rules == SFD_TAR_OF_PODMAN &&
		sfd_tar_parser_rules(layer->parser) == SFD_TAR_OF_CFSCTL)
		result = splitfd_error_set(
			err, SPLITFD_ERROR_REFUSED, EOPNOTSUPP, "podman does not take this layer");
	if (result < 0)
		return splitfd_error_wrap(err, result, "layer %s", diff_id);
	result = sfd_tree_layer_finish(layer, err);
	if (result == 0)
		*ret = sfd_take_ptr(&layer);
	return result;
}
