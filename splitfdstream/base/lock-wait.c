/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/base/lock-wait.h"
#include "splitfdstream/base/io.h"

#include <errno.h>

/* Nothing but a blocking call is told that a lock is free: it is looked at again, at first often.
 */
#define FIRST_MS 1
#define LAST_MS	 40

static bool is_held(int errnum)
{
	return errnum == EAGAIN || errnum == EACCES || errnum == EINTR;
}

int sfd_lock_wait(sfd_lock_fn *lock, int fd, int cancel_fd)
{
	int pause_ms = FIRST_MS;

	if (cancel_fd <= 0)
		return lock(fd, true) < 0 ? -errno : 0;
	while (lock(fd, false) < 0) {
		int r;

		if (!is_held(errno))
			return -errno;
		r = sfd_wait_or_cancel(-1, 0, cancel_fd, pause_ms);
		if (r < 0)
			return r;
		if (pause_ms < LAST_MS)
			pause_ms *= 2;
	}
	return 0;
}
