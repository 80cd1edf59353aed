/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_LAYER_WHOLE_H
#define SPLITFD_COMPOSEFS_LAYER_WHOLE_H

#include "transport/composefs/repository.h"

/* Is a stored layer whole? Its splitstream is read and hashed, and each object that it refers to
 * must be there with the size that the tar's header says (where the tar cannot be followed, with
 * the content that its name says). 1; 0 where something is missing or damaged; -errno where that
 * cannot be found out. */
int sfd_layer_is_whole(struct splitfd_repository *repository, const struct splitfd_digest *stream,
	struct splitfd_error *err);

/* The error for a layer that is not there, or not whole. */
int sfd_layer_not_found(
	struct splitfd_repository *repository, const char *diff_id, struct splitfd_error *err);

#endif
