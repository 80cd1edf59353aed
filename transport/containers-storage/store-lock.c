/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/containers-storage/store-lock.h"

#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/lock-wait.h"
#include "transport/containers-storage/store-files.h"

#include <fcntl.h>
#include <unistd.h>

static int lock_file(int fd, bool wait)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };

	return fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &lock);
}

int sfd_store_lock_shared(int dirfd, const char *path, int cancel_fd, struct splitfd_error *err)
{
	sfd_cleanup_fd int fd = sfd_store_open_file(dirfd, path);
	int r;

	if (fd == -ENOENT)
		return -ENOENT;
	if (fd < 0)
		return splitfd_error_sys(err, -fd, "%s: cannot open the lock", path);
	r = sfd_lock_wait(lock_file, fd, cancel_fd);
	if (r == -ECANCELED)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, ECANCELED, "interrupted");
	if (r < 0)
		return splitfd_error_sys(err, -r, "%s: cannot lock", path);
	return sfd_take_fd(&fd);
}
