/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_PROGRESS_H
#define SPLITFD_SHIM_PROGRESS_H

/*
 * Progress on a terminal: a bar for each layer that is being read and one for the whole, on stderr.
 * Nothing is drawn where stderr is no terminal, or one that cannot move its cursor (TERM=dumb), or
 * where the work is done within half a second. Lines are as long as the terminal allows.
 */

#include "transport/copy/listener.h"

#include <stdbool.h>

struct sfd_progress;

/* NULL where nothing can be drawn; all calls accept NULL. */
struct sfd_progress *sfd_progress_new(size_t n_layers);
struct sfd_progress *sfd_progress_free(struct sfd_progress *p); /* wipes the bars */

/* Layer i has `total` bytes; UINT64_MAX where not known. */
void sfd_progress_layer(struct sfd_progress *p, size_t i, const char *diff_id, uint64_t total);
/* The bytes of layer i that are done are asked for, from a thread of its own, until
 * sfd_progress_done() or the end, or told. */
void sfd_progress_watch(
	struct sfd_progress *p, size_t i, uint64_t (*look)(const void *ctx), const void *ctx);
void sfd_progress_update(struct sfd_progress *p, size_t i, uint64_t bytes);
/* Prints the line "WHAT: TEXT" to stderr, above the bars where there are any. */
void sfd_progress_say(struct sfd_progress *p, const char *what, const char *text);
/* Layer i is complete. */
void sfd_progress_done(struct sfd_progress *p, size_t i);

/* A listener that draws, and prints notes to stderr. Its owner is the one who copies: the bars are
 * gone with the copy's last event. */
struct sfd_bars {
	struct sfd_copy_listener listener;
	struct sfd_progress *progress;
	bool quiet;
};

/* quiet: notes only. */
void sfd_bars_init(struct sfd_bars *bars, bool quiet);

#endif
