/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/base/process.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* We ignore SIGPIPE, and whoever started us may ignore the others: the program shall not inherit
 * that, nor a signal mask. */
static int fill_attributes(posix_spawnattr_t *attributes, bool own_group)
{
	short flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK;
	sigset_t defaults, none;
	int r;

	sigemptyset(&none);
	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	sigaddset(&defaults, SIGINT);
	sigaddset(&defaults, SIGTERM);
	r = posix_spawnattr_setsigdefault(attributes, &defaults);
	if (r == 0)
		r = posix_spawnattr_setsigmask(attributes, &none);
	if (r == 0 && own_group) {
		flags |= POSIX_SPAWN_SETPGROUP;
		r = posix_spawnattr_setpgroup(attributes, 0);
	}
	return r == 0 ? posix_spawnattr_setflags(attributes, flags) : r;
}

static int fill_actions(posix_spawn_file_actions_t *actions, const struct sfd_process *p)
{
	int r = posix_spawn_file_actions_adddup2(actions, p->input, 0);

	if (r == 0)
		r = posix_spawn_file_actions_addopen(actions, 1, "/dev/null", O_WRONLY, 0);
	if (r == 0 && p->error >= 0)
		r = posix_spawn_file_actions_adddup2(actions, p->error, 2);
	if (r == 0 && p->apart)
		r = posix_spawn_file_actions_addclosefrom_np(actions, 3);
	if (r == 0 && p->apart)
		r = posix_spawn_file_actions_addchdir_np(actions, "/");
	return r;
}

int sfd_process_start(const struct sfd_process *process, pid_t *ret_pid)
{
	char *const *environment = process->environment != NULL ? process->environment : environ;
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int r;

	r = posix_spawn_file_actions_init(&actions);
	if (r != 0)
		return -r;
	r = posix_spawnattr_init(&attributes);
	if (r != 0) {
		posix_spawn_file_actions_destroy(&actions);
		return -r;
	}
	r = fill_attributes(&attributes, process->own_group || process->apart);
	if (r == 0)
		r = fill_actions(&actions, process);
	if (r == 0)
		r = posix_spawnp(ret_pid, process->program, &actions, &attributes,
			(char *const *)(uintptr_t)process->argv, environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

int sfd_process_end(pid_t pid, int grace_ms, bool with_group)
{
	sfd_cleanup_fd int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	siginfo_t info;
	int status = 0;

	if (pidfd < 0 || sfd_wait_fd(pidfd, POLLIN, grace_ms) <= 0)
		kill(pid, SIGKILL);
	/* As long as it is not waited for, nobody else can get its number. */
	if (with_group) {
		while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
			;
		(void)kill(-pid, SIGKILL);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}
