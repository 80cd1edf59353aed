/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COPY_PUSH_OUTPUT_H
#define SPLITFD_COPY_PUSH_OUTPUT_H

/*
 * The stream's way into a service: a pipe, and beside it the connection on which the answer comes.
 */

#include "splitfdstream/wire.h"

struct sfd_push_pipe {
	int fd;		/* the writing end, non-blocking */
	int connection; /* borrowed */
	int timeout_ms; /* the longest time that the service may take nothing; < 0: for ever */
	int cancel_fd;	/* readable when waiting shall end (-ECANCELED); 0: none */
	uint64_t *sent; /* counts the bytes */
};

/* An output on the pipe; always takes pipe->fd. Ends with -EPIPE (kind PEER) where the service
 * closes the pipe, or answers on the connection while the pipe is full: then the answer says why.
 */
int sfd_push_output_new(
	const struct sfd_push_pipe *pipe, struct splitfd_output **ret, struct splitfd_error *err);

#endif
