/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_RPC_UNIX_CONNECT_H
#define SPLITFD_RPC_UNIX_CONNECT_H

#include "splitfdstream/base/error.h"

/* Connects to the Unix stream socket at the path of `len` bytes (no NUL is looked for), "@NAME" for
 * an abstract one. Where the service accepts nobody, waits timeout_ms (0 or less: for ever) at
 * most, and not once cancel_fd (0: none) is readable: -ETIMEDOUT (PEER), -ECANCELED. Returns the
 * socket, the caller's. NOT_FOUND where nobody listens there. */
int sfd_unix_connect(
	const char *path, size_t len, int timeout_ms, int cancel_fd, struct splitfd_error *err);

#endif
