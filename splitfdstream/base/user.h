/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_BASE_USER_H
#define SPLITFD_BASE_USER_H

/*
 * Whose store and configuration are meant.
 */

#include "splitfdstream/base/error.h"

#include <sys/types.h>

/* _CONTAINERS_ROOTLESS_UID within podman's user namespace, else the effective user. */
uid_t sfd_user_id(void);

/* $HOME, or where that is unset or empty what the system says of that user. *ret is new memory that
 * the caller frees. */
int sfd_user_home(char **ret, struct splitfd_error *err);

/* $XDG_CONFIG_HOME/containers, or .config/containers in the home directory. *ret is the caller's.
 */
int sfd_user_config_dir(char **ret, struct splitfd_error *err);

#endif
