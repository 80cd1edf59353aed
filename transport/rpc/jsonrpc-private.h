/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_RPC_JSONRPC_PRIVATE_H
#define SPLITFD_RPC_JSONRPC_PRIVATE_H

/*
 * The connection of jsonrpc.h, for its own files.
 */

#include "splitfdstream/base/buffer.h"
#include "splitfdstream/base/clock.h"
#include "transport/rpc/fdpass.h"
#include "transport/json/json-scan.h"
#include "transport/rpc/jsonrpc.h"

/* Descriptors that came before their message's JSON was complete. */
#define SFD_JSONRPC_QUEUE_MAX ((size_t)4 * SPLITFD_FDS_MAX)

struct sfd_jsonrpc {
	int socket;
	struct sfd_jsonrpc_options options;

	struct sfd_buffer in;
	size_t start;	/* of what was not given away */
	size_t scanned; /* bytes from `start` that the scan has seen */
	struct sfd_json_scan scan;
	size_t blanks; /* whitespace since the last message */

	int queue[SFD_JSONRPC_QUEUE_MAX];
	size_t n_queued;
	uint64_t owed; /* descriptors of the last message that were not taken */

	char *out;	/* a message that waits for its first descriptors */
	uint64_t to_go; /* descriptors that are still to be sent */
	int64_t next_id;

	int failed; /* -errno of what ended the connection */
	int code;   /* what to tell the peer of it; 0: nothing */
	struct splitfd_error error;
};

/* jsonrpc-message.c: one message from the text of its JSON, without a socket. */

/* `text` is `len` bytes that the scan has found to be one JSON object. -EBADMSG, with *ret_code
 * (enum sfd_jsonrpc_code), where it is none all the same (not UTF-8, half a surrogate pair), or its
 * "fds" is no count; a message that is wrong in any other way is of kind INVALID. *ret is for
 * sfd_jsonrpc_message_done in any case. */
int sfd_jsonrpc_parse(const char *text, size_t len, struct sfd_jsonrpc_message *ret, int *ret_code,
	struct splitfd_error *err);

#endif
