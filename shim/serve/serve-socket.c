/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/serve/serve-socket.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"
#include "transport/rpc/fdpass.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define FIRST_ACTIVATED 3

void sfd_serve_sockets_done(struct sfd_serve_sockets *sockets)
{
	struct stat st;

	if (sockets->path != NULL && lstat(sockets->path, &st) == 0 && S_ISSOCK(st.st_mode) &&
		st.st_dev == sockets->dev && st.st_ino == sockets->ino)
		(void)unlink(sockets->path);
	free(sockets->path);
	sockets->path = NULL;
	for (size_t i = 0; i < sockets->n; i++)
		sfd_close(sockets->items[i].fd);
	sockets->n = 0;
}

/* Takes fd, always. */
static int add(
	struct sfd_serve_sockets *sockets, int fd, const char *what, struct splitfd_error *err)
{
	sfd_cleanup_fd int owned = sfd_fd_sane(fd);
	int type = 0, listening = 0, r;
	socklen_t size = sizeof(listening);

	if (owned < 0)
		return splitfd_error_sys(err, -owned, "%s", what);
	r = splitfd_fds_check_socket(owned, what, &type, err);
	if (r < 0)
		return r;
	if (type != SOCK_STREAM || sockets->n == SFD_SERVE_SOCKETS_MAX)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EPROTOTYPE,
			"%s: only stream sockets are served, and at most %d", what,
			SFD_SERVE_SOCKETS_MAX);
	if (getsockopt(owned, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) < 0)
		return splitfd_error_sys(err, errno, "%s", what);
	sockets->items[sockets->n].listening = listening != 0;
	sockets->items[sockets->n++].fd = sfd_take_fd(&owned);
	return 0;
}

/* What is at the path may go where it is a socket that nobody listens at. */
static int remove_stale(const struct sockaddr_un *name, struct splitfd_error *err)
{
	sfd_cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct stat st;

	if (fd < 0)
		return splitfd_error_sys(err, errno, "cannot make a socket");
	if (lstat(name->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : splitfd_error_sys(err, errno, "%s", name->sun_path);
	if (!S_ISSOCK(st.st_mode) ||
		connect(fd, (const struct sockaddr *)name, sizeof(*name)) == 0 ||
		errno != ECONNREFUSED)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, EADDRINUSE,
			"%s: %s; choose another --socket", name->sun_path,
			S_ISSOCK(st.st_mode) ? "a service listens there already"
					     : "there is a file that is not a socket");
	if (unlink(name->sun_path) < 0)
		return splitfd_error_sys(err, errno, "%s: cannot remove", name->sun_path);
	return 0;
}

static int bind_at(int fd, const struct sockaddr_un *name, mode_t mode, struct splitfd_error *err)
{
	int r = remove_stale(name, err);
	mode_t mask;

	if (r < 0)
		return r;
	/* The file gets the socket's mode, less the mask. A chmod(2) of its path afterwards could
	 * meet another file. */
	mask = umask(0);
	r = fchmod(fd, mode) < 0 || bind(fd, (const struct sockaddr *)name, sizeof(*name)) < 0
		    ? -errno
		    : 0;
	(void)umask(mask);
	if (r < 0)
		return splitfd_error_sys(err, -r, "%s: cannot bind", name->sun_path);
	if (listen(fd, SOMAXCONN) < 0)
		return splitfd_error_sys(err, errno, "%s: cannot listen", name->sun_path);
	return 0;
}

int sfd_serve_listen(
	struct sfd_serve_sockets *sockets, const char *path, mode_t mode, struct splitfd_error *err)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	sfd_cleanup_fd int fd = -EBADF;
	struct stat st;
	int r;

	if (path[0] == '\0' || strlen(path) >= sizeof(name.sun_path))
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, ENAMETOOLONG,
			"--socket needs a path of 1 to %zu bytes", sizeof(name.sun_path) - 1);
	(void)snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return splitfd_error_sys(err, errno, "cannot make a socket");
	r = bind_at(fd, &name, mode, err);
	if (r < 0)
		return r;
	/* Absolute, so that it is found where somebody changes the directory. */
	sockets->path = realpath(path, NULL);
	if (sockets->path == NULL || lstat(sockets->path, &st) < 0)
		return splitfd_error_sys(err, errno, "%s", path);
	sockets->dev = st.st_dev;
	sockets->ino = st.st_ino;
	return add(sockets, sfd_take_fd(&fd), path, err);
}

/* A standard descriptor's number must not be used again by something else. */
static int move_away(int fd)
{
	sfd_cleanup_fd int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	sfd_cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (copy < 0 || null < 0 || dup2(null, fd) < 0)
		return -errno;
	return sfd_take_fd(&copy);
}

int sfd_serve_inherit(struct sfd_serve_sockets *sockets, int fd, struct splitfd_error *err)
{
	if (fcntl(fd, F_GETFD) < 0)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EBADF,
			"--fd=%d: there is no such descriptor", fd);
	if (fd <= 2)
		fd = move_away(fd);
	if (fd < 0)
		return splitfd_error_sys(err, -fd, "--fd");
	return add(sockets, fd, "--fd", err);
}

static bool number_of(const char *name, uint64_t max, uint64_t *ret)
{
	const char *text = getenv(name);

	return text != NULL && sfd_parse_u64(text, max, ret);
}

int sfd_serve_activation(struct sfd_serve_sockets *sockets, struct splitfd_error *err)
{
	uint64_t pid = 0, n = 0;
	bool ours = number_of("LISTEN_PID", INT_MAX, &pid) &&
		    number_of("LISTEN_FDS", INT_MAX, &n) && pid == (uint64_t)getpid();

	if (!ours)
		return 0;
	(void)unsetenv("LISTEN_PID");
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_FDNAMES");
	if (n > SFD_SERVE_SOCKETS_MAX)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, E2BIG,
			"LISTEN_FDS hands over %llu sockets; at most %d are served",
			(unsigned long long)n, SFD_SERVE_SOCKETS_MAX);
	for (int i = 0; i < (int)n; i++) {
		int r = add(sockets, FIRST_ACTIVATED + i, "socket activation", err);

		if (r < 0)
			return r;
	}
	return (int)n;
}
