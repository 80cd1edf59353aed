/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/cmds/copy-print.h"
#include "shim/common/cancel.h"
#include "shim/common/command.h"
#include "shim/common/progress.h"
#include "shim/common/repo-options.h"
#include "shim/common/rootless.h"
#include "shim/common/store-options.h"
#include "transport/copy/push.h"

#include <errno.h>

static int run(int argc, char **argv, struct splitfd_error *err);

const struct sfd_command sfd_cmd_push = {
	.name = "push",
	.class = SFD_PORCELAIN,
	.required = "--to SOCKET",
	.operands = "IMAGE [NAME]",
	.summary = "Push an image into a running composefs service (cfsctl varlink)",
	.run = run,
};

/* The command line. */
struct request {
	struct sfd_push_options push;
	struct sfd_repo_options repo, from_repo;
	struct sfd_store_arguments from;
	bool json, quiet;
};

/* Where the image is a repository's, which repository. */
static int find_origin(struct request *q, char path[PATH_MAX], struct splitfd_error *err)
{
	struct sfd_origin_options *origin = &q->push.origin;

	origin->store = q->from.store;
	origin->store.options = q->from.storage_options.items;
	origin->repository = path;
	origin->stop = sfd_cancel_stop();
	return sfd_origin_is_stored(q->push.reference) ? sfd_repo_path(&q->from_repo, path, err)
						       : 0;
}

static int push(int argc, char **argv, struct request *q, struct splitfd_error *err)
{
	char to[PATH_MAX], from[PATH_MAX], program[PATH_MAX];
	struct sfd_push_options *o = &q->push;
	struct sfd_push_report report;
	struct sfd_bars bars;
	int r;

	if (o->to == NULL)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"--to SOCKET is missing: the service's socket; see 'splitfd push --help'");
	o->reference = argv[0];
	o->name = argc > 1 ? argv[1] : NULL;
	o->repository = to;
	o->user = q->repo.user;
	o->system = q->repo.system;
	sfd_bars_init(&bars, q->quiet);
	o->listener = &bars.listener;
	sfd_cancel_install();
	r = find_origin(q, from, err);
	o->origin.store.rootless_helper = sfd_rootless_helper(program);
	sfd_lock_options_apply(q->repo.lock_timeout, o->timeout, &o->origin.store);
	if (r == 0)
		r = sfd_repo_path(&q->repo, to, err);
	if (r == 0)
		r = sfd_push(o, &report, err);
	return r == 0 ? sfd_push_report_print(&report, q->json, err) : r;
}

static int run(int argc, char **argv, struct splitfd_error *err)
{
	struct request q = { .push = { .timeout = 300 } };
	const struct sfd_option options[] = {
		{ "to", 0, SFD_OPTION_STRING, &q.push.to, 0, 0, "SOCKET",
			"The service's Unix socket" },
		SFD_REPO_OPTIONS(&q.repo),
		SFD_STORE_OPTIONS(&q.from),
		{ "from-repo", 0, SFD_OPTION_STRING, &q.from_repo.repo, 0, 0, "DIR",
			"The repository of composefs:NAME" },
		{ "zerocopy", 0, SFD_OPTION_FLAG, &q.push.zerocopy, 0, 0, NULL,
			"Fail rather than let the service copy a file" },
		{ "timeout", 0, SFD_OPTION_NUMBER, &q.push.timeout, 0, 1000000, "SECONDS",
			"Fail if the service is silent for SECONDS (default 300; 0 disables)" },
		{ "json", 0, SFD_OPTION_FLAG, &q.json, 0, 0, NULL, "Print the result as JSON" },
		{ "quiet", 'q', SFD_OPTION_FLAG, &q.quiet, 0, 0, NULL, "No progress bars" },
		{ NULL },
	};
	int r = sfd_parse_options(&sfd_cmd_push, options, &argc, &argv, err);

	if (r == 0)
		r = push(argc, argv, &q, err);
	sfd_strings_done(&q.from.storage_options);
	return r < 0 ? r : 0;
}
