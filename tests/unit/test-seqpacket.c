/* SPDX-License-Identifier: Apache-2.0 */
/* The proxy's packets: descriptors both ways, packets that are too long or carry too much, peers
 * that are silent or gone. */
#include "splitfdstream/base/cleanup.h"
#include "transport/rpc/seqpacket.h"
#include "tests/unit/check.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

struct ends {
	int a, b;
	char data[64];
	struct sfd_packet packet;
	struct splitfd_error err;
};

static struct ends open_ends(void)
{
	struct ends e = { 0 };
	int fds[2];

	CHECK_INT(sfd_seqpacket_pair(fds, &e.err), 0);
	e.a = fds[0];
	e.b = fds[1];
	return e;
}

static int receive(struct ends *e, int timeout_ms)
{
	e->packet.data = e->data;
	e->packet.size = sizeof(e->data);
	return sfd_seqpacket_receive(e->b, &e->packet, timeout_ms, &e->err);
}

static void close_ends(struct ends *e)
{
	sfd_packet_close_fds(&e->packet);
	sfd_close(e->a);
	sfd_close(e->b);
}

static int open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Sends n copies of one descriptor, past what sfd_seqpacket_send allows. */
static void send_many(int socket, size_t n)
{
	char control[CMSG_SPACE(253 * sizeof(int))] __attribute__((aligned(8))) = { 0 };
	struct iovec iov = { .iov_base = (char[]){ 'x' }, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = CMSG_SPACE(n * sizeof(int)) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&message);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(n * sizeof(int));
	for (size_t i = 0; i < n; i++)
		memcpy(CMSG_DATA(c) + i * sizeof(int), &socket, sizeof(int));
	CHECK_INT(sendmsg(socket, &message, 0), 1);
}

TEST(packets_keep_their_bounds)
{
	struct ends e = open_ends();

	CHECK_OK(sfd_seqpacket_send(e.a, "one", 3, NULL, 0, 1000, &e.err), &e.err);
	CHECK_OK(sfd_seqpacket_send(e.a, "three", 5, NULL, 0, 1000, &e.err), &e.err);
	CHECK_INT(receive(&e, 1000), 1);
	CHECK_STR(e.packet.data, "one");
	CHECK_INT(e.packet.len, 3);
	CHECK_INT(receive(&e, 1000), 1);
	CHECK_STR(e.packet.data, "three");
	CHECK_INT(e.packet.n_fds, 0);
	CHECK(!e.packet.cut);
	close_ends(&e);
}

TEST(descriptors_come_in_order_and_close_on_exec)
{
	int before = open_fds();
	struct ends e = open_ends();
	int fds[3] = { 0, 1, 2 };

	fds[0] = e.a;
	fds[1] = e.b;
	fds[2] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	CHECK_OK(sfd_seqpacket_send(e.a, "x", 1, fds, 3, 1000, &e.err), &e.err);
	CHECK_INT(receive(&e, 1000), 1);
	CHECK_INT(e.packet.n_fds, 3);
	for (int i = 0; i < 3; i++)
		CHECK(fcntl(e.packet.fds[i], F_GETFD) & FD_CLOEXEC);
	/* The third is no socket, the first two are. */
	CHECK_INT(send(e.packet.fds[2], "", 1, MSG_NOSIGNAL | MSG_DONTWAIT), -1);
	CHECK_INT(errno, ENOTSOCK);
	/* One is taken, so it stays open. */
	sfd_close(sfd_take_fd(&e.packet.fds[1]));
	sfd_close(fds[2]);
	close_ends(&e);
	CHECK_INT(open_fds(), before);
}

TEST(a_long_packet_is_cut_and_told)
{
	struct ends e = open_ends();
	char text[200];

	memset(text, 'y', sizeof(text));
	CHECK_OK(sfd_seqpacket_send(e.a, text, sizeof(text), NULL, 0, 1000, &e.err), &e.err);
	CHECK_INT(receive(&e, 1000), 1);
	CHECK(e.packet.cut);
	CHECK_INT(e.packet.len, sizeof(e.data) - 1);
	CHECK_INT(e.packet.data[e.packet.len], 0);
	CHECK_OK(sfd_seqpacket_send(e.a, text, sizeof(e.data) - 1, NULL, 0, 1000, &e.err), &e.err);
	CHECK_INT(receive(&e, 1000), 1);
	CHECK(!e.packet.cut); /* just fits, and the last packet's rest is gone */
	close_ends(&e);
}

TEST(too_many_descriptors_are_cut_told_and_closed)
{
	int before = open_fds();
	struct ends e = open_ends();

	for (size_t n = SFD_PACKET_FDS; n <= 253; n += 83) {
		send_many(e.a, n);
		CHECK_INT(receive(&e, 1000), 1);
		CHECK_INT(e.packet.cut, n > SFD_PACKET_FDS);
		CHECK(e.packet.n_fds <= SFD_PACKET_FDS);
		sfd_packet_close_fds(&e.packet);
		CHECK_INT(open_fds(), before + 2);
	}
	CHECK(sfd_seqpacket_send(e.a, "x", 1, (int[5]){ 0 }, 5, 1000, &e.err) < 0);
	close_ends(&e);
}

TEST(silence_is_an_error_in_time)
{
	struct ends e = open_ends();
	char text[1024] = { 0 };
	int r = 0;

	CHECK_INT(receive(&e, 20), -ETIMEDOUT);
	CHECK_INT(e.err.kind, SPLITFD_ERROR_PEER);
	/* Nobody reads: at some packet the buffer is full. */
	for (int i = 0; r == 0 && i < 100000; i++)
		r = sfd_seqpacket_send(e.a, text, sizeof(text), NULL, 0, 20, &e.err);
	CHECK_INT(r, -ETIMEDOUT);
	close_ends(&e);
}

TEST(a_peer_that_is_gone)
{
	struct ends e = open_ends();

	CHECK_OK(sfd_seqpacket_send(e.a, "last", 4, NULL, 0, 1000, &e.err), &e.err);
	e.a = sfd_close(e.a);
	CHECK_INT(receive(&e, 1000), 1);
	CHECK_STR(e.packet.data, "last");
	CHECK_INT(receive(&e, 1000), 0);
	CHECK_INT(sfd_seqpacket_send(e.b, "x", 1, NULL, 0, 1000, &e.err), -EPIPE);
	CHECK_INT(e.err.kind, SPLITFD_ERROR_PEER);
	close_ends(&e);
	/* With something unread, the kernel says "reset". */
	e = open_ends();
	CHECK_OK(sfd_seqpacket_send(e.b, "unread", 6, NULL, 0, 1000, &e.err), &e.err);
	e.a = sfd_close(e.a);
	CHECK_INT(receive(&e, 1000), 0);
	close_ends(&e);
}
