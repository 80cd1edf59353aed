/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/common/command.h"
#include "shim/common/repo-options.h"
#include "shim/common/report.h"
#include "splitfdstream/base/cleanup.h"
#include "transport/composefs/images/listing.h"
#include "transport/composefs/images/tags.h"
#include "transport/composefs/repository-cleanup.h"

extern const struct sfd_command sfd_cmd_layers;

struct rows {
	struct sfd_layer_row *items;
	size_t n;
};

static void rows_done(struct rows *rows)
{
	for (size_t i = 0; i < rows->n; i++)
		free(rows->items[i].diff_id);
	free(rows->items);
}

static int read_rows(struct splitfd_repository *repository, char *const *ids, size_t n,
	struct rows *ret, struct splitfd_error *err)
{
	ret->items = calloc(n + 1, sizeof(*ret->items));
	if (ret->items == NULL)
		return splitfd_error_oom(err);
	for (size_t i = 0; i < n; i++) {
		int r = sfd_layer_read(repository, ids[i], &ret->items[i], err);

		if (r < 0)
			return r;
		ret->n++;
	}
	return 0;
}

/* The layers of one image, base first; an artifact has no diff_ids but blobs. */
static int image_rows(struct splitfd_repository *repository, const char *image, struct rows *ret,
	struct splitfd_error *err)
{
	sfd_cleanup_free char *manifest = NULL;
	struct sfd_oci_stored stored;
	int r = sfd_tag_resolve(repository, image, &manifest, err);

	if (r < 0)
		return r;
	r = sfd_oci_stored_read(repository, manifest, &stored, err);
	if (r == 0 && stored.manifest_facts.container)
		r = read_rows(repository, stored.config_facts.diff_ids,
			stored.config_facts.n_diff_ids, ret, err);
	else if (r == 0)
		r = read_rows(repository, stored.manifest_facts.layers,
			stored.manifest_facts.n_layers, ret, err);
	sfd_oci_stored_done(&stored);
	return r;
}

static int all_rows(
	struct splitfd_repository *repository, struct rows *ret, struct splitfd_error *err)
{
	char **ids = NULL;
	size_t n = 0;
	int r = sfd_layer_ids(repository, &ids, &n, err);

	if (r < 0)
		return r;
	r = read_rows(repository, ids, n, ret, err);
	sfd_layer_ids_free(ids, n);
	return r;
}

static void print_table(const struct rows *rows)
{
	printf("%-71s  %12s  %9s  %9s  %12s  %12s\n", "LAYER", "SIZE", "ENTRIES", "OBJECTS",
		"IN OBJECTS", "INLINE");
	for (size_t i = 0; i < rows->n; i++) {
		const struct sfd_layer_row *row = &rows->items[i];
		char size[32], external[32], inlined[32], entries[24] = "-";

		sfd_format_bytes(row->size, size);
		sfd_format_bytes(row->external_size, external);
		sfd_format_bytes(row->inline_size, inlined);
		if (row->is_tar)
			snprintf(
				entries, sizeof(entries), "%llu", (unsigned long long)row->entries);
		printf("%-71s  %12s  %9s  %9llu  %12s  %12s\n", row->diff_id, size, entries,
			(unsigned long long)row->external_objects, external, inlined);
	}
}

static bool fill_row(const void *list, size_t i, cJSON *object)
{
	const struct sfd_layer_row *row = &((const struct rows *)list)->items[i];
	char hex[2 * SPLITFD_DIGEST_MAX + 1];
	cJSON *stream;

	splitfd_digest_hex(&row->verity, hex);
	if (cJSON_AddStringToObject(object, "diffId", row->diff_id) == NULL ||
		cJSON_AddStringToObject(object, "verity", hex) == NULL ||
		cJSON_AddNumberToObject(object, "size", (double)row->size) == NULL)
		return false;
	if ((row->is_tar ? cJSON_AddNumberToObject(object, "entryCount", (double)row->entries)
			 : cJSON_AddNullToObject(object, "entryCount")) == NULL)
		return false;
	stream = cJSON_AddObjectToObject(object, "splitstream");
	return cJSON_AddNumberToObject(stream, "externalObjects", (double)row->external_objects) !=
		       NULL &&
	       cJSON_AddNumberToObject(stream, "externalSize", (double)row->external_size) !=
		       NULL &&
	       cJSON_AddNumberToObject(stream, "inlineSize", (double)row->inline_size) != NULL;
}

static int list_layers(const struct sfd_repo_options *repo, const char *image, bool json,
	struct splitfd_error *err)
{
	sfd_cleanup_repository struct splitfd_repository *repository = NULL;
	struct rows rows = { 0 };
	int r = sfd_repo_open_reader(repo, &repository, err);

	if (r < 0)
		return r;
	r = image != NULL ? image_rows(repository, image, &rows, err)
			  : all_rows(repository, &rows, err);
	if (r == 0 && json)
		r = sfd_print_json(sfd_list_json("layers", rows.n, fill_row, &rows), err);
	else if (r == 0)
		print_table(&rows);
	rows_done(&rows);
	return r;
}

static int run(int argc, char **argv, struct splitfd_error *err)
{
	struct sfd_repo_options repo = SFD_REPO_READER;
	bool json = false;
	const struct sfd_option options[] = {
		SFD_REPO_READER_OPTIONS(&repo),
		{ "json", 0, SFD_OPTION_FLAG, &json, 0, 0, NULL, "Print the list as JSON" },
		{ NULL },
	};
	int r = sfd_parse_options(&sfd_cmd_layers, options, &argc, &argv, err);

	if (r != 0)
		return r < 0 ? r : 0;
	return list_layers(&repo, argc == 1 ? argv[0] : NULL, json, err);
}

const struct sfd_command sfd_cmd_layers = {
	.name = "layers",
	.class = SFD_PORCELAIN,
	.operands = "[NAME|@DIGEST]",
	.summary = "List the layers of a repository or of an image",
	.run = run,
};
