/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/common/cancel.h"
#include "shim/common/command.h"
#include "shim/common/confine.h"
#include "shim/common/options.h"
#include "transport/copy/pull-transports.h"
#include "shim/common/progress.h"
#include "shim/common/proxy-flags.h"
#include "shim/common/repo-options.h"
#include "shim/common/rootless.h"
#include "shim/common/store-options.h"
#include "shim/cmds/copy-print.h"
#include "splitfdstream/base/cleanup.h"

#include <errno.h>
#include <string.h>

static int run(int argc, char **argv, struct splitfd_error *err);

const struct sfd_command sfd_cmd_pull = {
	.name = "pull",
	.class = SFD_PORCELAIN,
	.operands = "IMAGE [NAME]",
	.summary = "Pull an image into a composefs repository",
	.run = run,
};

/* The command line. */
struct request {
	struct sfd_pull_options pull;
	struct sfd_repo_options repo;
	struct sfd_store_arguments from;
	struct sfd_proxy_flags proxy;
	struct sfd_strings proxy_arguments;
	bool bootable, json, quiet, sandbox;
	char repository[PATH_MAX], program[PATH_MAX];
};

static int pull(struct request *q, struct splitfd_error *err)
{
	struct sfd_pull_options *o = &q->pull;
	struct sfd_bars bars; /* outlives the pull */
	sfd_cleanup_pull struct sfd_pull *p = NULL;
	int r;

	sfd_bars_init(&bars, q->quiet);
	o->listener = &bars.listener;
	o->stop = sfd_cancel_stop();
	o->confine = q->sandbox ? sfd_confine_now : NULL;
	o->store = q->from.store;
	o->store.options = q->from.storage_options.items;
	o->store.rootless_helper = sfd_rootless_helper(q->program);
	sfd_lock_options_apply(q->repo.lock_timeout, o->timeout, &o->store);
	o->store.arch = q->proxy.override_arch;
	o->store.os = q->proxy.override_os;
	o->store.variant = q->proxy.override_variant;
	r = sfd_proxy_flags_apply(&q->proxy, &q->proxy_arguments, err);
	if (r < 0)
		return r;
	o->proxy_arguments = q->proxy_arguments.items;
	o->repository = q->repository;
	r = sfd_pull_check(o, err);
	if (r == 0)
		r = sfd_repo_path(&q->repo, q->repository, err);
	if (r == 0)
		r = sfd_pull_new(o, &p, err);
	if (r == 0)
		r = sfd_pull_run(p, err);
	return r == 0 ? sfd_pull_print(p, q->json, err) : r;
}

static int check(const struct request *q, struct splitfd_error *err)
{
	const struct sfd_pull_options *o = &q->pull;

	if (o->verify_diff_id && o->no_verify_diff_id)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"--verify-diffid and --no-verify-diffid exclude each other");
	if (q->bootable)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, ENOTSUP,
			"the boot variant is not supported; 'cfsctl oci pull --bootable' makes it");
	return 0;
}

static int run(int argc, char **argv, struct splitfd_error *err)
{
	struct request q = { .pull = { .timeout = 300, .raise_fd_limit = true },
		.proxy = { .tls_verify = true },
		.sandbox = true };
	struct sfd_pull_options *o = &q.pull;
	const char *reflink = NULL, *tree = NULL;
	const struct sfd_option options[] = {
		SFD_REPO_OPTIONS(&q.repo),
		SFD_STORE_OPTIONS(&q.from),
		{ "reflink", 0, SFD_OPTION_STRING, &reflink, 0, 0, "WHEN",
			"Share extents: auto, always or never" },
		{ "verify-diffid", 0, SFD_OPTION_FLAG, &o->verify_diff_id, 0, 0, NULL,
			"Check each layer's SHA-256 with its diff_id" },
		{ "no-verify-diffid", 0, SFD_OPTION_FLAG, &o->no_verify_diff_id, 0, 0, NULL,
			"Check it only where another process sends the layer" },
		{ "jobs", 'j', SFD_OPTION_NUMBER, &o->jobs, 1, SPLITFD_JOBS_MAX, "N",
			"Worker threads, 1 to 64 (default: number of CPUs, at most 12)" },
		{ "no-image", 0, SFD_OPTION_FLAG, &o->no_image, 0, 0, NULL,
			"Do not make the EROFS image" },
		{ "tree", 0, SFD_OPTION_STRING, &tree, 0, 0, "PROGRAM",
			"File tree if podman and cfsctl differ: podman or cfsctl" },
		{ "bootable", 0, SFD_OPTION_FLAG, &q.bootable, 0, 0, NULL,
			"Not supported: the boot variant needs the SELinux policy" },
		{ "json", 0, SFD_OPTION_FLAG, &q.json, 0, 0, NULL, "Print the result as JSON" },
		{ "quiet", 'q', SFD_OPTION_FLAG, &q.quiet, 0, 0, NULL, "No progress bars" },
		{ "from-repo", 0, SFD_OPTION_STRING, &o->from_repo, 0, 0, "DIR",
			"The repository that a varlink service opens" },
		{ "timeout", 0, SFD_OPTION_NUMBER, &o->timeout, 0, 1000000, "SECONDS",
			"Fail if a service or skopeo is silent for SECONDS (default 300; 0 "
			"disables)" },
		{ "skopeo", 0, SFD_OPTION_STRING, &o->skopeo, 0, 0, "PATH",
			"Read the image through this skopeo" },
		SFD_PROXY_FLAGS(&q.proxy),
		SFD_SANDBOX_OPTION(&q.sandbox),
		{ NULL },
	};
	int r;

	r = sfd_parse_options(&sfd_cmd_pull, options, &argc, &argv, err);
	if (r == 0)
		r = check(&q, err);
	if (r == 0)
		r = sfd_parse_reflink(reflink, &o->reflink, err);
	if (r == 0)
		r = sfd_tree_choice_parse(tree, &o->tree, err);
	if (r == 0) {
		o->reference = argv[0];
		o->name = argc > 1 ? argv[1] : NULL;
		sfd_cancel_install();
		r = pull(&q, err);
	}
	sfd_strings_done(&q.from.storage_options);
	sfd_flags_done(&q.proxy_arguments);
	return r < 0 ? r : 0;
}
