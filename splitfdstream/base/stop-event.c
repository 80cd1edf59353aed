/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/base/stop-event.h"
#include "splitfdstream/base/fd.h"
#include "splitfdstream/base/flag.h"
#include "splitfdstream/base/ring.h"

#include <errno.h>
#include <sys/eventfd.h>

int sfd_stop_event_init(struct sfd_stop_event *stop, struct splitfd_error *err)
{
	*stop = (struct sfd_stop_event){ .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	return stop->fd >= 0 ? 0 : splitfd_error_sys(err, errno, "cannot make an eventfd");
}

void sfd_stop_event_done(struct sfd_stop_event *stop)
{
	stop->fd = sfd_close(stop->fd);
}

void sfd_stop_event_now(struct sfd_stop_event *stop)
{
	sfd_flag_set(&stop->flag, 1);
	sfd_ring(stop->fd);
}
