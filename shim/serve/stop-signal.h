/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_STOP_SIGNAL_H
#define SPLITFD_SHIM_STOP_SIGNAL_H

/*
 * SIGINT, SIGTERM and SIGHUP for a program of several threads that wait: a flag, and a descriptor
 * that becomes readable with it.
 */

#include "splitfdstream/base/error.h"

struct sfd_stop;

/* From now on the signals are taken by a thread of their own; threads that are made later inherit
 * that they are blocked. Called before any other thread is made. *ret_fd and *ret_flag (0, or the
 * signal's number) are borrowed. A second signal ends the program at once. */
int sfd_stop_new(struct sfd_stop **ret, int *ret_fd, const volatile int **ret_flag,
	struct splitfd_error *err);

/* Restores the signals. NULL is allowed. Returns NULL. */
struct sfd_stop *sfd_stop_free(struct sfd_stop *stop);

#endif
