/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_RPC_JSONRPC_MESSAGE_H
#define SPLITFD_RPC_JSONRPC_MESSAGE_H

/*
 * One message of jsonrpc.h from the text of its JSON, without a socket.
 */

#include "transport/rpc/jsonrpc.h"

/* `text` is `len` bytes that the scan has found to be one JSON object. -EBADMSG, with *ret_code
 * (enum sfd_jsonrpc_code), where it is none all the same (not UTF-8, half a surrogate pair), or its
 * "fds" is no count; a message that is wrong in any other way is of kind INVALID. *ret is for
 * sfd_jsonrpc_message_done in any case. */
int sfd_jsonrpc_parse(const char *text, size_t len, struct sfd_jsonrpc_message *ret, int *ret_code,
	struct splitfd_error *err);

#endif
