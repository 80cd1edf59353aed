/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_RPC_SOCKET_WAIT_H
#define SPLITFD_RPC_SOCKET_WAIT_H

/*
 * Waiting for a peer: until a point in time, and not once somebody cancels.
 */

#include "splitfdstream/base/error.h"

#include <stdint.h>

/* The point in time that lies so far ahead; -1, for never, where timeout_ms is 0 or less. */
int64_t sfd_deadline(int timeout_ms);
/* Milliseconds from now to a deadline, 0 where it is past; -1 where it is never. */
int sfd_left_until(int64_t deadline);

/* Waits until the socket is ready for `events` (POLLIN, POLLOUT). -ECANCELED as soon as cancel_fd
 * (0: none) is readable, -ETIMEDOUT (PEER). */
int sfd_socket_wait(
	int socket, short events, int64_t deadline, int cancel_fd, struct splitfd_error *err);

#endif
