/* SPDX-License-Identifier: Apache-2.0 */
/* A layer's exact tar as a chunk source: its tar-split, with the files it names. */
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"
#include "splitfdstream/chunk-cleanup.h"
#include "transport/containers-storage/layer-blob.h"
#include "transport/containers-storage/layer-files.h"
#include "transport/containers-storage/layer.h"
#include "transport/containers-storage/store.h"
#include "transport/containers-storage/tar-split/sparse.h"
#include "transport/containers-storage/tar-split/tar-split.h"
#include "transport/containers-storage/tar-split/toc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct layer_source {
	struct splitfd_source base;
	struct sfd_tar_split *tar_split;
	struct splitfd_files *files;
	int spool_dir;
	char *what;
	struct sfd_toc *toc; /* COMPOSEFS only */
	uint64_t diff_size, total;
	struct sfd_member member; /* headers of the member that comes next */
	size_t padding;		  /* of the member before, at the start of the next segment */
	char name[SPLITFD_NAME_MAX + 1];
	struct splitfd_error failed;
};

static int account(struct layer_source *s, uint64_t n, struct splitfd_error *err)
{
	if (n > s->diff_size - s->total)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EINVAL,
			"%s: the tar-split gives more than the %llu bytes that the layer has",
			s->what, (unsigned long long)s->diff_size);
	s->total += n;
	return 0;
}

static int end(const struct layer_source *s, struct splitfd_error *err)
{
	if (s->diff_size == UINT64_MAX || s->total == s->diff_size)
		return 0;
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EINVAL,
		"%s: the tar-split gives %llu bytes, the layer has %llu", s->what,
		(unsigned long long)s->total, (unsigned long long)s->diff_size);
}

static int segment(struct layer_source *s, const struct sfd_tar_split_entry *entry,
	struct splitfd_chunk *ret, struct splitfd_error *err)
{
	int r;

	if (entry->payload_len == 0)
		return 0;
	r = sfd_member_read(&s->member, entry->payload, entry->payload_len, s->padding, err);
	if (r < 0)
		return splitfd_error_wrap(err, r, "%s: entry %llu of the tar-split", s->what,
			(unsigned long long)entry->number);
	s->padding = 0;
	*ret = (struct splitfd_chunk){
		.kind = SPLITFD_CHUNK_INLINE,
		.data = entry->payload,
		.data_len = entry->payload_len,
		.fd = -EBADF,
	};
	return account(s, entry->payload_len, err) < 0 ? -EINVAL : 1;
}

static int bad_entry(const struct layer_source *s, const struct sfd_tar_split_entry *entry,
	const char *why, struct splitfd_error *err)
{
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EINVAL,
		"%s: entry %llu of the tar-split, \"%.200s\": %s", s->what,
		(unsigned long long)entry->number, entry->name, why);
}

static uint64_t big_endian(const uint8_t *bytes)
{
	uint64_t value = 0;

	for (size_t i = 0; i < 8; i++)
		value = value << 8 | bytes[i];
	return value;
}

/* Links, devices, directories and FIFOs may claim a size, but the tar has no content for them. A
 * name with a slash at its end is a directory in an old tar, where it has the type of a file. */
static bool is_header_only(const struct layer_source *s, const struct sfd_tar_split_entry *entry)
{
	bool directory = entry->name_len > 0 && entry->name[entry->name_len - 1] == '/';

	return ((s->member.type >= '1' && s->member.type <= '6') ||
		       (s->member.type == '0' && directory)) &&
	       big_endian(entry->payload) == 0;
}

/* The chunk's name: where the content is below the layer's directories. */
static int set_name(struct layer_source *s, const struct sfd_tar_split_entry *entry,
	struct splitfd_chunk *chunk, struct splitfd_error *err)
{
	char path[SFD_TOC_PATH_SIZE];
	int len = sfd_layer_clean_name(entry->name, entry->name_len, s->name);

	if (len < 0)
		return bad_entry(s, entry, "not a name that a file can have", err);
	if (s->toc != NULL) {
		if (sfd_toc_find(s->toc, s->name, path) < 0)
			return bad_entry(s, entry,
				"not in the layer's table of contents, by which its files are "
				"stored",
				err);
		memcpy(s->name, path, sizeof(path));
		len = SFD_TOC_PATH_SIZE - 1;
	}
	chunk->name = s->name;
	chunk->name_len = (size_t)len;
	return 0;
}

/* The stored file as the tar had it. */
static int pack(struct layer_source *s, struct splitfd_chunk *chunk, struct splitfd_error *err)
{
	int r;

	if (s->member.form == SFD_SPARSE_NONE)
		return 0;
	r = sfd_sparse_pack(&s->member, s->spool_dir, chunk, err);
	return r < 0 ? splitfd_error_wrap(err, r, "%s", s->what) : 0;
}

static int file(struct layer_source *s, const struct sfd_tar_split_entry *entry,
	struct splitfd_chunk *ret, struct splitfd_error *err)
{
	struct splitfd_chunk chunk = { .kind = SPLITFD_CHUNK_FILE, .fd = -EBADF };
	int r;

