/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/mount/loop.h"

#include "splitfdstream/base/cleanup.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>

#define ATTEMPTS 64 /* others may take the free device first */

int sfd_loop_attach(int fd, char path[32], struct splitfd_error *err)
{
	sfd_cleanup_fd int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	struct loop_config config = {
		.fd = (uint32_t)fd,
		.block_size = 4096,
		.info = { .lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR },
	};

	if (control < 0)
		return splitfd_error_sys(err, errno, "opening /dev/loop-control");
	for (int i = 0; i < ATTEMPTS; i++) {
		sfd_cleanup_fd int loop = -EBADF;
		int n = ioctl(control, LOOP_CTL_GET_FREE);

		if (n < 0)
			return splitfd_error_sys(err, errno, "finding a free loop device");
		snprintf(path, 32, "/dev/loop%d", n);
		loop = open(path, O_RDONLY | O_CLOEXEC);
		if (loop < 0)
			return splitfd_error_sys(err, errno, "opening %s", path);
		if (ioctl(loop, LOOP_CONFIGURE, &config) == 0)
			return sfd_take_fd(&loop);
		if (errno != EBUSY)
			return splitfd_error_sys(err, errno, "attaching the image to %s", path);
	}
	return splitfd_error_set(
		err, SPLITFD_ERROR_FAILED, EBUSY, "no loop device was free for long enough");
}
