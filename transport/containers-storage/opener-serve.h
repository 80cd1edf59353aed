/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_CONTAINERS_STORAGE_OPENER_SERVE_H
#define SPLITFD_CONTAINERS_STORAGE_OPENER_SERVE_H

/*
 * The opener's side, inside of the user namespace. It gives up every right but that of reading, and
 * opens files only below directories that lie, as layers do, in the directories that it was given
 * at the start.
 */

#include "splitfdstream/base/error.h"

/* Serves over `socket` (borrowed) until the reader closes it; 0 then. Ends with the parent too. */
int sfd_opener_serve(int socket, struct splitfd_error *err);

#endif
