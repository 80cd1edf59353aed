/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/containers-storage/layer-blob.h"

#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"
#include "splitfdstream/base/unnamed-file.h"
#include "splitfdstream/chunk-cleanup.h"
#include "splitfdstream/digest.h"
#include "transport/containers-storage/store-files.h"
#include "transport/tar/tar-source.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Contents up to this size stay in memory on their way. */
#define CONTENT_IN_MEMORY ((size_t)64 * 1024)

/* The tar's bytes on their way to the cutter, counted and hashed. */
struct checked_source {
	struct splitfd_source base;
	struct splitfd_source *inner;
	int spool_dir; /* the cutter borrows it, and frees this source last */
	struct splitfd_sha256 *sha256;
	char *what;
	char diff_id[72]; /* "" where it is not known */
	uint64_t size;	  /* UINT64_MAX: not known */
	uint64_t total;
	int ended; /* 1 once it ended well, or -errno; sticks */
	struct splitfd_error failed;
};

static int check(struct checked_source *s, struct splitfd_error *err)
{
	char digest[72];
	int r = splitfd_sha256_final_text(s->sha256, digest, err);

	if (r < 0)
		return r;
	if (s->size != UINT64_MAX && s->total != s->size)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"%s: the blob of its additional layer store gives %llu bytes, the layer "
			"has %llu",
			s->what, (unsigned long long)s->total, (unsigned long long)s->size);
	if (s->diff_id[0] != '\0' && strcmp(digest, s->diff_id) != 0)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"%s: the blob of its additional layer store is another layer, %s", s->what,
			digest);
	return 1;
}

static int next(struct checked_source *s, struct splitfd_chunk *ret, struct splitfd_error *err)
{
	int r = splitfd_source_next(s->inner, ret, err);

	if (r < 0)
		return splitfd_error_wrap(
			err, r, "%s: blob of its additional layer store", s->what);
	if (r == 0)
		return check(s, err);
	splitfd_sha256_update(s->sha256, ret->data, ret->data_len);
	s->total += ret->data_len;
	return 0;
}

static int checked_next(
	struct splitfd_source *base, struct splitfd_chunk *ret, struct splitfd_error *err)
{
	struct checked_source *s = (struct checked_source *)base;

	if (s->ended == 0)
		s->ended = next(s, ret, &s->failed);
	return s->ended < 0 ? splitfd_error_copy(err, s->ended, &s->failed) : s->ended == 0;
}

static void checked_free(struct splitfd_source *base)
{
	struct checked_source *s = (struct checked_source *)base;

	splitfd_source_free(s->inner);
	splitfd_sha256_free(s->sha256);
	sfd_close(s->spool_dir);
	free(s->what);
	free(s);
}

static int open_inner(
	struct checked_source *s, struct sfd_layer_desc *desc, struct splitfd_error *err)
{
	s->what = sfd_asprintf("layer %.12s (%s)", desc->layer_id,
		desc->diff_id != NULL ? desc->diff_id : "no diff_id");
	s->sha256 = splitfd_sha256_new();
	if (s->what == NULL || s->sha256 == NULL)
		return splitfd_error_oom(err);
	if (desc->diff_id != NULL)
		(void)snprintf(s->diff_id, sizeof(s->diff_id), "%s", desc->diff_id);
	s->size = desc->diff_size;
	return sfd_archive_source_new(sfd_take_fd(&desc->tar_split_fd), -1, 0, &s->inner, err);
}

int sfd_layer_blob_source(
	struct sfd_layer_desc *desc, struct splitfd_source **ret, struct splitfd_error *err)
{
	static const struct splitfd_source_ops ops = { .next = checked_next, .free = checked_free };
	struct checked_source *s = calloc(1, sizeof(*s));
	sfd_cleanup_source struct splitfd_source *owned = NULL;
	int r;

	if (s == NULL)
		return splitfd_error_oom(err);
	s->base.ops = &ops;
	s->spool_dir = sfd_take_fd(&desc->spool_dir);
	if (s->spool_dir < 0)
		s->spool_dir = sfd_unnamed_dir();
	owned = &s->base;
	r = open_inner(s, desc, err);
	if (r < 0)
		return r;
	if (desc->bytes_only) {
		*ret = sfd_take_ptr(&owned);
		return 0;
	}
	return sfd_tar_source_new(sfd_take_ptr(&owned),
		&(struct sfd_tar_source_options){
			.inline_content_max = CONTENT_IN_MEMORY, .spool_dir = s->spool_dir },
		ret, err);
}

int sfd_layer_blob_open(int layer_dir, struct splitfd_error *err)
{
	sfd_cleanup_free char *path = NULL;
	sfd_cleanup_fd int dir = -EBADF;
	size_t n;
	int fd, r = sfd_store_read_file(layer_dir, "additionallayer", PATH_MAX - 1, &path, &n);

	if (r == -ENOENT)
		return r;
	if (r < 0)
		return splitfd_error_sys(err, -r, "its additionallayer cannot be read");
	if (n == 0 || path[0] != '/' || strlen(path) != n)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EINVAL,
			"its additionallayer is not an absolute path");
	dir = sfd_store_open_root(path);
	fd = dir < 0 ? dir : sfd_store_open_file(dir, "blob");
	if (fd == -ENOENT || fd == -ENOTCONN)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, ENOTCONN,
			"its additional layer store has no %s/blob; the program that serves the "
			"store has to run",
			path);
	if (fd == -EINVAL)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EINVAL,
			"%s/blob, of its additional layer store, is not a regular file", path);
	return fd < 0 ? splitfd_error_sys(err, -fd, "%s/blob, of its additional layer store", path)
		      : fd;
}
