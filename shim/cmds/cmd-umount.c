/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/cmds/commands.h"
#include "shim/common/options.h"
#include "transport/composefs/mount/mount.h"

#include <errno.h>

extern const struct sfd_command sfd_cmd_umount;

static int run(int argc, char **argv, struct splitfd_error *err)
{
	const struct sfd_option options[] = { { NULL } };
	int r;

	r = sfd_parse_options(&sfd_cmd_umount, options, &argc, &argv, err);
	if (r != 0)
		return r < 0 ? r : 0;
	return sfd_umount_image(argv[0], err);
}

const struct sfd_command sfd_cmd_umount = {
	.name = "umount",
	.class = SFD_PORCELAIN,
	.operands = "DIR",
	.summary = "Unmount what 'mount' has mounted",
	.run = run,
};
