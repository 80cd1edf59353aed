/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_CONFINE_H
#define SPLITFD_SHIM_CONFINE_H

/*
 * A command's last step before it reads what others wrote: it gives up all that the rest of its
 * work does not need (sandbox.h).
 */

#include "shim/common/options.h"
#include "shim/common/sandbox.h"
#include "transport/copy/needs.h"

/* A row for a table of options; the bool starts as true. */
#define SFD_SANDBOX_OPTION(wanted)                                                                 \
	{                                                                                          \
		"sandbox", 0, SFD_OPTION_FLAG, (wanted), 0, 0, NULL,                               \
			"Confine the process with Landlock and seccomp (default; --no-sandbox)"    \
	}

/* Gives up the rest. Nothing where it is not `wanted`, and where the store has files that another
 * program may have to open, which is only started then (rootless). Before any thread but such as
 * only wait. */
void sfd_confine(bool wanted, const struct sfd_needs *needs);
/* The same, as the engine calls it (needs.h). */
void sfd_confine_now(const struct sfd_needs *needs);

/* What has to be added to an error's text: "" or, where the sandbox may be the cause, " (…)". */
const char *sfd_confine_hint(const struct splitfd_error *err);

#endif
