/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/common/command.h"
#include "shim/common/repo-options.h"
#include "shim/common/report.h"
#include "splitfdstream/base/cleanup.h"
#include "transport/composefs/images/oci-read.h"
#include "transport/composefs/images/tags.h"
#include "transport/composefs/repository-cleanup.h"

extern const struct sfd_command sfd_cmd_inspect;

struct request {
	struct sfd_repo_options repo;
	const char *image;
	bool manifest, config, json;
};

/* The document as it is stored, byte for byte. */
static int print_raw(const struct sfd_oci_document *document, struct splitfd_error *err)
{
	if (fwrite(document->json, 1, document->size, stdout) != document->size)
		return splitfd_error_sys(err, errno, "cannot write to standard output");
	return 0;
}

static bool add_erofs(cJSON *root, struct splitfd_repository *repository,
	const struct sfd_oci_stored *stored, bool boot)
{
	const char *key = boot ? "composefs_boot_erofs" : "composefs_erofs";
	char hex[2 * SPLITFD_DIGEST_MAX + 1];
	struct splitfd_digest digest;

	if (!sfd_oci_stored_erofs(repository, stored, boot, &digest))
		return cJSON_AddNullToObject(root, key) != NULL;
	splitfd_digest_hex(&digest, hex);
	return cJSON_AddStringToObject(root, key, hex) != NULL;
}

static bool add_referrers(cJSON *root, const struct sfd_tag *tags, size_t n)
{
	cJSON *array = cJSON_AddArrayToObject(root, "referrers");

	for (size_t i = 0; array != NULL && i < n; i++) {
		cJSON *object = cJSON_CreateObject();

		if (!cJSON_AddItemToArray(array, object)) {
			cJSON_Delete(object);
			return false;
		}
		if (cJSON_AddStringToObject(object, "digest", tags[i].manifest) == NULL)
			return false;
	}
	return array != NULL;
}

static int print_all(struct splitfd_repository *repository, const struct sfd_oci_stored *stored,
	struct splitfd_error *err)
{
	struct sfd_tag *tags = NULL;
	size_t n = 0;
	int r = sfd_referrers_list(repository, stored->manifest_digest, &tags, &n, err);
	cJSON *root;

	if (r < 0)
		return r;
	root = cJSON_CreateObject();
	if (cJSON_AddStringToObject(root, "manifest", stored->manifest.json) == NULL ||
		cJSON_AddStringToObject(root, "config", stored->config.json) == NULL ||
		!add_referrers(root, tags, n) || !add_erofs(root, repository, stored, false) ||
		!add_erofs(root, repository, stored, true)) {
		cJSON_Delete(root);
		root = NULL;
	}
	sfd_tags_free(tags, n);
	return sfd_print_json(root, err);
}

static int print(struct splitfd_repository *repository, const struct request *q,
	const struct sfd_oci_stored *stored, struct splitfd_error *err)
{
	if (q->manifest)
		return print_raw(&stored->manifest, err);
	if (q->config)
		return print_raw(&stored->config, err);
	return print_all(repository, stored, err);
}

static int inspect(const struct request *q, struct splitfd_error *err)
{
	sfd_cleanup_repository struct splitfd_repository *repository = NULL;
	sfd_cleanup_free char *manifest = NULL;
	struct sfd_oci_stored stored;
	int r = sfd_repo_open_reader(&q->repo, &repository, err);

	if (r == 0)
		r = sfd_tag_resolve(repository, q->image, &manifest, err);
	if (r < 0)
		return r;
	r = sfd_oci_stored_read(repository, manifest, &stored, err);
	if (r == 0)
		r = print(repository, q, &stored, err);
	sfd_oci_stored_done(&stored);
	return r;
}

static int run(int argc, char **argv, struct splitfd_error *err)
{
	struct request q = { .repo = SFD_REPO_READER };
	const struct sfd_option options[] = {
		SFD_REPO_READER_OPTIONS(&q.repo),
		{ "manifest", 0, SFD_OPTION_FLAG, &q.manifest, 0, 0, NULL,
			"Print the manifest as it is stored" },
		{ "config", 0, SFD_OPTION_FLAG, &q.config, 0, 0, NULL,
			"Print the config as it is stored" },
		{ "json", 0, SFD_OPTION_FLAG, &q.json, 0, 0, NULL, "Print JSON (always so)" },
		{ NULL },
	};
	int r = sfd_parse_options(&sfd_cmd_inspect, options, &argc, &argv, err);

	if (r != 0)
		return r < 0 ? r : 0;
	if (q.manifest && q.config)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"give only one of --manifest and --config; see 'splitfd inspect --help'");
	q.image = argv[0];
	return inspect(&q, err);
}

const struct sfd_command sfd_cmd_inspect = {
	.name = "inspect",
	.class = SFD_PORCELAIN,
	.operands = "NAME|@DIGEST",
	.summary = "Show an image's manifest, config, referrers and EROFS images",
	.run = run,
};
