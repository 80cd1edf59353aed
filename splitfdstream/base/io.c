/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/base/io.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int sfd_wait_or_cancel(int fd, short events, int cancel_fd, int timeout_ms)
{
	int64_t end = timeout_ms < 0 ? 0 : sfd_now_ms() + timeout_ms;

	for (;;) {
		struct pollfd p[2] = {
			{ .fd = fd, .events = events },
			{ .fd = cancel_fd > 0 ? cancel_fd : -1, .events = POLLIN },
		};
		int64_t left = timeout_ms < 0 ? -1 : end - sfd_now_ms();
		int r;

		if (timeout_ms >= 0 && left < 0)
			left = 0;
		r = poll(p, 2, (int)left);
		if (r > 0 && p[1].revents != 0)
			return -ECANCELED;
		if (r > 0)
			return (p[0].revents & POLLNVAL) != 0 ? -EBADF : 1;
		if (r == 0)
			return 0;
		if (errno != EINTR)
			return -errno;
	}
}

int sfd_wait_fd(int fd, short events, int timeout_ms)
{
	return sfd_wait_or_cancel(fd, events, 0, timeout_ms);
}

/* After a failed call: 0 if it is to be tried again, else -errno. */
static int retry(int fd, short events)
{
	if (errno == EINTR)
		return 0;
	if (errno == EAGAIN) {
		int r = sfd_wait_fd(fd, events, -1);

		return r < 0 ? r : 0;
	}
	return -errno;
}

ssize_t sfd_read_some(int fd, void *buffer, size_t n)
{
	for (;;) {
		ssize_t got = read(fd, buffer, n);
		int r;

		if (got >= 0)
			return got;
		r = retry(fd, POLLIN);
		if (r < 0)
			return r;
	}
}

ssize_t sfd_read_upto(int fd, void *buffer, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t got = sfd_read_some(fd, (char *)buffer + done, n - done);

		if (got < 0)
			return got;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

int sfd_pread_full(int fd, void *buffer, size_t n, uint64_t offset)
{
	size_t done = 0;

	while (done < n) {
		ssize_t got = pread(fd, (char *)buffer + done, n - done, (off_t)(offset + done));

		if (got == 0)
			return -ENODATA;
		if (got < 0) {
			if (errno != EINTR)
				return -errno;
			continue;
		}
		done += (size_t)got;
	}
	return 0;
}

int sfd_write_all(int fd, const void *buffer, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t put = write(fd, (const char *)buffer + done, n - done);

		if (put < 0) {
			int r = retry(fd, POLLOUT);

			if (r < 0)
				return r;
			continue;
		}
		done += (size_t)put;
	}
	return 0;
}

int sfd_pwrite_all(int fd, const void *buffer, size_t n, uint64_t offset)
{
	size_t done = 0;

	while (done < n) {
		ssize_t put =
			pwrite(fd, (const char *)buffer + done, n - done, (off_t)(offset + done));

		if (put < 0) {
			if (errno != EINTR)
				return -errno;
			continue;
		}
		done += (size_t)put;
	}
	return 0;
}

int sfd_read_file_fd(int fd, size_t max, char **ret_data, size_t *ret_size)
{
	sfd_cleanup_free char *data = NULL;
	struct stat st;
	size_t size;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if ((uint64_t)st.st_size > max)
		return -EFBIG;
	size = (size_t)st.st_size;
	data = malloc(size + 1);
	if (data == NULL)
		return -ENOMEM;
	r = sfd_pread_full(fd, data, size, 0);
	if (r < 0)
		return r;
	data[size] = '\0';
	*ret_data = sfd_take_ptr(&data);
	*ret_size = size;
	return 0;
}
