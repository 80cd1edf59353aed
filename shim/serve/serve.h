/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_SERVE_H
#define SPLITFD_SHIM_SERVE_H

/*
 * Serving a protocol to the clients of a socket: one thread for each client, a bound on their
 * number, and only those whom the peer credentials of the socket allow.
 */

#include "splitfdstream/base/error.h"
#include "transport/containers-storage/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* What is served, and how patiently. Borrowed by everybody; nobody changes it while it serves. */
struct sfd_serve_settings {
	/* The store, where `repository` is NULL. Each request opens it anew. */
	struct splitfd_store_options store;
	const char *repository; /* the path of the composefs repository that is served instead */
	int timeout_ms;	   /* how long a client may be silent in the middle of a message, or take
			      nothing of what it asked for */
	int idle_ms;	   /* how long it may be silent between two calls; 0: for ever */
	int hold_ms;	   /* how long it may keep a sent layer locked */
	size_t max_layers; /* that are being sent at a time, over all clients */
	/* Readable as soon as the service shall end; and the same for who cannot wait on it. */
	int cancel_fd;
	const volatile int *cancel;
};

struct sfd_client; /* serve-clients.h */

struct sfd_serve_protocol {
	const char *name;
	/* What all clients share. `settings` outlives it. */
	int (*open)(
		const struct sfd_serve_settings *settings, void **ret, struct splitfd_error *err);
	/* Serves one client until it closes (0), or breaks the protocol, is silent for too long, or
	 * cancel_fd says so (-errno). Takes the connected stream socket, always. Tells by `client`
	 * when it waits for what comes. Called by several threads at once. */
	int (*handle)(
		void *service, int socket, struct sfd_client *client, struct splitfd_error *err);
	/* Tells a client that is turned away why, in one message that must not wait; may be NULL.
	 * `socket` is borrowed. */
	void (*refuse)(int socket);
	/* No client is there any more. */
	void (*close)(void *service);
};

/* The protocol of that name; NULL where there is none. */
const struct sfd_serve_protocol *sfd_serve_find_protocol(const char *name);

/* Sockets to serve, see serve-socket.h. */
struct sfd_serve_sockets;

struct sfd_serve_access {
	const uid_t *uids; /* users that may call besides root and the service's own */
	size_t n_uids;
	bool any;	    /* everybody who reaches the socket */
	size_t max_clients; /* at a time; a silent one makes room for who waits */
};

/* Serves until *settings->cancel is set, which the caller's signal handling does together with
 * cancel_fd; or, where only connected sockets were handed over, until their clients have gone. 0
 * then. Errors of single clients are told on stderr and are no errors of this. Waits a few seconds
 * for clients at the end; -EBUSY where some thread still works then: the program should exit. */
int sfd_serve(const struct sfd_serve_protocol *protocol, const struct sfd_serve_settings *settings,
	const struct sfd_serve_access *access, struct sfd_serve_sockets *sockets,
	struct splitfd_error *err);

#endif
