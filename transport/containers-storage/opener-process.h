/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_CONTAINERS_STORAGE_OPENER_PROCESS_H
#define SPLITFD_CONTAINERS_STORAGE_OPENER_PROCESS_H

/*
 * The process under `podman unshare`, or `buildah unshare` where there is no podman: start and end.
 *
 * The socket is its standard input, because podman hands on no other descriptor for sure. What it
 * and podman print goes into memory and is told when something failed.
 */

#include "splitfdstream/base/error.h"

#include <stddef.h>
#include <sys/types.h>

struct sfd_opener_process {
	const char *unshare; /* "podman" or "buildah" */
	pid_t pid;
	int socket; /* SOCK_SEQPACKET; our end */
	int log;    /* a memfd: its standard error */
};

/* Runs `podman unshare PROGRAM rootless-opener`. *ret is for sfd_opener_process_end(). */
int sfd_opener_process_start(
	const char *program, struct sfd_opener_process *ret, struct splitfd_error *err);

/* Closes the socket, which ends the process, and waits for podman. */
void sfd_opener_process_end(struct sfd_opener_process *process);

/* The last line that was printed, with ": " in front; empty where nothing was. */
void sfd_opener_process_said(const struct sfd_opener_process *process, char *text, size_t size);

#endif
