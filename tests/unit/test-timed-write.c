/* SPDX-License-Identifier: Apache-2.0 */
/* Writing with a time limit, in each of the ways in which it is done. */
#include "splitfdstream/base/timed-write.h"
#include "tests/unit/check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

static uint8_t data[1 << 20];

static void pair(int kind, int fds[2])
{
	CHECK_INT(kind == SFD_WRITE_SEND ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds)
					 : pipe2(fds, O_CLOEXEC),
		0);
}

static void begin(struct sfd_timed_write *w, enum sfd_write_how how, int fd, int timeout_ms)
{
	sfd_timed_write_init(w, fd, timeout_ms);
	if (how != SFD_WRITE_PIECE_WISE) {
		CHECK_INT(w->how, how);
		return;
	}
	/* As where /proc is missing. */
	sfd_timed_write_done(w);
	w->fd = fd;
	w->how = how;
}

static const enum sfd_write_how ways[] = { SFD_WRITE_NONBLOCK, SFD_WRITE_SEND,
	SFD_WRITE_PIECE_WISE };

TEST(nobody_reads)
{
	for (int i = 0; i < 3; i++) {
		struct sfd_timed_write w;
		int fds[2];

		pair(ways[i], fds);
		begin(&w, ways[i], fds[1], 30);
		CHECK_INT(sfd_timed_write(&w, data, sizeof(data)), -ETIMEDOUT);
		sfd_timed_write_done(&w);
		close(fds[0]);
		close(fds[1]);
	}
}

TEST(nobody_will_read)
{
	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < 3; i++) {
		struct sfd_timed_write w;
		int fds[2];

		pair(ways[i], fds);
		begin(&w, ways[i], fds[1], 20000);
		close(fds[0]);
		CHECK_INT(sfd_timed_write(&w, data, sizeof(data)), -EPIPE);
		sfd_timed_write_done(&w);
		close(fds[1]);
	}
}

TEST(what_has_no_limit)
{
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC), fds[2];
	struct sfd_timed_write w;

	begin(&w, SFD_WRITE_ALL, fd, 10);
	CHECK_INT(sfd_timed_write(&w, data, sizeof(data)), 0);
	sfd_timed_write_done(&w);
	CHECK_INT(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
	pair(0, fds);
	begin(&w, SFD_WRITE_ALL, fds[1], -1);
	sfd_timed_write_done(&w);
	close(fds[0]);
	close(fds[1]);
}
