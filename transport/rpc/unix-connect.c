/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/rpc/unix-connect.h"
#include "splitfdstream/base/cleanup.h"

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

int sfd_unix_connect(const char *path, size_t len, struct splitfd_error *err)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	sfd_cleanup_fd int fd = -EBADF;
	size_t size = offsetof(struct sockaddr_un, sun_path) + len;

	if (len == 0 || len >= sizeof(name.sun_path))
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"'%.*s' is no path of a socket, which has 1 to %zu bytes", (int)len, path,
			sizeof(name.sun_path) - 1);
	memcpy(name.sun_path, path, len);
	/* An abstract name is all the bytes that the size counts, a path ends at its NUL. */
	if (path[0] == '@')
		name.sun_path[0] = '\0';
	else
		size++;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return splitfd_error_sys(err, errno, "cannot make a socket");
	if (connect(fd, (struct sockaddr *)&name, (socklen_t)size) == 0)
		return sfd_take_fd(&fd);
	if (errno == ECONNREFUSED)
		return splitfd_error_set(err, SPLITFD_ERROR_NOT_FOUND, ECONNREFUSED,
			"%.*s: no service listens there", (int)len, path);
	return splitfd_error_sys(err, errno, "%.*s: cannot connect", (int)len, path);
}
