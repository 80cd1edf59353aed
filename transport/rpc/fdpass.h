/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_RPC_FDPASS_H
#define SPLITFD_RPC_FDPASS_H

/*
 * Descriptors over Unix sockets (SCM_RIGHTS), and the wire formats' inputs and outputs that use
 * them. See unix(7).
 *
 * Two ways for a stream and its descriptors:
 *
 *	channel	  The bytes go through a pipe, the descriptors over a socket of their own
 *		  (SOCK_SEQPACKET, or SOCK_STREAM) in index order. Each message carries 1 to 253
 *		  descriptors and one byte that means nothing. A message is sent before the bytes
 *		  that refer to its descriptors, and after all bytes that refer to earlier ones.
 *	attached  The bytes go over the socket too; descriptors are attached to the first of the
 *		  bytes that refer to them, or to earlier ones.
 *
 * Either way the descriptors under way are few: their number is bounded by what the pipe or the
 * socket buffers.
 */

#include "splitfdstream/base/error.h"
#include "splitfdstream/wire.h"

#include <stddef.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Most descriptors of one message (the kernel's SCM_MAX_FD). */
#define SPLITFD_FDS_MAX 253

/* Sends n >= 1 bytes with n_fds <= SPLITFD_FDS_MAX descriptors (borrowed) attached to the first; on
 * SOCK_SEQPACKET as one packet. Waits at most timeout_ms (< 0: for ever) for room; where the user
 * has too many descriptors under way (ETOOMANYREFS), waits for the receiver to take some. Never
 * raises SIGPIPE. A closed peer is -EPIPE, silence -ETIMEDOUT, both of kind PEER. */
int splitfd_fds_send(int socket, const void *data, size_t n, const int *fds, size_t n_fds,
	int timeout_ms, struct splitfd_error *err);

/* Receives one message: up to n bytes and up to max_fds descriptors, CLOEXEC, the caller's. Returns
 * the bytes; 0 when the peer has closed. A message that is cut (more bytes of a packet, more
 * descriptors than max_fds or than this process may have open) or has any other ancillary data is
 * an error, and every descriptor that came with it is closed. timeout_ms as above. */
ssize_t splitfd_fds_receive(int socket, void *buffer, size_t n, int *fds, size_t max_fds,
	size_t *ret_n_fds, int timeout_ms, struct splitfd_error *err);

/* Checks that fd is a Unix socket of type SOCK_SEQPACKET or SOCK_STREAM; *ret_type (may be NULL) is
 * which. USAGE error otherwise, with `what` in front. */
int splitfd_fds_check_socket(int fd, const char *what, int *ret_type, struct splitfd_error *err);

/* A stream on `stream` whose descriptors come over `channel`. Takes both, always. Descriptors are
 * received when the stream first refers to them, and have to be referred to in order: index 0, 1,
 * 2 …; repeated, skipped and missing ones are refused, and so are any that are left when a
 * splitfdstream has ended. timeout_ms is the longest silence of the peer, < 0 for ever. */
int splitfd_input_channel_new(int stream, int channel, int timeout_ms, struct splitfd_input **ret,
	struct splitfd_error *err);

/* A stream on a Unix socket with the descriptors attached to it; the same rules. */
int splitfd_input_socket_new(
	int socket, int timeout_ms, struct splitfd_input **ret, struct splitfd_error *err);

/* The outputs that match. They take the descriptors, always. A channel's `stream` is written to as
 * by splitfd_output_new. fd_batch is the most descriptors of one message; 0 chooses: few where
 * RLIMIT_NOFILE is low, because the receiver, which lives under the same limit as a rule, has to
 * hold a whole message. */
int splitfd_output_channel_new(int stream, int channel, size_t fd_batch, int timeout_ms,
	struct splitfd_output **ret, struct splitfd_error *err);
int splitfd_output_socket_new(int socket, size_t fd_batch, int timeout_ms,
	struct splitfd_output **ret, struct splitfd_error *err);

#ifdef __cplusplus
}
#endif

#endif
