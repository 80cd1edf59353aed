/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_TESTS_SOCKET_PIECES_H
#define SPLITFD_TESTS_SOCKET_PIECES_H

/*
 * A peer on a socket that sends any bytes. Bytes 1 to 8 are not sent: they end a write and say how
 * many descriptors, less one, are attached to the next.
 */

#include "transport/rpc/fdpass.h"

#include <assert.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

/* What any socket holds without a reader. */
#define SIZE_MAX_SENT	16384
#define WRITES_MAX_SENT 64

/* Each descriptor is `file`. All of it is on its way when this returns, and nothing follows. */
static inline void send_pieces(int socket, int file, const uint8_t *data, size_t size)
{
	const int fds[7] = { file, file, file, file, file, file, file };
	size_t n_fds = 0, from = 0, writes = 0;

	for (size_t i = 0; i <= size && writes < WRITES_MAX_SENT; i++) {
		if (i < size && (data[i] == 0 || data[i] > 8))
			continue;
		if (i > from)
			(void)splitfd_fds_send(
				socket, data + from, i - from, fds, n_fds, 1000, NULL);
		writes += i > from;
		n_fds = i < size ? (size_t)data[i] - 1 : 0;
		from = i + 1;
	}
	(void)shutdown(socket, SHUT_WR);
}

/* The lowest free number: the same before and after where nothing was left open. -1: none. */
static inline int lowest_free_fd(void)
{
	int fd = dup(0);

	if (fd >= 0)
		close(fd);
	return fd;
}

#endif
