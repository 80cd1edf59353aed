/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_BASE_RING_H
#define SPLITFD_BASE_RING_H

#include <errno.h>
#include <sys/eventfd.h>

/* Makes an eventfd (EFD_NONBLOCK) readable. May be called in a signal handler; changes errno.
 * Cannot fail: a counter that is full is readable already, and an interrupted call is repeated. */
static inline void sfd_ring(int event_fd)
{
	while (eventfd_write(event_fd, 1) < 0 && errno == EINTR)
		;
}

#endif
