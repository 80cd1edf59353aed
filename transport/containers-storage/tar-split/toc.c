/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/containers-storage/tar-split/toc.h"
#include "splitfdstream/base/buffer.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"
#include "splitfdstream/chunk.h"
#include "transport/containers-storage/tar-split/member-name.h"
#include "transport/json/json-member.h"
#include "transport/json/json-tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct row {
	size_t name; /* offset in `names` */
	uint8_t digest[32];
};

struct sfd_toc {
	struct sfd_buffer names; /* each with its NUL */
	struct row *rows;	 /* sorted by name */
	size_t n;
};

SFD_DEFINE_CLEANUP(toc_cleanup, struct sfd_toc, sfd_toc_free);

struct sfd_toc *sfd_toc_free(struct sfd_toc *toc)
{
	if (toc == NULL)
		return NULL;
	sfd_buffer_done(&toc->names);
	free(toc->rows);
	free(toc);
	return NULL;
}

static const char *row_name(const struct sfd_toc *toc, const struct row *row)
{
	return (const char *)toc->names.data + row->name;
}

static int compare_rows(const void *a, const void *b, void *toc)
{
	return strcmp(row_name(toc, a), row_name(toc, b));
}

/* Regular files with a digest are rows; all else is passed over. -EINVAL: makes no sense. */
static int add_entry(struct sfd_toc *toc, const cJSON *entry)
{
	const char *type = sfd_member_text(entry, "type"), *name = sfd_member_text(entry, "name");
	const char *digest = sfd_member_text(entry, "digest");
	char clean[SPLITFD_NAME_MAX + 1];
	struct row *row = &toc->rows[toc->n];
	int len;

	if (type == NULL || strcmp(type, "reg") != 0 || digest == NULL || digest[0] == '\0')
		return 0;
	if (name == NULL || !sfd_parse_sha256(digest, row->digest))
		return -EINVAL;
	len = sfd_layer_clean_name(name, strlen(name), clean);
	if (len < 0)
		return len;
	row->name = toc->names.len;
	toc->n++;
	return sfd_buffer_append(&toc->names, clean, (size_t)len + 1);
}

static int add_entries(struct sfd_toc *toc, const cJSON *entries)
{
	const cJSON *entry;

	toc->rows = calloc((size_t)cJSON_GetArraySize(entries) + 1, sizeof(*toc->rows));
	if (toc->rows == NULL)
		return -ENOMEM;
	cJSON_ArrayForEach (entry, entries) {
		int r = add_entry(toc, entry);

		if (r < 0)
			return r;
	}
	qsort_r(toc->rows, toc->n, sizeof(*toc->rows), compare_rows, toc);
	for (size_t i = 1; i < toc->n; i++)
		if (compare_rows(&toc->rows[i - 1], &toc->rows[i], toc) == 0)
			return -EEXIST;
	return 0;
}

int sfd_toc_new(const char *json, size_t size, const char *what, struct sfd_toc **ret,
	struct splitfd_error *err)
{
	sfd_cleanup_json cJSON *parsed = NULL;
	const cJSON *entries, *version;
	sfd_cleanup(toc_cleanup) struct sfd_toc *toc = calloc(1, sizeof(*toc));
	int r;

	if (toc == NULL || sfd_json_tree(json, size, &parsed) == -ENOMEM)
		return splitfd_error_oom(err);
	entries = cJSON_GetObjectItemCaseSensitive(parsed, "entries");
	version = cJSON_GetObjectItemCaseSensitive(parsed, "version");
	toc->names.max = size;
	if (!cJSON_IsArray(entries) || !cJSON_IsNumber(version) || version->valuedouble != 1)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EINVAL,
			"%s: its table of contents (zstd-chunked-manifest) is not of version 1 or "
			"is damaged",
			what);
	r = add_entries(toc, entries);
	if (r == -ENOMEM)
		return splitfd_error_oom(err);
	if (r < 0)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EINVAL,
			"%s: its table of contents has an entry that makes no sense, or a name "
			"twice",
			what);
	*ret = sfd_take_ptr(&toc);
	return 0;
}

int sfd_toc_find(const struct sfd_toc *toc, const char *name, char path[SFD_TOC_PATH_SIZE])
{
	size_t low = 0, high = toc->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(name, row_name(toc, &toc->rows[middle]));

		if (order == 0) {
			sfd_hex_encode(toc->rows[middle].digest, 1, path);
			path[2] = '/';
			sfd_hex_encode(toc->rows[middle].digest + 1, 31, path + 3);
			return 0;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return -ENOENT;
}
