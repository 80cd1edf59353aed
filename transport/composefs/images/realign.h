/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_REALIGN_H
#define SPLITFD_COMPOSEFS_REALIGN_H

/*
 * Configs refer to their layers' streams by digest, manifests to their layers' and their config's.
 * cfsctl's gc follows such a reference only where a name in streams/ leads to that very stream. So
 * where a layer or a config gets another stream (a damaged one was made again by another libzstd, a
 * config refers to one more image), what refers to it is written again.
 */

#include "transport/composefs/images/names.h"

/* For the layers and configs in `names` (settled): writes the configs and manifests of the
 * repository that refer to other streams of them, and adds their names, as REALIGN. `skip` is a
 * name that the caller makes itself; may be NULL. What cannot be read is left to fsck. */
int sfd_realign(struct splitfd_repository *repository, struct sfd_names *names, const char *skip,
	struct splitfd_error *err);

#endif
