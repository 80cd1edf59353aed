/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_PULL_STOP_H
#define SPLITFD_SHIM_PULL_STOP_H

/*
 * Ends a pull from another thread: a flag that it looks at, and a hook that wakes it where it waits
 * for a peer.
 */

#include <pthread.h>

struct sfd_pull_stop {
	volatile int flag;
	pthread_mutex_t lock;
	void (*wake)(void *ctx); /* under the lock */
	void *ctx;
};

void sfd_pull_stop_init(struct sfd_pull_stop *stop);
void sfd_pull_stop_done(struct sfd_pull_stop *stop);

/* The pull ends as soon as it can. Any thread. */
void sfd_pull_stop_now(struct sfd_pull_stop *stop);

/* From now on `wake` is called at a stop, at once where it was stopped already. NULL: nothing is
 * called any more, also when this returns. `stop` may be NULL: then nothing is done. */
void sfd_pull_stop_hook(struct sfd_pull_stop *stop, void (*wake)(void *ctx), void *ctx);

#endif
