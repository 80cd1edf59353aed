/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/rpc/seqpacket.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

/* The kernel never delivers more than this in one message. */
#define SCM_MAX 253

union control {
	struct cmsghdr header;
	char room[CMSG_SPACE(SCM_MAX * sizeof(int)) + CMSG_SPACE(64)];
};

int sfd_seqpacket_pair(int fds[2], struct splitfd_error *err)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return splitfd_error_sys(err, errno, "cannot make a socket pair");
	return 0;
}

void sfd_packet_close_fds(struct sfd_packet *packet)
{
	for (size_t i = 0; i < packet->n_fds; i++)
		packet->fds[i] = sfd_close(packet->fds[i]);
	packet->n_fds = 0;
}

static void take_fd(struct sfd_packet *packet, int fd)
{
	if (packet->n_fds == SFD_PACKET_FDS) {
		packet->cut = true;
		sfd_close(fd);
		return;
	}
	packet->fds[packet->n_fds++] = fd;
}

static void take_control(struct msghdr *message, struct sfd_packet *packet)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			take_fd(packet, fd);
		}
	}
}

static int wait_for(int socket, short events, int timeout_ms, struct splitfd_error *err)
{
	int r = sfd_wait_fd(socket, events, timeout_ms);

	if (r < 0)
		return splitfd_error_sys(err, -r, "cannot wait for the socket");
	if (r == 0)
		return splitfd_error_set(err, SPLITFD_ERROR_PEER, ETIMEDOUT,
			"the peer was silent for %d seconds", timeout_ms / 1000);
	return 0;
}

int sfd_seqpacket_receive(
	int socket, struct sfd_packet *packet, int timeout_ms, struct splitfd_error *err)
{
	union control control;
	struct iovec iov = { .iov_base = packet->data, .iov_len = packet->size - 1 };
	struct msghdr message;
	ssize_t n;

	packet->n_fds = 0;
	packet->cut = false;
	packet->len = 0;
	packet->data[0] = '\0';
	do {
		int r = wait_for(socket, POLLIN, timeout_ms, err);

		if (r < 0)
			return r;
		message = (struct msghdr){ .msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = &control,
			.msg_controllen = sizeof(control) };
		n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	} while (n < 0 && (errno == EINTR || errno == EAGAIN));
	if (n < 0 && errno == ECONNRESET)
		return 0;
	if (n < 0)
		return splitfd_error_sys(err, errno, "cannot receive from the socket");
	take_control(&message, packet);
	if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		packet->cut = true;
	packet->len = (size_t)n;
	packet->data[n] = '\0';
	if (n == 0 && packet->n_fds == 0)
		return 0;
	return 1;
}

int sfd_seqpacket_send(int socket, const void *data, size_t n, const int *fds, size_t n_fds,
	int timeout_ms, struct splitfd_error *err)
{
	union control control;
	struct iovec iov = { .iov_base = (void *)(uintptr_t)data, .iov_len = n };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t sent;

	if (n_fds > SFD_PACKET_FDS)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, EINVAL,
			"%zu descriptors do not go into one packet", n_fds);
	if (n_fds > 0) {
		memset(&control, 0, sizeof(control));
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, n_fds * sizeof(int));
	}
	do {
		int r = wait_for(socket, POLLOUT, timeout_ms, err);

		if (r < 0)
			return r;
		sent = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (sent < 0 && (errno == EINTR || errno == EAGAIN));
	if (sent < 0 && (errno == EPIPE || errno == ECONNRESET))
		return splitfd_error_set(err, SPLITFD_ERROR_PEER, EPIPE, "the peer has closed");
	if (sent < 0)
		return splitfd_error_sys(err, errno, "cannot send %zu bytes", n);
	if ((size_t)sent != n)
		return splitfd_error_set(err, SPLITFD_ERROR_PEER, EIO,
			"the socket accepted %zd of %zu bytes", sent, n);
	return 0;
}
