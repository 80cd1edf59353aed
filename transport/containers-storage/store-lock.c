/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/containers-storage/store-lock.h"

#include "splitfdstream/base/cleanup.h"
#include "transport/containers-storage/store-files.h"

#include <fcntl.h>
#include <unistd.h>

int sfd_store_lock_shared(int dirfd, const char *path, struct splitfd_error *err)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
	sfd_cleanup_fd int fd = sfd_store_open_file(dirfd, path);

	if (fd == -ENOENT)
		return -ENOENT;
	if (fd < 0)
		return splitfd_error_sys(err, -fd, "%s: cannot open the lock", path);
	if (fcntl(fd, F_OFD_SETLKW, &lock) < 0)
		return splitfd_error_sys(err, errno, "%s: cannot lock", path);
	return sfd_take_fd(&fd);
}
