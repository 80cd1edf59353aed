/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_PULL_STOP_H
#define SPLITFD_SHIM_PULL_STOP_H

/*
 * Ends a pull from another thread: a flag that it looks at, and a descriptor that becomes readable
 * with it where it waits for a peer.
 */

#include "splitfdstream/base/error.h"

struct sfd_pull_stop {
	volatile int flag;
	int fd;
};

int sfd_pull_stop_init(struct sfd_pull_stop *stop, struct splitfd_error *err);
void sfd_pull_stop_done(struct sfd_pull_stop *stop);

/* The pull ends as soon as it can. Any thread. */
void sfd_pull_stop_now(struct sfd_pull_stop *stop);

#endif
