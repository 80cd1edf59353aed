/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_LAYER_SENDER_H
#define SPLITFD_SHIM_LAYER_SENDER_H

/*
 * Layers on their way to clients as splitdirfdstream: a pipe, the directories that the stream
 * names, and a keepalive, the end of a pipe whose closing tells that the client has opened all
 * that it wanted.
 *
 * Each has a thread of its own, which outlives the connection it was asked for on: a client may
 * close that as soon as it has the descriptors. The threads have a bound, and so has their
 * patience.
 */

#include "splitfdstream/chunk.h"

#include <stdbool.h>

struct sfd_senders;

struct sfd_senders_options {
	size_t max;	/* layers at a time */
	int timeout_ms; /* how long a reader may take nothing */
	int hold_ms;	/* how long the keepalive holds the guard at most */
	int cancel_fd;	/* readable when all shall end */
};

int sfd_senders_new(const struct sfd_senders_options *options, struct sfd_senders **ret,
	struct splitfd_error *err);

/* Waits for the threads, which end soon where cancel_fd is readable. NULL is allowed. Returns NULL.
 */
struct sfd_senders *sfd_senders_free(struct sfd_senders *senders);

struct sfd_layer_to_send {
	struct splitfd_source *source; /* taken, always */
	bool consumer_reads_all;       /* it can open files that not everybody may read */
	/* What keeps the layer in place until the keepalive is closed: taken, always, and given to
	 * `release` afterwards. May be NULL. */
	void *guard;
	void (*release)(void *guard);
	struct sfd_client *client; /* of serve-clients.h, which asked for it; may be NULL */
};

/* What travels: the stream's reading end, the directories (borrowed from the source's set of files:
 * duplicates), the keepalive's writing end. */
#define SFD_SENT_DIRS_MAX 16 /* a store's layer has 8 at most, a repository's one */
struct sfd_sent_layer {
	int stream;
	int dirs[SFD_SENT_DIRS_MAX];
	size_t n_dirs;
	int keepalive;
};

/* Starts to send. -EAGAIN where too many are under way. The descriptors of *ret are the caller's.
 */
int sfd_senders_start(struct sfd_senders *senders, struct sfd_layer_to_send *layer,
	struct sfd_sent_layer *ret, struct splitfd_error *err);

#endif
