/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/base/timed-write.h"
#include "splitfdstream/base/fd.h"
#include "splitfdstream/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

void sfd_timed_write_init(struct sfd_timed_write *w, int fd, int timeout_ms)
{
	int flags = fcntl(fd, F_GETFL);
	struct stat st;

	*w = (struct sfd_timed_write){ .fd = fd, .own = -EBADF, .timeout_ms = timeout_ms };
	if (timeout_ms < 0 || flags < 0 || fstat(fd, &st) < 0)
		return;
	if (S_ISSOCK(st.st_mode))
		w->how = SFD_WRITE_SEND;
	else if ((flags & O_NONBLOCK) != 0)
		w->how = SFD_WRITE_NONBLOCK;
	else if (S_ISFIFO(st.st_mode))
		w->how = SFD_WRITE_PIECE_WISE;
	if (w->how != SFD_WRITE_PIECE_WISE)
		return;
	/* The pipe of another user, or one without /proc, stays as it is. */
	w->own = sfd_reopen(fd, O_WRONLY | O_NONBLOCK);
	if (w->own < 0) {
		w->own = -EBADF;
		return;
	}
	w->fd = w->own;
	w->how = SFD_WRITE_NONBLOCK;
}

void sfd_timed_write_done(struct sfd_timed_write *w)
{
	w->own = sfd_close(w->own);
}

int sfd_timed_write_wait(const struct sfd_timed_write *w)
{
	int r = sfd_wait_or_cancel(w->fd, POLLOUT, w->cancel_fd, w->timeout_ms);

	if (r == 0)
		return -ETIMEDOUT;
	return r < 0 ? r : 0;
}

static ssize_t write_some(const struct sfd_timed_write *w, const void *data, size_t n)
{
	ssize_t put;

	if (w->how == SFD_WRITE_SEND)
		put = send(w->fd, data, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	else
		put = write(w->fd, data, n);
	return put < 0 ? -errno : put;
}

int sfd_timed_write(struct sfd_timed_write *w, const void *data, size_t n)
{
	const char *at = data;

	if (w->how == SFD_WRITE_ALL)
		return sfd_write_all(w->fd, data, n);
	while (n > 0) {
		bool pieces = w->how == SFD_WRITE_PIECE_WISE;
		ssize_t put = pieces ? sfd_timed_write_wait(w) : 0;

		if (put == 0)
			put = write_some(w, at, pieces && n > PIPE_BUF ? PIPE_BUF : n);
		if (put == -EAGAIN)
			put = sfd_timed_write_wait(w);
		if (put < 0 && put != -EINTR)
			return (int)put;
		if (put > 0) {
			at += put;
			n -= (size_t)put;
		}
	}
	return 0;
}
