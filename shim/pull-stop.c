/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/pull-stop.h"
#include "splitfdstream/base/fd.h"
#include "splitfdstream/base/flag.h"

#include <errno.h>
#include <sys/eventfd.h>

int sfd_pull_stop_init(struct sfd_pull_stop *stop, struct splitfd_error *err)
{
	*stop = (struct sfd_pull_stop){ .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	return stop->fd >= 0 ? 0 : splitfd_error_sys(err, errno, "cannot make an eventfd");
}

void sfd_pull_stop_done(struct sfd_pull_stop *stop)
{
	stop->fd = sfd_close(stop->fd);
}

void sfd_pull_stop_now(struct sfd_pull_stop *stop)
{
	sfd_flag_set(&stop->flag, 1);
	(void)eventfd_write(stop->fd, 1);
}
