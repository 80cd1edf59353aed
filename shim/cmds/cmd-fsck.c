/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/common/cancel.h"
#include "shim/common/command.h"
#include "shim/common/fsck-json.h"
#include "shim/common/repo-options.h"
#include "shim/common/report.h"
#include "shim/copy/pull-proxy.h"
#include "shim/copy/pull-transports.h"
#include "splitfdstream/base/cleanup.h"

extern const struct sfd_command sfd_cmd_fsck;

SFD_DEFINE_CLEANUP(cleanup_repository, struct splitfd_repository, splitfd_repository_close);
SFD_DEFINE_CLEANUP(cleanup_pull, struct sfd_pull, sfd_pull_free);

#define REPAIR_ADVICE                                                                              \
	"; 'splitfd fsck --repair IMAGE...' replaces what is damaged, where the images can "       \
	"still be read"

static void print_count(const char *what, const struct sfd_fsck_count *count)
{
	printf("%s: %llu/%llu ok\n", what, (unsigned long long)(count->checked - count->corrupted),
		(unsigned long long)count->checked);
}

static void print_texts(const struct sfd_fsck_texts *texts)
{
	for (size_t i = 0; i < texts->n; i++)
		printf("  - %s\n", texts->items[i]);
}

/* In cfsctl's words and order, with a line for the layers' contents. */
static void print_report(const struct sfd_fsck_report *report)
{
	puts("meta.json: ok");
	print_count("objects", &report->objects);
	print_count("streams", &report->streams);
	print_count("images", &report->images);
	print_count("layers", &report->layers);
	if (report->broken_links > 0)
		printf("broken symlinks: %llu\n", (unsigned long long)report->broken_links);
	if (report->missing_objects > 0)
		printf("missing objects: %llu\n", (unsigned long long)report->missing_objects);
	if (report->errors.n == 0)
		puts("status: ok");
	else
		printf("status: %zu error(s)\n", report->errors.n);
	print_texts(&report->errors);
	print_count("oci images", &report->oci);
	if (report->oci_errors.n > 0)
		printf("oci errors: %zu\n", report->oci_errors.n);
	print_texts(&report->oci_errors);
}

static cJSON *to_json(const struct sfd_fsck_report *report)
{
	cJSON *root = cJSON_CreateObject();

	if (sfd_fsck_json_images(root, report, true))
		return root;
	cJSON_Delete(root);
	return NULL;
}

static int judge(const struct sfd_fsck_report *report, bool json, struct splitfd_error *err)
{
	bool ok = report->errors.n == 0 && report->oci_errors.n == 0;
	int r = 0;

	if (json)
		r = sfd_print_json(to_json(report), err);
	else
		print_report(report);
	if (r < 0 || ok)
		return r;
	return splitfd_error_set(err, SPLITFD_ERROR_FAILED, EBADMSG,
		report->errors.n > 0 ? "repository integrity check failed" REPAIR_ADVICE
				     : "OCI integrity check failed" REPAIR_ADVICE);
}

static int check(const struct sfd_repo_options *repo, const struct sfd_fsck_options *options,
	bool json, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_repository) struct splitfd_repository *repository = NULL;
	struct sfd_fsck_report report;
	int r = sfd_repo_open(repo, false, &repository, err);

	if (r < 0)
		return r;
	r = sfd_fsck_run(repository, options, &report, err);
	if (r == 0)
		r = judge(&report, json, err);
	sfd_fsck_report_done(&report);
	return r;
}

/* Reads one image again from where it is, and compares what the repository has. */
static int repair(struct sfd_pull_options *options, const char *image, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_pull) struct sfd_pull *pull = NULL;
	struct sfd_pull_result result;
	int r;

	options->reference = image;
	r = sfd_pull_check(options, err);
	if (r >= 0)
		r = sfd_pull_new(options, &pull, err);
	if (r >= 0)
		r = sfd_pull_run(pull, err);
	if (r < 0)
		return splitfd_error_wrap(err, r, "image '%s'", image);
	sfd_pull_get_result(pull, &result);
	if (!options->json)
		printf("read again: %s, %u damaged and %llu missing objects made\n", image,
			result.replaced,
			(unsigned long long)(result.stats.objects_copied +
					     result.stats.objects_reflinked) -
				result.replaced);
	return 0;
}

static int repair_and_check(struct sfd_pull_options *pull, const struct sfd_fsck_options *fsck,
	char **images, int n, struct splitfd_error *err)
{
	for (int i = 0; i < n; i++) {
		int r = repair(pull, images[i], err);

		if (r < 0)
			return r;
	}
	return check(pull->repo, fsck, pull->json, err);
}

static int count(int argc, bool repair, bool metadata_only, struct splitfd_error *err)
{
	if (repair && argc == 0)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"--repair expects the images to read again; see 'splitfd fsck --help'");
	if (repair && metadata_only)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"--repair reads contents; it does not go with --metadata-only");
	if (!repair && argc > 1)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"expected at most NAME; see 'splitfd fsck --help'");
	return 0;
}

static int run(int argc, char **argv, struct splitfd_error *err)
{
	struct sfd_pull_options pull = { .timeout = 300,
		.no_tag = true,
		.repair = true,
		.verify_diff_id = true,
		.quiet = true };
	struct sfd_repo_options repo = { 0 };
	struct sfd_proxy_flags proxy = { .tls_verify = true };
	struct sfd_fsck_options fsck = { 0 };
	bool repair = false;
	const struct sfd_option options[] = {
		SFD_REPO_OPTIONS(&repo),
		{ "repair", 0, SFD_OPTION_FLAG, &repair, 0, 0, NULL,
			"Read the images IMAGE... again and replace what is damaged" },
		{ "metadata-only", 0, SFD_OPTION_FLAG, &fsck.metadata_only, 0, 0, NULL,
			"Do not read the contents of objects and layers" },
		{ "jobs", 'j', SFD_OPTION_NUMBER, &pull.jobs, 1, SPLITFD_JOBS_MAX, "N",
			"Threads (default: the number of CPUs)" },
		{ "json", 0, SFD_OPTION_FLAG, &pull.json, 0, 0, NULL, "Print the report as JSON" },
		SFD_STORE_OPTIONS(&pull),
		SFD_PROXY_FLAGS(&proxy),
		{ NULL },
	};
	int r = sfd_parse_options(&sfd_cmd_fsck, options, &argc, &argv, err);

	if (r == 0)
		r = count(argc, repair, fsck.metadata_only, err);
	if (r == 0) {
		sfd_cancel_install();
		pull.repo = &repo;
		pull.store.options = pull.storage_options.items;
		fsck.image = !repair && argc == 1 ? argv[0] : NULL;
		fsck.jobs = (unsigned int)pull.jobs;
		fsck.cancel = sfd_cancel_flag();
		r = sfd_proxy_flags_apply(&proxy, &pull, err);
		if (r == 0)
			r = repair_and_check(&pull, &fsck, argv, repair ? argc : 0, err);
	}
	sfd_strings_done(&pull.storage_options);
	sfd_proxy_flags_release(&pull);
	return r < 0 ? r : 0;
}

const struct sfd_command sfd_cmd_fsck = {
	.name = "fsck",
	.class = SFD_PORCELAIN,
	.operands = "[NAME...]",
	.summary = "Check a repository: objects, streams, layers, images",
	.run = run,
};
