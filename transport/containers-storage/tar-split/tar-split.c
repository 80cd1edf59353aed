/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/containers-storage/tar-split/tar-split.h"
#include "splitfdstream/base/cleanup.h"
#include "transport/tar/gzip-reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_START ((size_t)256 * 1024)

struct sfd_tar_split {
	struct sfd_gzip_reader *gzip;
	char *what;
	char *text; /* cap + 1 bytes */
	size_t pos, end, cap;
	uint64_t text_offset; /* of text[0] in the JSON */
	uint64_t number;
	bool at_eof;
	struct sfd_tar_split_tree *tree;
};

SFD_DEFINE_CLEANUP(reader_cleanup, struct sfd_tar_split, sfd_tar_split_free);

int sfd_tar_split_new(
	int fd, const char *what, struct sfd_tar_split **ret, struct splitfd_error *err)
{
	sfd_cleanup_fd int owned = fd;
	sfd_cleanup(reader_cleanup) struct sfd_tar_split *reader = NULL;
	int r;

	r = sfd_check_regular(owned, UINT64_MAX, what, NULL, err);
	if (r < 0)
		return r;
	if (lseek(owned, 0, SEEK_SET) < 0)
		return splitfd_error_sys(err, errno, "%s: cannot go to the start", what);
	reader = calloc(1, sizeof(*reader));
	if (reader == NULL)
		return splitfd_error_oom(err);
	reader->what = strdup(what);
	reader->text = malloc(BUFFER_START + 1);
	if (reader->what == NULL || reader->text == NULL)
		return splitfd_error_oom(err);
	reader->cap = BUFFER_START;
	r = sfd_gzip_reader_new(sfd_take_fd(&owned), what, &reader->gzip, err);
	if (r < 0)
		return r;
	*ret = sfd_take_ptr(&reader);
	return 0;
}

struct sfd_tar_split *sfd_tar_split_free(struct sfd_tar_split *reader)
{
	if (reader == NULL)
		return NULL;
	sfd_gzip_reader_free(reader->gzip);
	sfd_tar_split_drop(reader->tree);
	free(reader->text);
	free(reader->what);
	free(reader);
	return NULL;
}

static int damaged(struct sfd_tar_split *reader, const char *why, struct splitfd_error *err)
{
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EINVAL,
		"%s: entry %llu, at byte %llu: %s", reader->what,
		(unsigned long long)reader->number,
		(unsigned long long)(reader->text_offset + reader->pos), why);
}

static int grow(struct sfd_tar_split *reader, struct splitfd_error *err)
{
	size_t cap = reader->cap * 2;
	char *text;

	if (reader->cap >= SFD_TAR_SPLIT_LINE_MAX)
		return damaged(reader, "longer than 64 MiB", err);
	text = realloc(reader->text, cap + 1);
	if (text == NULL)
		return splitfd_error_oom(err);
	reader->text = text;
	reader->cap = cap;
	return 0;
}

/* Moves what is left to the front, makes room and reads more. */
static int fill(struct sfd_tar_split *reader, struct splitfd_error *err)
{
	size_t left = reader->end - reader->pos;
	ssize_t got;

	if (left == reader->cap) {
		int r = grow(reader, err);

		if (r < 0)
			return r;
	}
	memmove(reader->text, reader->text + reader->pos, left);
	reader->text_offset += reader->pos;
	reader->pos = 0;
	reader->end = left;
	got = sfd_gzip_read(reader->gzip, reader->text + left, reader->cap - left, err);
	if (got < 0)
		return (int)got;
	reader->end += (size_t)got;
	reader->at_eof = reader->end < reader->cap;
	return 0;
}

static void skip_space(struct sfd_tar_split *reader)
{
	while (reader->pos < reader->end && strchr(" \t\r\n", reader->text[reader->pos]) != NULL &&
		reader->text[reader->pos] != '\0')
		reader->pos++;
}

int sfd_tar_split_next(
	struct sfd_tar_split *reader, struct sfd_tar_split_entry *ret, struct splitfd_error *err)
{
	reader->tree = sfd_tar_split_drop(reader->tree);
	for (;;) {
		const char *why = NULL;
		size_t used = 0;
		int r = 0;

		skip_space(reader);
		if (reader->pos < reader->end)
			r = sfd_tar_split_scan(reader->text + reader->pos,
				reader->end - reader->pos, ret, &used, &reader->tree, &why);
		if (r == -ENOMEM)
			return splitfd_error_oom(err);
		if (r < 0)
			return damaged(reader, why, err);
		if (r > 0) {
			reader->pos += used;
			ret->number = reader->number++;
			return 1;
		}
		if (reader->at_eof && reader->pos < reader->end)
			return damaged(reader, "the file ends inside of it", err);
		if (reader->at_eof)
			return 0;
		r = fill(reader, err);
		if (r < 0)
			return r;
	}
}
