/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_CONTAINERS_STORAGE_OPENER_WIRE_H
#define SPLITFD_CONTAINERS_STORAGE_OPENER_WIRE_H

/*
 * What the reader and its opener say over a SOCK_SEQPACKET pair. Both are the same program on the
 * same machine, so the numbers are the machine's own; the version is compared at the start.
 *
 *	reader  hello, with the directories of the store's layers
 *	opener  welcome
 *	reader  request, with the directory of a layer; any number of them, without waiting
 *	opener  reply to each request, in order, with the file where one was found
 *
 * Either side may close at any time.
 */

#include "splitfdstream/chunk.h"

#include <stdint.h>

#define SFD_OPENER_MAGIC 0x6f706e72U

struct sfd_opener_hello {
	uint32_t magic;
	uint32_t depth;
	char version[24]; /* SPLITFD_VERSION */
};

struct sfd_opener_welcome {
	uint32_t magic;
	uint32_t mapped; /* ids of the namespace, the fewer of uids and gids */
};

struct sfd_opener_request {
	uint64_t size;
	char name[SPLITFD_NAME_MAX]; /* as much of it as the packet has; without a NUL */
};

#define SFD_OPENER_REQUEST_MIN (sizeof(uint64_t))

struct sfd_opener_reply {
	int32_t result;					      /* enum sfd_layer_found, or -errno */
	int32_t kind;					      /* enum splitfd_error_kind */
	char text[sizeof(((struct splitfd_error *)0)->text)]; /* as request.name */
};

#define SFD_OPENER_REPLY_MIN (2 * sizeof(int32_t))

#endif
