/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COPY_LISTENER_H
#define SPLITFD_COPY_LISTENER_H

/*
 * Progress of a pull or push: events for a terminal, a service's client, or a caller of the
 * library.
 */

#include <stddef.h>
#include <stdint.h>

enum sfd_copy_event_kind {
	SFD_COPY_SKIPPED,  /* the layer is in the repository already */
	SFD_COPY_STARTED,  /* it is being read; `total` bytes, UINT64_MAX where not known */
	SFD_COPY_PROGRESS, /* it was read up to `bytes` of `total` */
	SFD_COPY_DONE,	   /* it was read to its end, `bytes` */
	SFD_COPY_MESSAGE,  /* a note for people: `id` */
	SFD_COPY_STAGE,	   /* a stage of the work is complete: `id` */
	SFD_COPY_BEGIN,	   /* the image has `total` layers; before all others */
	SFD_COPY_LAYER,	   /* `total`, the bytes of a layer that are to come, becomes known */
	SFD_COPY_STORED,   /* the layer is complete; `worked` is not called again */
	SFD_COPY_END,	   /* no event comes after it; may come twice */
};

struct sfd_copy_event {
	enum sfd_copy_event_kind kind;
	size_t layer;	/* the layer's index, 0 is the base; not of messages and stages */
	const char *id; /* the layer's diff_id; the text of a message or stage */
	uint64_t bytes, total;
	/* Of STARTED: bytes that are stored, not only read; may be called by any thread until
	 * STORED or END. NULL where nobody counts them. */
	uint64_t (*worked)(const void *ctx);
	const void *worked_ctx;
};

struct sfd_copy_listener {
	/* Called by any thread, by several at once. `event` is borrowed. */
	void (*event)(void *ctx, const struct sfd_copy_event *event);
	void *ctx;
};

static inline void sfd_copy_notify(
	const struct sfd_copy_listener *listener, const struct sfd_copy_event *event)
{
	if (listener != NULL)
		listener->event(listener->ctx, event);
}

#endif
