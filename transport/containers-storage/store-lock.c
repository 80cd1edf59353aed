/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/containers-storage/store-lock.h"

#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"
#include "transport/containers-storage/store-files.h"

#include <unistd.h>

int sfd_store_lock_shared(int dirfd, const char *path, const char *place,
	const struct sfd_lock_options *options, struct splitfd_error *err)
{
	sfd_cleanup_fd int fd = sfd_store_open_file(dirfd, path);
	sfd_cleanup_free char *what = NULL;
	int r;

	if (fd == -ENOENT || fd == -ENOTDIR)
		return fd;
	if (fd < 0)
		return splitfd_error_sys(err, -fd, "%s: %s: cannot open the lock", place, path);
	what = sfd_asprintf("%s/%s", place, path);
	if (what == NULL)
		return splitfd_error_oom(err);
	r = sfd_lock_wait(fd, SFD_LOCK_RECORD, what, options, err);
	return r < 0 ? r : sfd_take_fd(&fd);
}

struct sfd_lock_options sfd_store_lock_options(
	const struct splitfd_store_options *options, int cancel_fd)
{
	return (struct sfd_lock_options){ .cancel_fd = cancel_fd,
		.timeout_ms = options->lock_timeout,
		.notice = options->lock_notice,
		.ctx = options->lock_ctx };
}
