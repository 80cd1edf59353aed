/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/rpc/fdpass.h"
#include "splitfdstream/base/clock.h"
#include "splitfdstream/base/fd.h"
#include "splitfdstream/base/io.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(SPLITFD_FDS_MAX * sizeof(int))];
};

static int silent(int timeout_ms, struct splitfd_error *err)
{
	return splitfd_error_set(err, SPLITFD_ERROR_PEER, ETIMEDOUT,
		"the peer on the socket was silent for %d ms", timeout_ms);
}

/* The kernel counts descriptors under way by user and tells nobody when the count falls: the only
 * way to wait is to look again. */
static int wait_for_refs(int64_t since, int timeout_ms, struct splitfd_error *err)
{
	const struct timespec pause = { .tv_nsec = 2 * 1000 * 1000 };

	if (timeout_ms >= 0 && sfd_now_ms() - since > timeout_ms)
		return silent(timeout_ms, err);
	(void)nanosleep(&pause, NULL);
	return 0;
}

/* After a failed send: 0 to try again. */
static int send_failed(int socket, int64_t since, int timeout_ms, struct splitfd_error *err)
{
	int r = errno;

	if (r == EINTR)
		return 0;
	if (r == ETOOMANYREFS)
		return wait_for_refs(since, timeout_ms, err);
	if (r == EAGAIN) {
		r = sfd_wait_fd(socket, POLLOUT, timeout_ms);
		if (r == 0)
			return silent(timeout_ms, err);
		return r > 0 ? 0 : splitfd_error_sys(err, -r, "cannot wait for a socket");
	}
	if (r == EPIPE || r == ECONNRESET)
		return splitfd_error_set(
			err, SPLITFD_ERROR_PEER, EPIPE, "the peer has closed the socket");
	return splitfd_error_sys(err, r, "cannot send over a socket");
}

static void attach(struct msghdr *msg, union control *control, const int *fds, size_t n_fds)
{
	struct cmsghdr *c;

	if (n_fds == 0)
		return;
	msg->msg_control = control;
	msg->msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
	c = CMSG_FIRSTHDR(msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
	memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
}

int splitfd_fds_send(int socket, const void *data, size_t n, const int *fds, size_t n_fds,
	int timeout_ms, struct splitfd_error *err)
{
	union control control = { 0 };
	const char *at = data;
	int64_t since = sfd_now_ms();

	if (n == 0 || n_fds > SPLITFD_FDS_MAX)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, EINVAL,
			"%zu descriptors with %zu bytes cannot be one message", n_fds, n);
	while (n > 0) {
		/* const: sendmsg does not write to it */
		struct iovec iov = { .iov_base = (void *)(uintptr_t)at, .iov_len = n };
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
		ssize_t sent;

		attach(&msg, &control, fds, n_fds);
		sent = sendmsg(socket, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0) {
			int r = send_failed(socket, since, timeout_ms, err);

			if (r < 0)
				return r;
			continue;
		}
		at += sent;
		n -= (size_t)sent;
		n_fds = 0;
		since = sfd_now_ms();
	}
	return 0;
}

/* Collects the descriptors of a message. False where there is anything else in it. */
static bool collect(struct msghdr *msg, int *fds, size_t max_fds, size_t *n_fds)
{
	bool good = true;

	*n_fds = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		size_t bytes = c->cmsg_len - CMSG_LEN(0);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
			c->cmsg_len < CMSG_LEN(0) || bytes % sizeof(int) != 0) {
			good = false;
			continue;
		}
		for (size_t i = 0; i < bytes / sizeof(int); i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (*n_fds < max_fds) {
				fds[(*n_fds)++] = fd;
			} else {
				sfd_close(fd);
				good = false;
			}
		}
	}
	return good;
}

static ssize_t receive_message(int socket, struct msghdr *msg, int timeout_ms)
{
	for (;;) {
		ssize_t got;
		int r = sfd_wait_fd(socket, POLLIN, timeout_ms);

		if (r <= 0)
			return r < 0 ? r : -ETIMEDOUT;
		got = recvmsg(socket, msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
		if (got >= 0)
			return got;
		if (errno != EINTR && errno != EAGAIN)
			return -errno;
	}
}

ssize_t splitfd_fds_receive(int socket, void *buffer, size_t n, int *fds, size_t max_fds,
	size_t *ret_n_fds, int timeout_ms, struct splitfd_error *err)
{
	union control control;
	struct iovec iov = { .iov_base = buffer, .iov_len = n };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	size_t n_fds;
	ssize_t got = receive_message(socket, &msg, timeout_ms);
	bool good;

	if (got == -ETIMEDOUT)
		return silent(timeout_ms, err);
	if (got == -ECONNRESET)
		return splitfd_error_set(
			err, SPLITFD_ERROR_PEER, ECONNRESET, "the peer has closed the socket");
	if (got < 0)
		return splitfd_error_sys(err, (int)-got, "cannot receive from a socket");
	good = collect(&msg, fds, max_fds, &n_fds);
	if (good && (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0) {
		*ret_n_fds = n_fds;
		return got;
	}
	for (size_t i = 0; i < n_fds; i++)
		sfd_close(fds[i]);
	if ((msg.msg_flags & MSG_CTRUNC) != 0)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, EMFILE,
			"a message brought more descriptors than this process can hold; raise "
			"the limit of open files (ulimit -n)");
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
		"a message on the socket holds more than it should");
}

int splitfd_fds_check_socket(int fd, const char *what, int *ret_type, struct splitfd_error *err)
{
	int domain = 0, type = 0;
	socklen_t len = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0 ||
		getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || domain != AF_UNIX ||
		(type != SOCK_SEQPACKET && type != SOCK_STREAM))
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, ENOTSOCK,
			"%s is not a Unix socket of type SOCK_SEQPACKET or SOCK_STREAM", what);
	if (ret_type != NULL)
		*ret_type = type;
	return 0;
}
