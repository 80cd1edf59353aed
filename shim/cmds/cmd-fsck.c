/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/common/cancel.h"
#include "shim/common/command.h"
#include "shim/common/confine.h"
#include "shim/common/confined-child.h"
#include "shim/common/fsck-json.h"
#include "shim/common/repo-options.h"
#include "shim/common/report.h"
#include "shim/common/progress.h"
#include "shim/common/proxy-flags.h"
#include "shim/common/rootless.h"
#include "shim/common/store-options.h"
#include "transport/copy/pull-transports.h"
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
	int r = sfd_repo_open_reader(repo, &repository, err);

	if (r < 0)
		return r;
	r = sfd_fsck_run(repository, options, &report, err);
	if (r == 0)
		r = judge(&report, json, err);
	sfd_fsck_report_done(&report);
	return r;
}

/* The command line. */
struct request {
	struct sfd_pull_options pull;
	struct sfd_fsck_options fsck;
	struct sfd_repo_options repo;
	struct sfd_store_arguments from;
	struct sfd_proxy_flags proxy;
	struct sfd_strings proxy_arguments;
	bool repair, json;
	char repository[PATH_MAX], program[PATH_MAX];
};

/* Reads one image again from where it is, and compares what the repository has. */
static int repair(void *ctx, void *unused, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_pull) struct sfd_pull *pull = NULL;
	struct request *q = ctx;
	const char *image = q->pull.reference;
	struct sfd_pull_options *options = &q->pull;
	struct sfd_pull_result result;
	int r;

	(void)unused;
	r = sfd_pull_check(options, err);
	if (r >= 0)
		r = sfd_pull_new(options, &pull, err);
	if (r >= 0)
		r = sfd_pull_run(pull, err);
	if (r < 0)
		return splitfd_error_wrap(err, r, "image '%s'", image);
	sfd_pull_get_result(pull, &result);
	if (!q->json)
		printf("read again: %s, %u damaged and %llu missing objects made\n", image,
			result.replaced,
			(unsigned long long)(result.stats.objects_copied +
					     result.stats.objects_reflinked) -
				result.replaced);
	return 0;
}

static int repair_and_check(struct request *q, char **images, int n, struct splitfd_error *err)
{
	struct sfd_bars bars;
	int r = sfd_proxy_flags_apply(&q->proxy, &q->proxy_arguments, err);

	sfd_bars_init(&bars, true);
	q->pull.listener = &bars.listener;
	q->pull.stop = sfd_cancel_stop();
	q->pull.store = q->from.store;
	q->pull.store.options = q->from.storage_options.items;
	q->pull.store.rootless_helper = sfd_rootless_helper(q->program);
	sfd_lock_options_apply(q->repo.lock_timeout, 0, &q->pull.store);
	q->pull.proxy_arguments = q->proxy_arguments.items;
	q->pull.repository = q->repository;
	if (r == 0 && n > 0)
		r = sfd_repo_path(&q->repo, q->repository, err);
	q->pull.confine = q->repo.sandbox ? sfd_confine_now : NULL;
	for (int i = 0; r == 0 && i < n; i++) {
		q->pull.reference = images[i];
		/* Each opens what it needs before it is confined to that. */
		r = q->repo.sandbox ? sfd_in_child(repair, q, NULL, 0, err) : repair(q, NULL, err);
	}
	return r == 0 ? check(&q->repo, &q->fsck, q->json, err) : r;
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
	struct request q = { .pull = { .timeout = 300,
				     .raise_fd_limit = true,
				     .no_tag = true,
				     .repair = true,
				     .verify_diff_id = true },
		.repo = SFD_REPO_READER,
		.proxy = { .tls_verify = true } };
	const struct sfd_option options[] = {
		SFD_REPO_READER_OPTIONS(&q.repo),
		{ "repair", 0, SFD_OPTION_FLAG, &q.repair, 0, 0, NULL,
			"Read the images IMAGE... again and replace what is damaged" },
		{ "metadata-only", 0, SFD_OPTION_FLAG, &q.fsck.metadata_only, 0, 0, NULL,
			"Do not read the contents of objects and layers" },
		{ "jobs", 'j', SFD_OPTION_NUMBER, &q.pull.jobs, 1, SPLITFD_JOBS_MAX, "N",
			"Worker threads, 1 to 64 (default: number of CPUs)" },
		{ "json", 0, SFD_OPTION_FLAG, &q.json, 0, 0, NULL, "Print the report as JSON" },
		SFD_STORE_OPTIONS(&q.from),
		SFD_PROXY_FLAGS(&q.proxy),
		{ NULL },
	};
	int r = sfd_parse_options(&sfd_cmd_fsck, options, &argc, &argv, err);

	if (r == 0)
		r = count(argc, q.repair, q.fsck.metadata_only, err);
	if (r == 0) {
		sfd_cancel_install();
		q.fsck.image = !q.repair && argc == 1 ? argv[0] : NULL;
		q.fsck.jobs = (unsigned int)q.pull.jobs;
		q.fsck.cancel = sfd_cancel_flag();
		r = repair_and_check(&q, argv, q.repair ? argc : 0, err);
	}
	sfd_strings_done(&q.from.storage_options);
	sfd_flags_done(&q.proxy_arguments);
	return r < 0 ? r : 0;
}

const struct sfd_command sfd_cmd_fsck = {
	.name = "fsck",
	.class = SFD_PORCELAIN,
	.operands = "[NAME...]",
	.summary = "Check a repository: objects, streams, layers, images",
	.run = run,
};
