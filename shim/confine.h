/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_CONFINE_H
#define SPLITFD_SHIM_CONFINE_H

/*
 * A command's last step before it reads what others wrote: it gives up all that the rest of its
 * work does not need (splitfdstream/base/sandbox.h).
 */

#include "transport/composefs/repository.h"
#include "transport/containers-storage/store.h"

/* Each may be NULL. From here on only what is below the store is read and only what is below the
 * repository is written (and read). Without a store, names may come with directories that a peer
 * passes along, and reading is not restricted. Where files of the store may have to be opened by
 * another program that is started then (rootless), nothing is given up. Before any thread. */
void sfd_confine(const struct splitfd_store *store, const struct splitfd_repository *repository);

/* The same for a repository of which there is but the objects directory, as a descriptor that was
 * passed along (-1: none). */
void sfd_confine_to_objects(const struct splitfd_store *store,
	const struct splitfd_repository *repository, int objects);

#endif
