/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_PUSH_H
#define SPLITFD_SHIM_PUSH_H

/*
 * A push: the layers that a composefs service does not have, then config, manifest and tag.
 */

#include "shim/copy/layer-origin.h"

struct sfd_push_options {
	const char *reference;	      /* as given: transport and all */
	const char *name;	      /* the tag; NULL: the reference */
	const char *to;		      /* the service's socket */
	struct sfd_repo_options repo; /* the repository that the service shall open */
	struct sfd_origin_options origin;
	bool zerocopy, json, quiet;
	long timeout; /* seconds; 0: none */
};

/* Pushes and prints. */
int sfd_push(struct sfd_push_options *options, struct splitfd_error *err);

#endif
