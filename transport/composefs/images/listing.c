/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/images/listing.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"
#include "transport/composefs/beneath.h"
#include "transport/composefs/images/names.h"
#include "transport/composefs/repository-private.h"
#include "transport/composefs/images/tags.h"
#include "transport/tar/tar-parser.h"

#include <fcntl.h>
#include <string.h>

#define LAYER_PREFIX "oci-layer-"

SFD_DEFINE_CLEANUP(cleanup_stream_, struct sfd_splitstream, sfd_splitstream_free);

static char *copy(const char *text, const char *otherwise)
{
	return strdup(text != NULL ? text : otherwise);
}

static int count_referrers(struct splitfd_repository *repository, const char *manifest, size_t *ret,
	struct splitfd_error *err)
{
	struct sfd_tag *tags = NULL;
	size_t n = 0;
	int r = sfd_referrers_list(repository, manifest, &tags, &n, err);

	if (r < 0)
		return r;
	sfd_tags_free(tags, n);
	*ret = n;
	return 0;
}

static int fill_row(const struct sfd_tag *tag, const struct sfd_oci_stored *s,
	struct sfd_image_row *row, struct splitfd_error *err)
{
	row->name = strdup(tag->name);
	row->manifest_digest = strdup(tag->manifest);
	row->architecture = copy(s->config_facts.architecture, "");
	row->os = copy(s->config_facts.os, "");
	row->created = s->config_facts.created != NULL ? strdup(s->config_facts.created) : NULL;
	row->container = s->manifest_facts.container;
	row->n_layers = s->manifest_facts.n_layers;
	if (row->name == NULL || row->manifest_digest == NULL || row->architecture == NULL ||
		row->os == NULL || (s->config_facts.created != NULL && row->created == NULL))
		return splitfd_error_oom(err);
	return 0;
}

void sfd_images_done(struct sfd_image_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		struct sfd_image_row *row = &list->rows[i];

		free(row->name);
		free(row->manifest_digest);
		free(row->architecture);
		free(row->os);
		free(row->created);
	}
	free(list->rows);
	memset(list, 0, sizeof(*list));
}

static int add_row(struct splitfd_repository *repository, const struct sfd_tag *tag,
	struct sfd_image_list *list, struct splitfd_error *err)
{
	struct sfd_oci_stored stored;
	struct sfd_image_row *row = &list->rows[list->n];
	int r = sfd_oci_stored_read(repository, tag->manifest, &stored, err);

	if (r == 0)
		r = count_referrers(repository, tag->manifest, &row->n_referrers, err);
	if (r == 0) {
		list->n++;
		r = fill_row(tag, &stored, row, err);
	}
	sfd_oci_stored_done(&stored);
	return r;
}

int sfd_images_list(struct splitfd_repository *repository,
	void (*skipped)(void *ctx, const char *name, const struct splitfd_error *why), void *ctx,
	struct sfd_image_list *ret, struct splitfd_error *err)
{
	struct sfd_tag *tags = NULL;
	size_t n = 0;
	int r = sfd_tags_list(repository, &tags, &n, err);

	memset(ret, 0, sizeof(*ret));
	if (r < 0)
		return r;
	ret->rows = calloc(n + 1, sizeof(*ret->rows));
	if (ret->rows == NULL)
		r = splitfd_error_oom(err);
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct splitfd_error why = { 0 };

		if (tags[i].manifest == NULL)
			continue;
		r = add_row(repository, &tags[i], ret, &why);
		if (r < 0 && why.kind == SPLITFD_ERROR_FAILED) {
			/* What the system denies is not damage: a list without it would be wrong.
			 */
			splitfd_error_set(
				err, why.kind, -r, "image '%s': %s", tags[i].name, why.text);
		} else if (r < 0) {
			if (skipped != NULL)
				skipped(ctx, tags[i].name, &why);
			r = 0;
		}
	}
	sfd_tags_free(tags, n);
	return r;
}

/* The sums of one layer. A stream that is no proper tar is still listed. */
struct sums {
	struct sfd_layer_row *row;
	struct sfd_tar_parser *tar;
};

static int count_entry(void *ctx, const struct sfd_tar_entry *e, struct splitfd_error *err)
{
	struct sums *sums = ctx;

	(void)e;
	(void)err;
	sums->row->entries++;
	return 0;
}

/* What is not a tar has no entries. */
static int look_at_tar(struct sums *sums, int r, struct splitfd_error *err)
{
	if (r == -ENOMEM)
		return splitfd_error_oom(err);
	if (r < 0)
		sums->row->is_tar = false;
	return 0;
}

