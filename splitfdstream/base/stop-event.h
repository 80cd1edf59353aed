/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_BASE_STOP_EVENT_H
#define SPLITFD_BASE_STOP_EVENT_H

/*
 * Ends work from another thread: a flag that it looks at, and a descriptor that becomes readable
 * with the flag, for where it waits for a peer.
 */

#include "splitfdstream/base/error.h"

struct sfd_stop_event {
	volatile int flag;
	int fd;
};

int sfd_stop_event_init(struct sfd_stop_event *stop, struct splitfd_error *err);
void sfd_stop_event_done(struct sfd_stop_event *stop);

/* The work ends as soon as it can. Any thread. */
void sfd_stop_event_now(struct sfd_stop_event *stop);

#endif
