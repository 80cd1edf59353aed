/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/common/command.h"
#include "shim/common/rootless.h"
#include "transport/containers-storage/opener-serve.h"

#include <errno.h>
#include <unistd.h>

static int run(int argc, char **argv, struct splitfd_error *err)
{
	(void)argv;
	if (argc != 1)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"takes no arguments: splitfd itself starts this command");
	return sfd_opener_serve(STDIN_FILENO, err);
}

const struct sfd_command sfd_cmd_rootless_opener = {
	.name = SFD_ROOTLESS_COMMAND,
	.class = SFD_INTERNAL,
	.operands = "",
	.summary = "Open files of a user's store for splitfd, under 'podman unshare'",
	.run = run,
};
