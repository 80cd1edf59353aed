/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_RPC_VARLINK_H
#define SPLITFD_RPC_VARLINK_H

/*
 * Varlink over a connected Unix stream socket, for both sides: a message is one JSON object and a
 * NUL byte, with descriptors attached (SCM_RIGHTS).
 *
 *	call	{"method":"interface.Method","parameters":{…},"more":true,"oneway":true}
 *	reply	{"parameters":{…},"continues":true}
 *	error	{"error":"interface.Name","parameters":{…}}
 *
 * Descriptors travel with the write that begins their message, and no other message shares that
 * write. The kernel may join bytes that were sent before with it, and ends a read behind it; so the
 * descriptors that a read brings belong to the last message of which it brings bytes.
 *
 * The peer is hostile: a message has a bound in bytes, in JSON values and in depth, and has to be
 * complete, or taken, within a time. Sources: varlink.org; zlink 0.7.1 and cfsctl 0.9.4 as
 * observed.
 */

#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct cJSON;
struct sfd_varlink;

/* Most descriptors of a message, either way. */
#define SFD_VARLINK_FDS_MAX 253

struct sfd_varlink_options {
	size_t message_max; /* bytes, without the NUL; 0: 64 MiB */
	size_t values_max;  /* JSON values and names of a message; 0: 4 million */
	int idle_ms;	    /* until the first byte of the next message; 0 or less: for ever */
	int timeout_ms;	    /* from a message's first byte to its last, in and out; likewise */
	int cancel_fd; /* what is readable as soon as waiting shall end (-ECANCELED); 0: none */
};

/* Takes the socket, always. `options` (may be NULL) is copied. *ret is the caller's. One thread. */
int sfd_varlink_new(int socket, const struct sfd_varlink_options *options, struct sfd_varlink **ret,
	struct splitfd_error *err);

/* Connects to a service: "unix:PATH", PATH, or "unix:@ABSTRACT". What stands behind a ';' is
 * ignored. NOT_FOUND where nothing listens there. */
int sfd_varlink_connect(const char *address, const struct sfd_varlink_options *options,
	struct sfd_varlink **ret, struct splitfd_error *err);

/* Closes the connection. NULL is allowed. Returns NULL. */
struct sfd_varlink *sfd_varlink_free(struct sfd_varlink *v);

/* The socket; borrowed. */
int sfd_varlink_socket(const struct sfd_varlink *v);

struct sfd_varlink_message {
	struct cJSON *json; /* an object; freed by _done */
	int fds[SFD_VARLINK_FDS_MAX];
	size_t n_fds; /* closed by _done, but for entries that were set to -EBADF */
};

/* The next message, as it came: 1; 0 where the peer has closed between two messages; -EBADMSG (kind
 * REFUSED) where it is no JSON object, or one that is too deep or has too many values: the next
 * message can then be received all the same. Every other error ends the connection: -EMSGSIZE
 * (REFUSED) for one that is too long, -ETIMEDOUT, -ECONNRESET (PEER), -ECANCELED, -EMFILE. *ret is
 * for sfd_varlink_message_done in any case. */
int sfd_varlink_receive(
	struct sfd_varlink *v, struct sfd_varlink_message *ret, struct splitfd_error *err);
void sfd_varlink_message_done(struct sfd_varlink_message *m);

/* Sends a message with n_fds descriptors (borrowed). -EMSGSIZE where it is longer than message_max;
 * then nothing was sent. -EPIPE (PEER) where the peer has closed. */
int sfd_varlink_send(struct sfd_varlink *v, const struct cJSON *message, const int *fds,
	size_t n_fds, struct splitfd_error *err);

/*
 * The client's half.
 */

enum sfd_varlink_flags {
	SFD_VARLINK_MORE = 1,	/* any number of replies, the last without `continues` */
	SFD_VARLINK_ONEWAY = 2, /* no reply */
};

/* Sends a call. Takes `parameters`, always (NULL: the call has none, which zlink's services want
 * for methods without parameters). */
int sfd_varlink_call(struct sfd_varlink *v, const char *method, struct cJSON *parameters,
	unsigned int flags, const int *fds, size_t n_fds, struct splitfd_error *err);

struct sfd_varlink_reply {
	struct sfd_varlink_message message;
	const char *error;		/* "interface.Name"; NULL: it succeeded. Borrowed. */
	const struct cJSON *parameters; /* an object, or NULL where there are none. Borrowed. */
	bool continues;
};

/* The next reply. A reply with an error is a success here. -EPIPE (PEER) where the peer has closed,
 * which is how zlink's services answer what they do not know. *ret is for
 * sfd_varlink_reply_done in any case. */
int sfd_varlink_reply(
	struct sfd_varlink *v, struct sfd_varlink_reply *ret, struct splitfd_error *err);
void sfd_varlink_reply_done(struct sfd_varlink_reply *reply);

/* 0, or a reply's error as a text ("METHOD: NAME: MESSAGE"): -EREMOTEIO, kind NOT_FOUND for
 * NoSuchLayer, NoSuchImage and RepoNotFound, USAGE for the standard errors, else REFUSED. */
int sfd_varlink_reply_check(
	const struct sfd_varlink_reply *reply, const char *method, struct splitfd_error *err);

/* Call and the one reply to it, checked. */
int sfd_varlink_call_simple(struct sfd_varlink *v, const char *method, struct cJSON *parameters,
	const int *fds, size_t n_fds, struct sfd_varlink_reply *ret, struct splitfd_error *err);

/*
 * The service's half. A call is a message that was checked.
 */

struct sfd_varlink_call {
	struct sfd_varlink_message message;
	const char *method;		/* borrowed */
	const struct cJSON *parameters; /* an object, or NULL where there are none. Borrowed. */
	bool more, oneway;
};

/* The next call; returns as sfd_varlink_receive. -EBADMSG also for an object that is no call. *ret
 * is for sfd_varlink_call_done in any case. */
int sfd_varlink_next_call(
	struct sfd_varlink *v, struct sfd_varlink_call *ret, struct splitfd_error *err);
void sfd_varlink_call_done(struct sfd_varlink_call *call);

/* Answers. Take `parameters`, always (NULL: none). Nothing is sent to a call that is `oneway`. */
int sfd_varlink_answer(struct sfd_varlink *v, const struct sfd_varlink_call *call,
	struct cJSON *parameters, bool continues, const int *fds, size_t n_fds,
	struct splitfd_error *err);
int sfd_varlink_answer_error(struct sfd_varlink *v, const struct sfd_varlink_call *call,
	const char *name, struct cJSON *parameters, struct splitfd_error *err);

SFD_DEFINE_CLEANUP(sfd_cleanup_varlink_, struct sfd_varlink, sfd_varlink_free);
#define sfd_cleanup_varlink sfd_cleanup(sfd_cleanup_varlink_)

#endif
