/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_OBJECTS_REPOSITORY_H
#define SPLITFD_COMPOSEFS_OBJECTS_REPOSITORY_H

/*
 * Someone else's objects directory, of which only the descriptor is at hand: objects can be stored
 * and read, nothing can be named.
 */

#include "transport/composefs/repository.h"

/* Takes `objects` (always), a directory. Nothing is locked: that is its owner's part. Layers can be
 * imported into it, and where the meta.json beside it has fs-verity, objects get it too, by the way
 * that those of any secure repository take; instead of splitfd_import_commit there is
 * sfd_objects_sync. *ret is for splitfd_repository_close. */
int sfd_repository_of_objects(int objects, enum splitfd_algorithm algorithm,
	struct splitfd_repository **ret, struct splitfd_error *err);

/* Objects stored so far are on the disk when this returns. */
int sfd_objects_sync(struct splitfd_repository *repository, struct splitfd_error *err);

#endif
