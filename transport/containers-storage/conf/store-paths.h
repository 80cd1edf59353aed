/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_CONTAINERS_STORAGE_STORE_PATHS_H
#define SPLITFD_CONTAINERS_STORAGE_STORE_PATHS_H

/*
 * Who asks, and where that user's configuration and store are when no file says so.
 */

#include "splitfdstream/base/error.h"

#include <stdbool.h>

/* True for all users (sfd_user_id) but root. */
bool sfd_store_rootless(void);

/* All give new memory that the caller frees. */

int sfd_store_default_root(char **ret, struct splitfd_error *err);
int sfd_store_default_runroot(char **ret, struct splitfd_error *err);
/* A path from storage.conf: $UID, then variables, then symbolic links. */
int sfd_store_expand_path(const char *path, char **ret, struct splitfd_error *err);
/* Symbolic links resolved; the path itself where that fails (it does not exist). */
int sfd_store_resolve_path(const char *path, char **ret, struct splitfd_error *err);

#endif
