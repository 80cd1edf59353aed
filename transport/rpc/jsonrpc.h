/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_RPC_JSONRPC_H
#define SPLITFD_RPC_JSONRPC_H

/*
 * JSON-RPC 2.0 with descriptors, as bootc-dev's jsonrpc-fdpass specifies it, over a connected Unix
 * stream socket, for both sides.
 *
 * Messages are JSON objects one behind the other, with nothing or whitespace between them. One that
 * has descriptors says how many in its member "fds". They are attached (SCM_RIGHTS) to its own
 * bytes, and where they are too many for that, to spaces behind it, one batch to a space. So they
 * belong to messages by their order alone, and none may come before its message's first byte or
 * behind the next one's.
 *
 * A message is given away as soon as its JSON is complete; its descriptors are then taken one by
 * one as they come, so that an answer with a million of them needs no more than a batch at a time.
 *
 * The peer is hostile: a message has a bound in bytes, in JSON values, in depth and in descriptors,
 * and has to be complete, or taken, within a time. Broken JSON and wrong counts of descriptors end
 * the connection, because nothing behind them can be understood; the service tells the peer why
 * before it closes. Source: the specification of jsonrpc-fdpass (its README), the crate of that
 * name and its Go counterpart as observed.
 */

#include "splitfdstream/base/error.h"
#include "splitfdstream/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cJSON;
struct sfd_jsonrpc;

enum sfd_jsonrpc_code {
	SFD_JSONRPC_PARSE_ERROR = -32700,
	SFD_JSONRPC_INVALID_REQUEST = -32600,
	SFD_JSONRPC_NO_METHOD = -32601,
	SFD_JSONRPC_INVALID_PARAMS = -32602,
	SFD_JSONRPC_FAILED = -32000, /* whatever container-libs' service cannot do */
	SFD_JSONRPC_FDS = -32050,    /* descriptors do not match the messages */
};

/* Zeros choose what is said. */
struct sfd_jsonrpc_options {
	size_t message_max; /* bytes of a message that comes; 64 KiB */
	size_t values_max;  /* JSON values of one; 4096 */
	uint64_t fds_max;   /* descriptors of one; 0: none */
	int idle_ms;	    /* until the first byte of the next message; 0: for ever */
	int timeout_ms;	    /* from a message's first byte to its last, until the next batch of its
			       descriptors, and until the peer takes what is sent; 0: for ever */
	int cancel_fd; /* what is readable as soon as waiting shall end (-ECANCELED); 0: none */
};

/* Takes the socket, always. *ret is the caller's, for one thread. */
int sfd_jsonrpc_new(int socket, const struct sfd_jsonrpc_options *options, struct sfd_jsonrpc **ret,
	struct splitfd_error *err);
/* Connects to the socket at PATH, "@NAME" for an abstract one. NOT_FOUND where nobody listens. */
int sfd_jsonrpc_connect(const char *path, const struct sfd_jsonrpc_options *options,
	struct sfd_jsonrpc **ret, struct splitfd_error *err);
/* Its socket, borrowed. */
int sfd_jsonrpc_socket(const struct sfd_jsonrpc *c);
/* Closes the connection and every descriptor that was not taken. NULL is allowed. Returns NULL. */
struct sfd_jsonrpc *sfd_jsonrpc_free(struct sfd_jsonrpc *c);

enum sfd_jsonrpc_kind {
	SFD_JSONRPC_REQUEST,
	SFD_JSONRPC_NOTIFICATION,
	SFD_JSONRPC_RESPONSE,
	SFD_JSONRPC_INVALID, /* a JSON object, but none of these */
};

/* All pointers are borrowed from `json`, and NULL where the message has no such member. */
struct sfd_jsonrpc_message {
	enum sfd_jsonrpc_kind kind;
	struct cJSON *json; /* freed by _done */
	const char *method;
	const struct cJSON *params, *result, *error;
	const struct cJSON *id; /* a string, null, or a whole number of at most 2^53 */
	uint64_t n_fds;
	const char *why; /* INVALID: what is wrong with it; a literal */
};

/* The next message: 1; 0 where the peer has closed between two. What was not taken of the former
 * one's descriptors is closed. Every error ends the connection and comes again: -EBADMSG and -E2BIG
 * and -EMSGSIZE (REFUSED), -ETIMEDOUT, -ECONNRESET (PEER), -ECANCELED, -EMFILE. *ret is for
 * sfd_jsonrpc_message_done in any case. */
int sfd_jsonrpc_receive(
	struct sfd_jsonrpc *c, struct sfd_jsonrpc_message *ret, struct splitfd_error *err);
void sfd_jsonrpc_message_done(struct sfd_jsonrpc_message *m);

/* The next descriptor of the message that was received last; the caller's. Errors as above;
 * -ENODATA where all were taken. */
int sfd_jsonrpc_take_fd(struct sfd_jsonrpc *c, int *ret_fd, struct splitfd_error *err);

/* After an error: the code to answer with before the connection is closed, or 0 where there is
 * nobody, or nothing, to answer. */
int sfd_jsonrpc_failure(const struct sfd_jsonrpc *c);

/* Sends a message with n_fds descriptors, which the caller then hands over by
 * sfd_jsonrpc_send_fds(), in order, in as many calls as it likes (each of at most 253). The message
 * goes out with the first of them. Adds "fds" to it. A sender that fails in between has to close
 * the connection. -EPIPE (PEER) where the peer has closed. */
int sfd_jsonrpc_send(
	struct sfd_jsonrpc *c, struct cJSON *message, uint64_t n_fds, struct splitfd_error *err);
/* `fds` are borrowed. */
int sfd_jsonrpc_send_fds(
	struct sfd_jsonrpc *c, const int *fds, size_t n, struct splitfd_error *err);

/*
 * The service's half. `request` NULL, or one without an id: null.
 */

/* Takes `result`, always. With n_fds as in sfd_jsonrpc_send(). */
int sfd_jsonrpc_answer(struct sfd_jsonrpc *c, const struct sfd_jsonrpc_message *request,
	struct cJSON *result, uint64_t n_fds, struct splitfd_error *err);
/* The error's text, and its kind as {"kind":"not-found"} or {"kind":"refused"} in "data", where it
 * is one of these. */
int sfd_jsonrpc_answer_error(struct sfd_jsonrpc *c, const struct sfd_jsonrpc_message *request,
	int code, const struct splitfd_error *error, struct splitfd_error *err);

/*
 * The client's half.
 */

/* Calls a method and receives the answer to it; notifications in between are dropped. Takes
 * `params`, always. An error of the service is -EREMOTEIO, with its text, and of the kind that its
 * "data" says, else FAILED. *ret, whose `result` is not NULL on success, is for
 * sfd_jsonrpc_message_done in any case. */
int sfd_jsonrpc_call(struct sfd_jsonrpc *c, const char *method, struct cJSON *params,
	struct sfd_jsonrpc_message *ret, struct splitfd_error *err);

/* The answer to container-libs' GetSplitFDStream as an input for the splitfdstream reader: the
 * first descriptor of the message received last is a regular file with the whole stream of
 * `stream_size` bytes, the other n_fds - 1 are what it refers to, in order and each once. Borrows
 * the connection, which is to be used by nothing else meanwhile. *ret is the caller's. */
int sfd_jsonrpc_input_new(struct sfd_jsonrpc *c, uint64_t n_fds, uint64_t stream_size,
	struct splitfd_input **ret, struct splitfd_error *err);

#endif
