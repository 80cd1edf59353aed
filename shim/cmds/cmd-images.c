/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/common/command.h"
#include "shim/common/image-json.h"
#include "shim/common/repo-options.h"
#include "shim/common/report.h"
#include "splitfdstream/base/cleanup.h"
#include "transport/composefs/images/listing.h"
#include "transport/composefs/repository-cleanup.h"

#include <string.h>

extern const struct sfd_command sfd_cmd_images;

static void skipped(void *ctx, const char *name, const struct splitfd_error *why)
{
	(void)ctx;
	fputs("splitfd images: skipping '", stderr);
	sfd_print_text(stderr, name);
	fprintf(stderr, "': %s\n", why->text);
}

static int width(int so_far, const char *text)
{
	int n = (int)sfd_text_columns(text);

	return n > so_far ? n : so_far;
}

static const char *architecture(const struct sfd_image_row *row)
{
	return row->architecture[0] != '\0' ? row->architecture : "artifact";
}

static void print_padded(int columns, const char *text)
{
	sfd_print_text(stdout, text);
	printf("%*s", columns - (int)sfd_text_columns(text) + 2, "");
}

static void print_table(const struct sfd_image_list *list)
{
	int name = 4, arch = 4;

	if (list->n == 0) {
		puts("No images found");
		return;
	}
	for (size_t i = 0; i < list->n; i++) {
		name = width(name, list->rows[i].name);
		arch = width(arch, architecture(&list->rows[i]));
	}
	printf("%-*s  %-12s  %-*s  %6s  %4s\n", name, "NAME", "DIGEST", arch, "ARCH", "LAYERS",
		"REFS");
	for (size_t i = 0; i < list->n; i++) {
		const struct sfd_image_row *row = &list->rows[i];

		print_padded(name, row->name);
		printf("%.12s  ", row->manifest_digest + strlen("sha256:"));
		print_padded(arch, architecture(row));
		printf("%6zu  %4zu\n", row->n_layers, row->n_referrers);
	}
}

static bool fill_row(const void *list, size_t i, cJSON *object)
{
	return sfd_image_json(object, &((const struct sfd_image_list *)list)->rows[i]);
}

static int list_images(const struct sfd_repo_options *repo, bool json, struct splitfd_error *err)
{
	sfd_cleanup_repository struct splitfd_repository *repository = NULL;
	struct sfd_image_list list;
	int r = sfd_repo_open_reader(repo, &repository, err);

	if (r < 0)
		return r;
	r = sfd_images_list(repository, skipped, NULL, &list, err);
	if (r == 0 && json)
		r = sfd_print_json(sfd_list_json("images", list.n, fill_row, &list), err);
	else if (r == 0)
		print_table(&list);
	sfd_images_done(&list);
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
	int r = sfd_parse_options(&sfd_cmd_images, options, &argc, &argv, err);

	if (r != 0)
		return r < 0 ? r : 0;
	return list_images(&repo, json, err);
}

const struct sfd_command sfd_cmd_images = {
	.name = "images",
	.class = SFD_PORCELAIN,
	.operands = "",
	.summary = "List the images of a repository",
	.run = run,
};
