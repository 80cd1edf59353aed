/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Look-ups of one name that may be disturbed by renames. */
#define RACES_MAX 128

int sfd_close(int fd)
{
	if (fd >= 0) {
		int saved_errno = errno;

		/* Linux frees the number whatever close says: trying again could close
		 * a descriptor that another thread has just been given. */
		(void)close(fd);
		errno = saved_errno;
	}
	return -EBADF;
}

int sfd_take_fd(int *fd)
{
	int taken = *fd;

	*fd = -EBADF;
	return taken;
}

int sfd_openat2(int dirfd, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
	struct open_how how = { .flags = flags | O_CLOEXEC, .mode = mode, .resolve = resolve };
	int races = 0;

	for (;;) {
		long r = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));

		if (r >= 0)
			return (int)r;
		/* EAGAIN: a rename raced with a confined look-up; the kernel asks to try again.
		 * Who renames for ever, or holds a lease on the file, shall not keep us here. */
		if (errno != EINTR && (errno != EAGAIN || ++races > RACES_MAX))
			return -errno;
	}
}

int sfd_reopen(int fd, int flags)
{
	char path[32];
	int r;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	do
		r = open(path, flags | O_CLOEXEC);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

int sfd_open_regular(int dirfd, const char *path, uint64_t resolve)
{
	int fd, r, path_fd = sfd_openat2(dirfd, path, O_PATH, 0, resolve);
	struct stat st;

	if (path_fd < 0)
		return path_fd;
	r = fstat(path_fd, &st) < 0 ? -errno : S_ISREG(st.st_mode) ? 0 : -EINVAL;
	fd = r < 0 ? r : sfd_reopen(path_fd, O_RDONLY);
	sfd_close(path_fd);
	return fd;
}

int sfd_check_regular(
	int fd, uint64_t size, const char *what, uint64_t *ret_size, struct splitfd_error *err)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fstat(fd, &st) < 0)
		return splitfd_error_sys(err, errno, "%s: cannot examine the descriptor", what);
	if (!S_ISREG(st.st_mode))
		return splitfd_error_set(
			err, SPLITFD_ERROR_REFUSED, EINVAL, "%s: not a regular file", what);
	if ((flags & O_PATH) != 0 || (flags & O_ACCMODE) == O_WRONLY)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EINVAL,
			"%s: the descriptor is not open for reading", what);
	if (size != UINT64_MAX && (uint64_t)st.st_size != size)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EINVAL,
			"%s: the file has %llu bytes, the layer says %llu", what,
			(unsigned long long)st.st_size, (unsigned long long)size);
	if (ret_size != NULL)
		*ret_size = (uint64_t)st.st_size;
	return 0;
}

int sfd_check_directory(int fd, struct splitfd_error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return splitfd_error_sys(err, errno, "cannot examine a directory descriptor");
	return S_ISDIR(st.st_mode) ? 0
				   : splitfd_error_set(err, SPLITFD_ERROR_REFUSED, ENOTDIR,
					     "a descriptor that should be a directory is none");
}

int sfd_fd_sane(int fd)
{
	int flags, moved;

	if (fd > 2) {
		flags = fcntl(fd, F_GETFD);
		if (flags < 0)
			return -errno;
		return fcntl(fd, F_SETFD, flags | FD_CLOEXEC) < 0 ? -errno : fd;
	}
	moved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (moved < 0) {
		int r = -errno;

		sfd_close(fd);
		return r;
	}
	sfd_close(fd);
	return moved;
}

void sfd_raise_fd_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}
