/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_COMMANDS_H
#define SPLITFD_SHIM_COMMANDS_H

/*
 * The table of commands (commands.c), in the order of the help.
 */

#include "shim/common/command.h"

#include <stddef.h>

extern const struct sfd_command *const sfd_commands[];
extern const size_t sfd_n_commands;

#endif
