/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_PROXY_ARGUMENTS_H
#define SPLITFD_SHIM_PROXY_ARGUMENTS_H

/*
 * The command line of the image proxy: skopeo's own flags, which also go to the real skopeo, and
 * ours, which do not.
 */

#include "shim/common/command.h"
#include "shim/common/options.h"

struct sfd_proxy_arguments {
	long sockfd, lock_timeout; /* seconds; 0: the default */
	const char *skopeo, *policy;
	const char *announce; /* the protocol's version for Initialize */
	bool insecure_policy;
	const char *conflict; /* of credentials; NULL: none */
	int stall_ms;
	struct sfd_strings forwarded; /* NULL-terminated, each malloc'd */
};

/* 1 after --help. The caller calls sfd_proxy_arguments_done whatever the result. */
int sfd_proxy_parse_arguments(const struct sfd_command *command, int argc, char **argv,
	struct sfd_proxy_arguments *ret, struct splitfd_error *err);
void sfd_proxy_arguments_done(struct sfd_proxy_arguments *arguments);

#endif
