/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/commands.h"

/* One declaration and one row for each cmd-NAME.c. */

extern const struct sfd_command sfd_cmd_proxy;

const struct sfd_command *const sfd_commands[] = {
	&sfd_cmd_proxy,
	NULL,
};

const size_t sfd_n_commands = sizeof(sfd_commands) / sizeof(sfd_commands[0]) - 1;
