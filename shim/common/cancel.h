/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_CANCEL_H
#define SPLITFD_SHIM_CANCEL_H

/*
 * SIGINT, SIGTERM and SIGHUP as a flag that long work looks at, so that it ends by its own error
 * path and leaves nothing half-written.
 */

#include "splitfdstream/base/stop-event.h"

/* Installs the handlers; a second signal ends the program at once. */
void sfd_cancel_install(void);

/* For the server of one client: a signal is as if the client had closed its socket, and writes to
 * the eventfd. */
void sfd_cancel_install_server(int client_socket, int event_fd);

/* Readable as soon as the flag is set: for who waits. Borrowed; 0 where nothing is installed, or
 * could not be made. */
int sfd_cancel_fd(void);

/* Both, for the engine. Borrowed. */
const struct sfd_stop_event *sfd_cancel_stop(void);

/* The flag: 0, or the number of the signal that came. */
const volatile int *sfd_cancel_flag(void);

#endif