static int sum_inline(void *ctx, const uint8_t *data, size_t len, struct splitfd_error *err)
{
	struct sums *sums = ctx;

	sums->row->inline_size += len;
	return look_at_tar(
		sums, sums->row->is_tar ? sfd_tar_parser_feed(sums->tar, data, len, NULL) : 0, err);
}

static int sum_object(
	void *ctx, const struct splitfd_digest *digest, uint64_t size, struct splitfd_error *err)
{
	struct sums *sums = ctx;

	(void)digest;
	sums->row->external_size += size;
	return look_at_tar(
		sums, sums->row->is_tar ? sfd_tar_parser_object(sums->tar, size, NULL) : 0, err);
}

static int sum_up(struct sfd_splitstream *s, struct sfd_layer_row *row, struct splitfd_error *err)
{
	struct sums sums = { .row = row };
	const struct sfd_stream_listener listener = { sum_inline, sum_object, &sums };
	int r;

	sums.tar = sfd_tar_parser_new(count_entry, &sums);
	if (sums.tar == NULL)
		return splitfd_error_oom(err);
	row->is_tar = strcmp(sfd_splitstream_content_type(s), SFD_STREAM_LAYER) == 0;
	r = sfd_splitstream_tell(s, true, &listener, err);
	if (r == 0 && row->is_tar)
		r = look_at_tar(&sums, sfd_tar_parser_finish(sums.tar, NULL), err);
	sfd_tar_parser_free(sums.tar);
	return r;
}

int sfd_layer_read(struct splitfd_repository *repository, const char *diff_id,
	struct sfd_layer_row *ret, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_stream_) struct sfd_splitstream *s = NULL;
	sfd_cleanup_free char *name = NULL;
	int r;

	memset(ret, 0, sizeof(*ret));
	name = sfd_asprintf("streams/" LAYER_PREFIX "%s", diff_id);
	if (name == NULL)
		return splitfd_error_oom(err);
	r = sfd_name_read(repository, name, &ret->verity, err);
	if (r == 0)
		return splitfd_error_set(err, SPLITFD_ERROR_NOT_FOUND, ENOENT, "no layer %s in %s",
			diff_id, repository->path);
	if (r > 0)
		r = sfd_splitstream_open(repository, &ret->verity, NULL, &s, err);
	if (r == 0)
		r = sum_up(s, ret, err);
	if (r < 0)
		return splitfd_error_wrap(err, r, "layer %s", diff_id);
	ret->size = sfd_splitstream_size(s);
	ret->external_objects = sfd_splitstream_n_objects(s);
	ret->diff_id = strdup(diff_id);
	return ret->diff_id != NULL ? 0 : splitfd_error_oom(err);
}

void sfd_layer_ids_free(char **ids, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(ids[i]);
	free(ids);
}

static int compare_ids(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_id(const char *name, char ***ids, size_t *n)
{
	char **more;

	if (strncmp(name, LAYER_PREFIX, strlen(LAYER_PREFIX)) != 0)
		return 0;
	more = reallocarray(*ids, *n + 1, sizeof(**ids));
	if (more == NULL)
		return -ENOMEM;
	*ids = more;
	more[*n] = strdup(name + strlen(LAYER_PREFIX));
	if (more[*n] == NULL)
		return -ENOMEM;
	++*n;
	return 0;
}

/* 1; 0 where there is no such directory. */
static int open_streams(
	const struct splitfd_repository *repository, DIR **ret, struct splitfd_error *err)
{
	int fd = sfd_beneath_open(repository->fd, "streams", O_RDONLY | O_DIRECTORY, 0), r;

	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return sfd_beneath_failed(
			repository->fd, repository->path, "open", "streams", fd, err);
	*ret = fdopendir(fd);
	if (*ret != NULL)
		return 1;
	r = splitfd_error_sys(err, errno, "cannot open %s/streams", repository->path);
	sfd_close(fd);
	return r;
}

int sfd_layer_ids(struct splitfd_repository *repository, char ***ret, size_t *ret_n,
	struct splitfd_error *err)
{
	sfd_cleanup_dir DIR *dir = NULL;
	const struct dirent *entry;
	int r = open_streams(repository, &dir, err);

	*ret = NULL;
	*ret_n = 0;
	if (r <= 0 || dir == NULL)
		return r;
	r = 0;
	for (errno = 0; r == 0 && (entry = readdir(dir)) != NULL; errno = 0)
		r = add_id(entry->d_name, ret, ret_n);
	if (r == 0 && errno != 0)
		r = splitfd_error_sys(err, errno, "cannot read %s/streams", repository->path);
	else if (r < 0)
		splitfd_error_oom(err);
	if (r < 0) {
		sfd_layer_ids_free(*ret, *ret_n);
		return r;
	}
	if (*ret_n > 0)
		qsort(*ret, *ret_n, sizeof(**ret), compare_ids);
	return 0;
}
