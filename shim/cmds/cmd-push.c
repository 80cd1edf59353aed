/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/common/cancel.h"
#include "shim/common/command.h"
#include "shim/copy/push.h"

#include <errno.h>

static int run(int argc, char **argv, struct splitfd_error *err);

const struct sfd_command sfd_cmd_push = {
	.name = "push",
	.class = SFD_PORCELAIN,
	.required = "--to SOCKET",
	.operands = "IMAGE [NAME]",
	.summary = "An image into a running composefs service (cfsctl varlink)",
	.run = run,
};

static int push(int argc, char **argv, struct sfd_push_options *o, struct splitfd_error *err)
{
	if (o->to == NULL)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"--to SOCKET is missing: the service's socket; see 'splitfd push --help'");
	o->reference = argv[0];
	o->name = argc > 1 ? argv[1] : NULL;
	sfd_cancel_install();
	return sfd_push(o, err);
}

static int run(int argc, char **argv, struct splitfd_error *err)
{
	struct sfd_push_options o = { .timeout = 300 };
	const struct sfd_option options[] = {
		{ "to", 0, SFD_OPTION_STRING, &o.to, 0, 0, "SOCKET", "The service's Unix socket" },
		SFD_REPO_OPTIONS(&o.repo),
		SFD_STORE_OPTIONS(&o.origin),
		{ "from-repo", 0, SFD_OPTION_STRING, &o.origin.repo.repo, 0, 0, "DIR",
			"The repository of composefs:NAME" },
		{ "zerocopy", 0, SFD_OPTION_FLAG, &o.zerocopy, 0, 0, NULL,
			"The service shall fail rather than copy a file" },
		{ "timeout", 0, SFD_OPTION_NUMBER, &o.timeout, 0, 1000000, "SECONDS",
			"Silence of the service that is an error (300; 0: none)" },
		{ "json", 0, SFD_OPTION_FLAG, &o.json, 0, 0, NULL, "Print the result as JSON" },
		{ "quiet", 'q', SFD_OPTION_FLAG, &o.quiet, 0, 0, NULL, "No progress bars" },
		{ NULL },
	};
	int r = sfd_parse_options(&sfd_cmd_push, options, &argc, &argv, err);

	if (r == 0)
		r = push(argc, argv, &o, err);
	sfd_strings_done(&o.origin.storage_options);
	return r < 0 ? r : 0;
}
