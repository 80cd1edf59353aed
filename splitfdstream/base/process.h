/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_BASE_PROCESS_H
#define SPLITFD_BASE_PROCESS_H

/*
 * Another program: its start and its end.
 */

#include <stdbool.h>
#include <sys/types.h>

struct sfd_process {
	const char *program; /* looked for on PATH where it has no slash */
	const char *const *argv;
	char *const *environment; /* NULL: ours */
	int input;		  /* its standard input; borrowed */
	int error;		  /* its standard error; borrowed; negative: ours */
	/* A process group of its own: an interrupt from the keyboard is ours, and we end it. */
	bool own_group;
	/* It outlives what we do: besides, no other descriptor of ours and the working directory
	 * "/". */
	bool apart;
};

/* Starts it with /dev/null as standard output, no signal blocked, and SIGPIPE, SIGINT and SIGTERM
 * as they are by default. *ret_pid is for sfd_process_end(). -errno: ENOENT and EACCES are the
 * program's. */
int sfd_process_start(const struct sfd_process *process, pid_t *ret_pid);

/* Waits up to grace_ms for the end, then kills it. `with_group`: what it has started and left
 * behind in its group is killed, too. Returns the wait status. */
int sfd_process_end(pid_t pid, int grace_ms, bool with_group);

#endif
