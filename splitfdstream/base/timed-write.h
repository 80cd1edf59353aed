/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_BASE_TIMED_WRITE_H
#define SPLITFD_BASE_TIMED_WRITE_H

/*
 * Writing to a reader that may stop reading: a write that never blocks for longer than a time
 * limit, also where the descriptor is a blocking one that others share, whose flags are not ours to
 * change.
 */

#include <stddef.h>
#include <sys/types.h>

enum sfd_write_how {
	SFD_WRITE_ALL,	      /* no limit; or a file, a terminal */
	SFD_WRITE_NONBLOCK,   /* fd is non-blocking */
	SFD_WRITE_SEND,	      /* a socket */
	SFD_WRITE_PIECE_WISE, /* a pipe: PIPE_BUF bytes fit where poll says that there is room */
};

struct sfd_timed_write {
	int fd;	 /* what to write to, for sendfile and the like too */
	int own; /* fd, where it is a pipe opened again (non-blocking); else -EBADF */
	int timeout_ms;
	int cancel_fd; /* for who has made it to set: waiting ends when it is readable; 0: none */
	enum sfd_write_how how;
};

/* fd is borrowed until sfd_timed_write_done. timeout_ms < 0: for ever. */
void sfd_timed_write_init(struct sfd_timed_write *w, int fd, int timeout_ms);
void sfd_timed_write_done(struct sfd_timed_write *w);

/* All n bytes. -ETIMEDOUT where the reader took nothing for timeout_ms, -EPIPE where it has gone
 * away, -ECANCELED, -errno. */
int sfd_timed_write(struct sfd_timed_write *w, const void *data, size_t n);

/* Waits for room: 0, -ETIMEDOUT, -ECANCELED, -errno. */
int sfd_timed_write_wait(const struct sfd_timed_write *w);

#endif
