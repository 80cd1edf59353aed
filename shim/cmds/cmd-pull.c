/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/common/cancel.h"
#include "shim/common/command.h"
#include "shim/common/confine.h"
#include "shim/common/options.h"
#include "shim/copy/pull-proxy.h"
#include "shim/copy/pull-transports.h"
#include "shim/common/repo-options.h"
#include "splitfdstream/base/cleanup.h"

#include <errno.h>
#include <string.h>

static int run(int argc, char **argv, struct splitfd_error *err);

const struct sfd_command sfd_cmd_pull = {
	.name = "pull",
	.class = SFD_PORCELAIN,
	.operands = "IMAGE [NAME]",
	.summary = "An image into a composefs repository",
	.run = run,
};

SFD_DEFINE_CLEANUP(cleanup_pull, struct sfd_pull, sfd_pull_free);

static int pull(const struct sfd_pull_options *options, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_pull) struct sfd_pull *p = NULL;
	int r;

	r = sfd_pull_check(options, err);
	if (r == 0)
		r = sfd_pull_new(options, &p, err);
	if (r == 0)
		r = sfd_pull_run(p, err);
	if (r == 0)
		r = sfd_pull_print(p, err);
	return r;
}

static int check(const struct sfd_pull_options *o, struct splitfd_error *err)
{
	if (o->verify_diff_id && o->no_verify_diff_id)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"--verify-diffid and --no-verify-diffid exclude each other");
	if (o->bootable)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, ENOTSUP,
			"the boot variant is not supported; 'cfsctl oci pull --bootable' makes it");
	return 0;
}

static int run(int argc, char **argv, struct splitfd_error *err)
{
	struct sfd_pull_options o = { .timeout = 300, .sandbox = true };
	struct sfd_repo_options repo = { 0 };
	struct sfd_proxy_flags proxy = { .tls_verify = true };
	const char *reflink = NULL, *tree = NULL;
	const struct sfd_option options[] = {
		SFD_REPO_OPTIONS(&repo),
		SFD_STORE_OPTIONS(&o),
		{ "reflink", 0, SFD_OPTION_STRING, &reflink, 0, 0, "WHEN",
			"Share extents: auto, always or never" },
		{ "verify-diffid", 0, SFD_OPTION_FLAG, &o.verify_diff_id, 0, 0, NULL,
			"Check each layer's SHA-256 with its diff_id" },
		{ "no-verify-diffid", 0, SFD_OPTION_FLAG, &o.no_verify_diff_id, 0, 0, NULL,
			"Do not, also where other users can write the store" },
		{ "jobs", 'j', SFD_OPTION_NUMBER, &o.jobs, 1, SPLITFD_JOBS_MAX, "N",
			"Worker threads, 1 to 64 (default: number of CPUs, at most 12)" },
		{ "no-image", 0, SFD_OPTION_FLAG, &o.no_image, 0, 0, NULL,
			"Do not make the EROFS image" },
		{ "tree", 0, SFD_OPTION_STRING, &tree, 0, 0, "PROGRAM",
			"Whose tree, where two readings differ: podman or cfsctl" },
		{ "bootable", 0, SFD_OPTION_FLAG, &o.bootable, 0, 0, NULL,
			"Not supported: the boot variant needs the SELinux policy" },
		{ "json", 0, SFD_OPTION_FLAG, &o.json, 0, 0, NULL, "Print the result as JSON" },
		{ "quiet", 'q', SFD_OPTION_FLAG, &o.quiet, 0, 0, NULL, "No progress bars" },
		{ "from-repo", 0, SFD_OPTION_STRING, &o.from_repo, 0, 0, "DIR",
			"The repository that a varlink service shall open" },
		{ "timeout", 0, SFD_OPTION_NUMBER, &o.timeout, 0, 1000000, "SECONDS",
			"Silence of a service or skopeo that is an error (300; 0: none)" },
		{ "skopeo", 0, SFD_OPTION_STRING, &o.skopeo, 0, 0, "PATH",
			"Read the image through this skopeo" },
		SFD_PROXY_FLAGS(&proxy),
		SFD_SANDBOX_OPTION(&o.sandbox),
		{ NULL },
	};
	int r;

	r = sfd_parse_options(&sfd_cmd_pull, options, &argc, &argv, err);
	if (r == 0)
		r = check(&o, err);
	if (r == 0)
		r = sfd_parse_reflink(reflink, &o.reflink, err);
	if (r == 0)
		r = sfd_tree_choice_parse(tree, &o.tree, err);
	if (r == 0) {
		o.reference = argv[0];
		o.name = argc > 1 ? argv[1] : NULL;
		o.repo = &repo;
		o.store.options = o.storage_options.items;
		sfd_cancel_install();
		r = sfd_proxy_flags_apply(&proxy, &o, err);
		if (r == 0)
			r = pull(&o, err);
	}
	sfd_strings_done(&o.storage_options);
	sfd_proxy_flags_release(&o);
	return r < 0 ? r : 0;
}
