/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_CONFINE_H
#define SPLITFD_SHIM_CONFINE_H

/*
 * A command's last step before it reads what others wrote: it gives up all that the rest of its
 * work does not need (sandbox.h).
 */

#include "shim/common/options.h"
#include "shim/common/sandbox.h"
#include "transport/composefs/repository.h"
#include "transport/containers-storage/store.h"

/* A row for a table of options; the bool starts as true. */
#define SFD_SANDBOX_OPTION(wanted)                                                                 \
	{                                                                                          \
		"sandbox", 0, SFD_OPTION_FLAG, (wanted), 0, 0, NULL,                               \
			"Give up beforehand what the work does not need (default; --no-sandbox)"   \
	}

/* What the rest of the work needs; all borrowed. */
struct sfd_needs {
	enum sfd_sandbox_reading reading;
	const struct splitfd_store *store; /* is read; NULL: none */
	/* Is read, and written where it is open for that; NULL: none. */
	const struct splitfd_repository *repository;
	int objects;		 /* an objects directory that is written; negative: none */
	bool spool;		 /* bytes are kept aside in $TMPDIR or /var/tmp */
	const char *socket_path; /* will be made and removed; NULL: none */
};

/* Gives up the rest. Nothing where it is not `wanted`, and where the store has files that another
 * program may have to open, which is only started then (rootless). Before any thread but such as
 * only wait. */
void sfd_confine(bool wanted, const struct sfd_needs *needs);

/* What has to be added to an error's text: "" or, where the sandbox may be the cause, " (…)". */
const char *sfd_confine_hint(const struct splitfd_error *err);

#endif
