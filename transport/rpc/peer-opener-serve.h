/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_RPC_PEER_OPENER_SERVE_H
#define SPLITFD_RPC_PEER_OPENER_SERVE_H

/*
 * The process of peer-opener.h, and what is said over its SOCK_SEQPACKET pair: first a reply that
 * says whether it has become the user, then a reply to each request, with the file where it could
 * be opened. A request comes with the directory.
 */

#include "splitfdstream/chunk.h"
#include "transport/rpc/peer-rights.h"

#include <stdint.h>

struct sfd_peer_request {
	uint64_t size;
	char name[SPLITFD_NAME_MAX]; /* as much of it as the packet has; without a NUL */
};

#define SFD_PEER_REQUEST_MIN (sizeof(uint64_t))

struct sfd_peer_reply {
	int32_t result;					      /* 0 or -errno */
	int32_t kind;					      /* enum splitfd_error_kind */
	char text[sizeof(((struct splitfd_error *)0)->text)]; /* as request.name */
};

#define SFD_PEER_REPLY_MIN (2 * sizeof(int32_t))

/* Called in a new process, and never returns. */
_Noreturn void sfd_peer_opener_serve(int socket, const struct sfd_peer_identity *who);

#endif
