/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_REPO_OPTIONS_H
#define SPLITFD_SHIM_REPO_OPTIONS_H

/*
 * Which repository: --repo DIR, --user or --system, as cfsctl has them. Without any, root means the
 * system's, everyone else the user's.
 */

#include "shim/common/confine.h"
#include "shim/common/options.h"
#include "transport/composefs/repository.h"
#include "transport/containers-storage/store.h"

#include <limits.h>

struct sfd_repo_options {
	const char *repo;
	bool user, system;
	bool sandbox;	   /* of a command that only reads it; see SFD_REPO_READER */
	long lock_timeout; /* seconds; 0: the default */
	int cancel_fd;	   /* as soon as it is readable, waiting for the repository's lock ends; 0:
			      the command's own (cancel.h) */
};

#define SFD_LOCK_SECONDS_MAX  1000000
#define SFD_LOCK_TIMEOUT_HELP "Fail if a lock is held for SECONDS (default 60)"

/* The rows of a command's option table. */
#define SFD_REPO_OPTIONS(o)                                                                        \
	{ "repo", 0, SFD_OPTION_STRING, &(o)->repo, 0, 0, "DIR", "The composefs repository" },     \
		{ "user", 0, SFD_OPTION_FLAG, &(o)->user, 0, 0, NULL,                              \
			"The user's repository, ~/.var/lib/composefs" },                           \
		{ "system", 0, SFD_OPTION_FLAG, &(o)->system, 0, 0, NULL,                          \
			"The system's repository, /sysroot/composefs" },                           \
	{                                                                                          \
		"lock-timeout", 0, SFD_OPTION_NUMBER, &(o)->lock_timeout, 1, SFD_LOCK_SECONDS_MAX, \
			"SECONDS", SFD_LOCK_TIMEOUT_HELP                                           \
	}

/* The same with --sandbox, which is the default: of a command that only reads the repository. */
#define SFD_REPO_READER                                                                            \
	{                                                                                          \
		.sandbox = true                                                                    \
	}
#define SFD_REPO_READER_OPTIONS(o) SFD_REPO_OPTIONS(o), SFD_SANDBOX_OPTION(&(o)->sandbox)

/* The folder that the options mean. USAGE where more than one of them is given. */
int sfd_repo_path(const struct sfd_repo_options *o, char path[PATH_MAX], struct splitfd_error *err);

/* Opens it; see sfd_repository_open. */
int sfd_repo_open(const struct sfd_repo_options *o, bool write, struct splitfd_repository **ret,
	struct splitfd_error *err);

/* Opens it for reading, and drops the privileges that reading it does not need (confine.h). Before
 * any thread. */
int sfd_repo_open_reader(const struct sfd_repo_options *o, struct splitfd_repository **ret,
	struct splitfd_error *err);

/* --lock-timeout in seconds, at most the `timeout` for silence of a command that has one (0: none
 * or none asked for). */
long sfd_lock_seconds(long lock_timeout, long timeout);

/* Puts this into the options of a store, with a notice on stderr. */
void sfd_lock_options_apply(long lock_timeout, long timeout, struct splitfd_store_options *store);

/* The value of --reflink; NULL is "auto". USAGE where it is none of the three words. */
int sfd_parse_reflink(const char *text, enum splitfd_reflink *ret, struct splitfd_error *err);

#endif
