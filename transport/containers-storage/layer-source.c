/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/base/cleanup.h"
#include "transport/containers-storage/layer-files.h"
#include "transport/containers-storage/layer.h"
#include "transport/containers-storage/tar-split.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct layer_source {
	struct splitfd_source base;
	struct sfd_tar_split *tar_split;
	struct splitfd_files *files;
	char *what;
	uint64_t diff_size, total;
	char name[SPLITFD_NAME_MAX + 1];
	struct splitfd_error failed;
};

SFD_DEFINE_CLEANUP(source_cleanup, struct splitfd_source, splitfd_source_free);

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
	if (entry->payload_len == 0)
		return 0;
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

static int file(struct layer_source *s, const struct sfd_tar_split_entry *entry,
	struct splitfd_chunk *ret, struct splitfd_error *err)
{
	int len;

	if (entry->size == 0)
		return 0;
	if (entry->payload_len != 8)
		return bad_entry(s, entry, "a file with content, but without its CRC-64", err);
	len = sfd_layer_clean_name(entry->name, entry->name_len, s->name);
	if (len < 0)
		return bad_entry(s, entry, "not a name that a file can have", err);
	*ret = (struct splitfd_chunk){
		.kind = SPLITFD_CHUNK_FILE,
		.size = entry->size,
		.fd = -EBADF,
		.files = s->files,
		.name = s->name,
		.name_len = (size_t)len,
		.has_crc64 = true,
		.crc64 = big_endian(entry->payload),
	};
	return account(s, entry->size, err) < 0 ? -EINVAL : 1;
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
		if (entry.type == SFD_TAR_SPLIT_SEGMENT)
			r = segment(s, &entry, ret, err);
		else
			r = file(s, &entry, ret, err);
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
	if (err != NULL)
		*err = s->failed;
	return -s->failed.errnum;
}

static void source_free(struct splitfd_source *base)
{
	struct layer_source *s = (struct layer_source *)base;

	sfd_tar_split_free(s->tar_split);
	splitfd_files_unref(s->files);
	free(s->what);
	free(s);
}

static const struct splitfd_source_ops source_ops = { source_next, source_free };

static void desc_done(struct sfd_layer_desc *desc)
{
	desc->tar_split_fd = sfd_close(desc->tar_split_fd);
	for (size_t i = 0; i < desc->n_dirs && i < SFD_LAYER_DIRS_MAX; i++)
		desc->dirs[i] = sfd_close(desc->dirs[i]);
	desc->n_dirs = 0;
	if (desc->lowers != NULL)
		desc->lowers->free(desc->lowers);
	desc->lowers = NULL;
	free(desc->toc);
	desc->toc = NULL;
}

static int fill(struct layer_source *s, struct sfd_layer_desc *desc, struct splitfd_error *err)
{
	int r;

	if (asprintf(&s->what, "layer %.12s (%s)", desc->layer_id,
		    desc->diff_id != NULL ? desc->diff_id : "no diff_id") < 0) {
		s->what = NULL;
		return splitfd_error_oom(err);
	}
	if (desc->n_dirs == 0 || desc->n_dirs > SFD_LAYER_DIRS_MAX)
		return splitfd_error_set(
			err, SPLITFD_ERROR_FAILED, EINVAL, "%s: no directory", s->what);
	s->diff_size = desc->diff_size;
	r = sfd_layer_files_new(desc, s->what, &s->files, err);
	if (r < 0)
		return r;
	r = sfd_tar_split_new(sfd_take_fd(&desc->tar_split_fd), s->what, &s->tar_split, err);
	return r < 0 ? splitfd_error_wrap(err, r, "tar-split") : 0;
}

int sfd_layer_source_new(
	struct sfd_layer_desc *desc, struct splitfd_source **ret, struct splitfd_error *err)
{
	struct layer_source *s = calloc(1, sizeof(*s));
	sfd_cleanup(source_cleanup) struct splitfd_source *owned = NULL;
	int r = -ENOMEM;

	if (s == NULL) {
		splitfd_error_oom(err);
	} else {
		s->base.ops = &source_ops;
		owned = &s->base;
		r = fill(s, desc, err);
	}
	desc_done(desc);
	if (r < 0)
		return r;
	*ret = sfd_take_ptr(&owned);
	return 0;
}
