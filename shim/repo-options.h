/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_REPO_OPTIONS_H
#define SPLITFD_SHIM_REPO_OPTIONS_H

/*
 * Which repository: cfsctl's own options, shared by all commands that work on one.
 */

#include "shim/options.h"
#include "transport/composefs/repository.h"

struct sfd_repo_options {
	const char *path;
	bool user, system;
};

/* Rows for a table of options. */
#define SFD_REPO_OPTIONS(o)                                                                        \
	{ "repo", 0, SFD_OPTION_STRING, &(o)->path, 0, 0, "DIR", "The composefs repository" },     \
		{ "user", 0, SFD_OPTION_FLAG, &(o)->user, 0, 0, NULL,                              \
			"The user's repository, $HOME/.var/lib/composefs" },                       \
	{                                                                                          \
		"system", 0, SFD_OPTION_FLAG, &(o)->system, 0, 0, NULL,                            \
			"The system's repository, /sysroot/composefs (default for root)"           \
	}

/* The repository's path: --repo, --user, --system; without any, the system's for root and the
 * user's for others. More than one is a USAGE error. *ret is the caller's to free. */
int sfd_repo_path(const struct sfd_repo_options *o, char **ret, struct splitfd_error *err);

/* Opens it; see splitfd_repository_open. */
int sfd_repo_open(const struct sfd_repo_options *o, bool write, struct splitfd_repository **ret,
	struct splitfd_error *err);

#endif
