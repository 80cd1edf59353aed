/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_PULL_EVENTS_H
#define SPLITFD_SHIM_PULL_EVENTS_H

/*
 * What a pull tells while it goes on, for who is no terminal.
 */

#include <stdint.h>

enum sfd_pull_event_kind {
	SFD_PULL_SKIPPED,  /* the layer is there already */
	SFD_PULL_STARTED,  /* it is being read; `total` bytes, UINT64_MAX where not known */
	SFD_PULL_PROGRESS, /* it was read up to `bytes` of `total` */
	SFD_PULL_DONE,	   /* it was read to its end, `bytes` */
	SFD_PULL_MESSAGE,  /* a text for people */
};

struct sfd_pull_event {
	enum sfd_pull_event_kind kind;
	const char *id; /* the layer's diff_id; the text of a message */
	uint64_t bytes, total;
};

struct sfd_pull_listener {
	/* Called by any thread, by several at once. `event` is borrowed. */
	void (*event)(void *ctx, const struct sfd_pull_event *event);
	void *ctx;
};

#endif
