/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_PROGRESS_H
#define SPLITFD_SHIM_PROGRESS_H

/*
 * Progress on a terminal: a bar for each layer that is being read and one for the whole, on stderr.
 * Nothing is drawn where stderr is no terminal or where the work is done within half a second.
 */

#include <stddef.h>
#include <stdint.h>

struct sfd_progress;

/* NULL where stderr is no terminal or memory is short; all calls accept NULL. */
struct sfd_progress *sfd_progress_new(size_t n_layers);
struct sfd_progress *sfd_progress_free(struct sfd_progress *p); /* wipes the bars */

/* Layer i has `total` bytes; UINT64_MAX where not known. */
void sfd_progress_layer(struct sfd_progress *p, size_t i, const char *diff_id, uint64_t total);
/* Layer i has been read up to `bytes`; any thread. */
void sfd_progress_update(struct sfd_progress *p, size_t i, uint64_t bytes);
/* Layer i is complete. */
void sfd_progress_done(struct sfd_progress *p, size_t i);

#endif
