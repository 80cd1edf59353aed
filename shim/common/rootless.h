/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_ROOTLESS_H
#define SPLITFD_SHIM_ROOTLESS_H

/*
 * Stores of users without root: every command and server opens its store by this.
 */

#include "transport/containers-storage/store.h"

#include <limits.h>

/* The hidden command that opens files for a reader, in the user's namespace. */
#define SFD_ROOTLESS_COMMAND "rootless-opener"

/* This program's path, for splitfd_store_options.rootless_helper, in `program`; NULL where it is
 * not known. */
const char *sfd_rootless_helper(char program[PATH_MAX]);

/* As splitfd_store_open(), with this program as the helper that opens what the user may not. */
int sfd_rootless_store_open(const struct splitfd_store_options *options, struct splitfd_store **ret,
	struct splitfd_error *err);

#endif
