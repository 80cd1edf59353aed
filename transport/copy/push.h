/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COPY_PUSH_H
#define SPLITFD_COPY_PUSH_H

/*
 * A push: the layers that a composefs service does not have, then config, manifest and tag.
 */

#include "transport/copy/layer-origin.h"
#include "transport/copy/listener.h"
#include "transport/copy/push-report.h"

struct sfd_push_options {
	const char *reference;	/* as given: transport and all */
	const char *name;	/* the tag; NULL: the reference */
	const char *to;		/* the service's socket */
	const char *repository; /* the path of the repository that the service opens … */
	bool user, system;	/* … or its own one of these, which is there for us */
	struct sfd_origin_options origin;	  /* its `stop` ends the push, too */
	bool zerocopy;				  /* fail rather than copy a file */
	long timeout;				  /* seconds; 0: none */
	const struct sfd_copy_listener *listener; /* NULL: nobody listens */
};

/* *ret->tag borrows from the options. */
int sfd_push(
	struct sfd_push_options *options, struct sfd_push_report *ret, struct splitfd_error *err);

#endif
