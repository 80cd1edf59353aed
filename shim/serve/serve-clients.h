/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_SERVE_CLIENTS_H
#define SPLITFD_SHIM_SERVE_CLIENTS_H

/*
 * The clients of a service: how many there are, and which of them makes room for another.
 *
 * The service waits for a client between two of its calls, and in the middle of a message. Where
 * every place is taken, the one that it has waited for longest is closed, first those that have no
 * layer under way. Nothing that a client has sent is lost by that: its reading side is shut down,
 * so that it ends behind what is in the socket already.
 */

#include "splitfdstream/base/error.h"
#include "splitfdstream/base/stop-event.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct sfd_clients;
struct sfd_client;

int sfd_clients_new(size_t max, struct sfd_clients **ret, struct splitfd_error *err);
/* NULL is allowed. Every client must be gone, and every layer too. Returns NULL. */
struct sfd_clients *sfd_clients_free(struct sfd_clients *all);

size_t sfd_clients_count(struct sfd_clients *all);
/* Readable, until _drain, when a client has gone or can make room. Borrowed. */
int sfd_clients_changed_fd(const struct sfd_clients *all);
void sfd_clients_drain(struct sfd_clients *all);

/* Readable when a connection has been closed by its client, whatever the service does for it: then
 * _hung_up stops that. Borrowed. */
int sfd_clients_hangup_fd(const struct sfd_clients *all);
void sfd_clients_hung_up(struct sfd_clients *all);
/* The service ends: all that is done for clients stops. */
void sfd_clients_stop(struct sfd_clients *all);

/* Somebody would like a place. True where there is one; else one is asked for, and *ret_ms is when
 * to look again (-1: when something has changed). */
bool sfd_clients_place(struct sfd_clients *all, int *ret_ms);

/* A connection of user `uid`; `socket` is borrowed until its end. 0 or -errno. */
int sfd_client_new(struct sfd_clients *all, int socket, uid_t uid, struct sfd_client **ret);
/* The connection has ended. Returns NULL. */
struct sfd_client *sfd_client_gone(struct sfd_client *c);

/*
 * For the client's own threads; NULL is allowed, and nothing happens then.
 */

/* Before and after each wait for what the client sends. */
void sfd_client_waits(struct sfd_client *c, bool waits);
/* Set once the client has closed its connection, or the service ends, for the work of its calls.
 * Borrowed until _gone. */
const struct sfd_stop_event *sfd_client_stop(const struct sfd_client *c);
/* A layer is under way until _layer_done, which may come after _gone. Returns c. */
struct sfd_client *sfd_client_layer(struct sfd_client *c);
void sfd_client_layer_done(struct sfd_client *c);

#endif
