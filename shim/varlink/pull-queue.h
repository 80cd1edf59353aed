/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_PULL_QUEUE_H
#define SPLITFD_SHIM_PULL_QUEUE_H

/*
 * A pull's events on their way to another thread. The pull never waits for who takes them: of a
 * layer's progress only the latest is kept, and the queue has a bound.
 */

#include "transport/copy/listener.h"
#include "splitfdstream/base/error.h"

#include <stdbool.h>

struct sfd_pull_queue;

int sfd_pull_queue_new(struct sfd_pull_queue **ret, struct splitfd_error *err);
/* Nobody uses it any more. NULL is allowed. Returns NULL. */
struct sfd_pull_queue *sfd_pull_queue_free(struct sfd_pull_queue *queue);

/* Where the pull puts its events; borrowed. */
const struct sfd_copy_listener *sfd_pull_queue_listener(const struct sfd_pull_queue *queue);
/* No event follows. */
void sfd_pull_queue_end(struct sfd_pull_queue *queue);

/* Readable where there is an event to take, or at the end; borrowed. */
int sfd_pull_queue_fd(const struct sfd_pull_queue *queue);
/* The next event, for free(); NULL where there is none now. *ret_end: and none follows. */
struct sfd_copy_event *sfd_pull_queue_take(struct sfd_pull_queue *queue, bool *ret_end);

#endif