	s->padding = 0;
	if (s->member.form == SFD_SPARSE_1_0)
		return bad_entry(s, entry,
			"a GNU sparse file of format 1.0, whose map the store does not keep: the "
			"exact layer cannot be had from here, only from where it was pulled",
			err);
	if (entry->size == 0)
		return 0;
	if (entry->payload_len != 8)
		return bad_entry(s, entry, "a file with content, but without its CRC-64", err);
	if (is_header_only(s, entry))
		return 0;
	chunk.size = entry->size;
	chunk.files = s->files;
	chunk.has_crc64 = true;
	chunk.crc64 = big_endian(entry->payload);
	r = set_name(s, entry, &chunk, err);
	if (r >= 0)
		r = pack(s, &chunk, err);
	if (r >= 0)
		r = account(s, chunk.size, err);
	if (r < 0 || chunk.size == 0) {
		splitfd_chunk_clear(&chunk);
		return r;
	}
	s->padding = (size_t)(-chunk.size & 511);
	*ret = chunk;
	return 1;
}

/* One entry. 1: a chunk came of it. */
static int entry_chunk(struct layer_source *s, const struct sfd_tar_split_entry *entry,
	struct splitfd_chunk *ret, struct splitfd_error *err)
{
	int r;

	if (entry->type == SFD_TAR_SPLIT_SEGMENT)
		return segment(s, entry, ret, err);
	r = file(s, entry, ret, err);
	/* The headers that were seen are this member's, not the next one's. */
	s->member.type = 0;
	s->member.form = SFD_SPARSE_NONE;
	return r;
}

static int next(struct layer_source *s, struct splitfd_chunk *ret, struct splitfd_error *err)
{
	struct sfd_tar_split_entry entry;

	for (;;) {
		int r = sfd_tar_split_next(s->tar_split, &entry, err);

		if (r < 0)
			return r;
		if (r == 0)
			return end(s, err);
		r = entry_chunk(s, &entry, ret, err);
		if (r != 0)
			return r;
	}
}

static int source_next(
	struct splitfd_source *base, struct splitfd_chunk *ret, struct splitfd_error *err)
{
	struct layer_source *s = (struct layer_source *)base;

	if (s->failed.errnum == 0) {
		int r = next(s, ret, &s->failed);

		if (r >= 0)
			return r;
	}
	return splitfd_error_copy(err, -s->failed.errnum, &s->failed);
}

static void source_free(struct splitfd_source *base)
{
	struct layer_source *s = (struct layer_source *)base;

	sfd_tar_split_free(s->tar_split);
	splitfd_files_unref(s->files);
	sfd_close(s->spool_dir);
	sfd_toc_free(s->toc);
	sfd_member_done(&s->member);
	free(s->what);
	free(s);
}

static struct splitfd_files *source_files(struct splitfd_source *base)
{
	return ((struct layer_source *)base)->files;
}

static const struct splitfd_source_ops source_ops = { source_next, source_free, source_files };

void sfd_layer_desc_done(struct sfd_layer_desc *desc)
{
	desc->tar_split_fd = sfd_close(desc->tar_split_fd);
	desc->spool_dir = sfd_close(desc->spool_dir);
	for (size_t i = 0; i < desc->n_dirs && i < SFD_LAYER_DIRS_MAX; i++)
		desc->dirs[i] = sfd_close(desc->dirs[i]);
	desc->n_dirs = 0;
	if (desc->lowers != NULL)
		desc->lowers->free(desc->lowers);
	desc->lowers = NULL;
	desc->opener = sfd_opener_unref(desc->opener);
	desc->store = splitfd_store_close(desc->store);
	free(desc->toc);
	desc->toc = NULL;
}

static int fill(struct layer_source *s, struct sfd_layer_desc *desc, struct splitfd_error *err)
{
	sfd_cleanup_free char *tar_split = NULL;
	int r;

	s->what = sfd_asprintf("layer %.12s (%s)", desc->layer_id,
		desc->diff_id != NULL ? desc->diff_id : "no diff_id");
	if (s->what == NULL)
		return splitfd_error_oom(err);
	if (desc->n_dirs == 0 || desc->n_dirs > SFD_LAYER_DIRS_MAX)
		return splitfd_error_set(
			err, SPLITFD_ERROR_FAILED, EINVAL, "%s: no directory", s->what);
	s->diff_size = desc->diff_size;
	s->spool_dir = sfd_take_fd(&desc->spool_dir);
	if (desc->layout == SFD_LAYER_COMPOSEFS) {
		r = sfd_toc_new(desc->toc, desc->toc_size, s->what, &s->toc, err);
		if (r < 0)
			return r;
	}
	r = sfd_layer_files_new(desc, s->what, &s->files, err);
	if (r < 0)
		return r;
	tar_split = sfd_asprintf("tar-split of %s", s->what);
	if (tar_split == NULL)
		return splitfd_error_oom(err);
	return sfd_tar_split_new(sfd_take_fd(&desc->tar_split_fd), tar_split, &s->tar_split, err);
}

static int from_files(
	struct sfd_layer_desc *desc, struct splitfd_source **ret, struct splitfd_error *err)
{
	struct layer_source *s = calloc(1, sizeof(*s));
	sfd_cleanup_source struct splitfd_source *owned = NULL;
	int r;

	if (s == NULL)
		return splitfd_error_oom(err);
	s->base.ops = &source_ops;
	s->spool_dir = -EBADF;
	owned = &s->base;
	r = fill(s, desc, err);
	if (r < 0)
		return r;
	*ret = sfd_take_ptr(&owned);
	return 0;
}

int sfd_layer_source_new(
	struct sfd_layer_desc *desc, struct splitfd_source **ret, struct splitfd_error *err)
{
	int r = desc->layout == SFD_LAYER_BLOB ? sfd_layer_blob_source(desc, ret, err)
					       : from_files(desc, ret, err);

	sfd_layer_desc_done(desc);
	return r;
}
