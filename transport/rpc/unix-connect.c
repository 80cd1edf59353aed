/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/rpc/unix-connect.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/clock.h"
#include "splitfdstream/base/io.h"

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

/* How often a service is asked that has no room for a client. */
#define AGAIN_MS 20

/* A blocking connect(2) could be ended by nobody. */
static int connect_within(
	int fd, const struct sockaddr_un *name, size_t size, int timeout_ms, int cancel_fd)
{
	int64_t end = sfd_now_ms() + timeout_ms;

	while (connect(fd, (const struct sockaddr *)name, (socklen_t)size) < 0) {
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		if (timeout_ms > 0 && sfd_now_ms() >= end)
			return -ETIMEDOUT;
		if (sfd_wait_or_cancel(-1, 0, cancel_fd, AGAIN_MS) == -ECANCELED)
			return -ECANCELED;
	}
	return 0;
}

int sfd_unix_connect(
	const char *path, size_t len, int timeout_ms, int cancel_fd, struct splitfd_error *err)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	sfd_cleanup_fd int fd = -EBADF;
	size_t size = offsetof(struct sockaddr_un, sun_path) + len;
	int r;

	if (len == 0 || len >= sizeof(name.sun_path))
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"'%.*s' is not a path of a socket, which has 1 to %zu bytes", (int)len,
			path, sizeof(name.sun_path) - 1);
	memcpy(name.sun_path, path, len);
	/* An abstract name is all the bytes that the size counts, a path ends at its NUL. */
	if (path[0] == '@')
		name.sun_path[0] = '\0';
	else
		size++;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return splitfd_error_sys(err, errno, "cannot make a socket");
	r = connect_within(fd, &name, size, timeout_ms, cancel_fd);
	if (r == 0)
		return sfd_take_fd(&fd);
	if (r == -ECANCELED)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, ECANCELED, "interrupted");
	if (r == -ETIMEDOUT)
		return splitfd_error_set(err, SPLITFD_ERROR_PEER, ETIMEDOUT,
			"%.*s: the service there accepts no connection", (int)len, path);
	if (r == -ECONNREFUSED)
		return splitfd_error_set(err, SPLITFD_ERROR_NOT_FOUND, ECONNREFUSED,
			"%.*s: no service listens there", (int)len, path);
	return splitfd_error_sys(err, -r, "%.*s: cannot connect", (int)len, path);
}
