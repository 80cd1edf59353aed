/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/rpc/socket-wait.h"
#include "splitfdstream/base/clock.h"
#include "splitfdstream/base/io.h"

#include <errno.h>

int64_t sfd_deadline(int timeout_ms)
{
	return timeout_ms > 0 ? sfd_now_ms() + timeout_ms : -1;
}

int sfd_left_until(int64_t deadline)
{
	int64_t left = deadline - sfd_now_ms();

	if (deadline < 0)
		return -1;
	return left > 0 ? (int)left : 0;
}

int sfd_socket_wait(
	int socket, short events, int64_t deadline, int cancel_fd, struct splitfd_error *err)
{
	int r = sfd_wait_or_cancel(socket, events, cancel_fd, sfd_left_until(deadline));

	if (r == -ECANCELED)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, ECANCELED, "interrupted");
	if (r == 0)
		return splitfd_error_set(err, SPLITFD_ERROR_PEER, ETIMEDOUT,
			"the peer on the socket was silent for too long");
	return r > 0 ? 0 : splitfd_error_sys(err, -r, "cannot wait for a socket");
}
