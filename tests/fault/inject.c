/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a program and does something at its N-th system call, over all threads and forks. The calls
 * are found by a seccomp filter of its own (SECCOMP_RET_TRACE), which comes before every filter
 * that the program installs, so that it works inside the program's sandbox. What the sandbox itself
 * refuses is not counted. */
#include "tests/fault/inject-arguments.h"
#include "tests/fault/inject-machine.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define OPTIONS                                                                                    \
	(PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |  \
		PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)

/* Traces the chosen calls, or all. */
static void install_filter(const struct tracer *t)
{
	struct sock_filter code[5 * CALLS_MAX + 1];
	struct sock_fprog program = { .filter = code };
	unsigned short n = 0;

	for (size_t i = 0; i < t->n_calls; i++) {
		bool second = t->calls[i].second >= 0;

		code[n++] = (struct sock_filter)BPF_STMT(
			BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
		code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
			(unsigned int)t->calls[i].number, 0, second ? 3 : 1);
		if (second) {
			/* The lower half: these machines are little-endian. */
			code[n++] = (struct sock_filter)BPF_STMT(
				BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1]));
			code[n++] = (struct sock_filter)BPF_JUMP(
				BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)t->calls[i].second, 0, 1);
		}
		code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
	}
	code[n++] = (struct sock_filter)BPF_STMT(
		BPF_RET | BPF_K, t->n_calls == 0 ? SECCOMP_RET_TRACE : SECCOMP_RET_ALLOW);
	program.len = n;
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0)
		return;
	/* Without CAP_SYS_ADMIN. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) < 0)
		err(125, "PR_SET_SECCOMP");
}

static pid_t start(struct tracer *t, char **command)
{
	int ready[2];
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC) < 0)
		err(125, "pipe2");
	pid = fork();
	if (pid < 0)
		err(125, "fork");
	if (pid == 0) {
		char byte;

		close(ready[1]);
		if (read(ready[0], &byte, 1) != 1)
			_exit(125);
		install_filter(t);
		execvp(command[0], command);
		err(errno == ENOENT ? 127 : 126, "cannot run %s", command[0]);
	}
	close(ready[0]);
	if (ptrace(PTRACE_SEIZE, pid, NULL, (void *)(long)OPTIONS) < 0)
		err(125, "PTRACE_SEIZE");
	if (write(ready[1], "x", 1) != 1)
		err(125, "write");
	close(ready[1]);
	return pid;
}

/* A number from /proc/TID/status. */
static pid_t status_of(pid_t tid, const char *key)
{
	char path[64], line[256];
	pid_t found = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
	f = fopen(path, "re");
	if (f == NULL)
		return 0;
	while (found == 0 && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, key, strlen(key)) == 0)
			found = (pid_t)strtol(line + strlen(key), NULL, 10);
	fclose(f);
	return found;
}

static struct task *known(struct tracer *t, pid_t tid)
{
	for (size_t i = 0; i < t->n_tasks; i++)
		if (t->tasks[i].tid == tid)
			return &t->tasks[i];
	return NULL;
}

/* The task of a thread; a new one counts as its process, a new process as its parent. */
static struct task *task_of(struct tracer *t, pid_t tid)
{
	struct task *found = known(t, tid);
	pid_t tgid;

	if (found != NULL)
		return found;
	if (t->n_tasks == TASKS_MAX)
		errx(125, "more than %d threads", TASKS_MAX);
	tgid = status_of(tid, "Tgid:");
	found = known(t, tgid);
	if (found == NULL)
		found = known(t, status_of(status_of(tid, "PPid:"), "Tgid:"));
	t->tasks[t->n_tasks] = (struct task){
		.tid = tid,
		.tgid = tgid,
		.foreign = found != NULL && found->foreign,
	};
	return &t->tasks[t->n_tasks++];
}

static void forget(struct tracer *t, pid_t tid)
{
	struct task *gone = known(t, tid);

	if (gone != NULL)
		*gone = t->tasks[--t->n_tasks];
}

/* Calls with a path as their second argument. */
static bool takes_path(long number)
{
	static const long calls[] = {
		SYS_openat,
		SYS_openat2,
		SYS_unlinkat,
		SYS_mkdirat,
		SYS_renameat2,
		SYS_linkat,
		SYS_readlinkat,
		SYS_newfstatat,
		SYS_statx,
		SYS_faccessat,
		SYS_faccessat2,
		SYS_fchmodat,
		SYS_utimensat,
	};

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (calls[i] == number)
			return true;
	return false;
}

/* A call's name, a command of it, and what it is about: the file of its first argument, the path of
 * its second. */
static void print_call(FILE *out, pid_t tid, long number, const uint64_t *args)
{
	char name[64], text[512] = "";
	ssize_t n;

	print_name(out, (int)number);
	if (number == SYS_fcntl || number == SYS_ioctl)
		fprintf(out, ":0x%x", (unsigned int)args[1]);
	if (args[0] < 1 << 20) {
		snprintf(name, sizeof(name), "/proc/%d/fd/%d", (int)tid, (int)args[0]);
		n = readlink(name, text, sizeof(text) - 1);
		if (n > 0)
			fprintf(out, " %.*s", (int)n, text);
	}
	if (takes_path(number)) {
		struct iovec to = { text, 256 }, from = { (void *)args[1], 256 }; // NOLINT

		memset(text, 0, sizeof(text));
		/* The text may lie just below the end of what is mapped. */
		if (4096 - args[1] % 4096 < from.iov_len)
			from.iov_len = 4096 - args[1] % 4096;
		if (process_vm_readv(tid, &to, 1, &from, 1, 0) > 0)
			fprintf(out, " \"%s\"", text);
	}
	fputc('\n', out);
}

/* Where a call that may do less than asked has its length; -1: nowhere. */
static int length_argument(long number)
{
	switch (number) {
	case SYS_read:
	case SYS_write:
	case SYS_pread64:
	case SYS_pwrite64:
	case SYS_readv:
	case SYS_writev:
	case SYS_preadv:
	case SYS_pwritev:
	case SYS_sendto:
	case SYS_recvfrom:
		return 2;
	case SYS_sendfile:
		return 3;
	case SYS_copy_file_range:
	case SYS_splice:
		return 4;
	case SYS_getrandom:
		return 1;
	default:
		return -1;
	}
}

/* An eventfd, a timer, a signalfd: memory of the kernel's own, which is taken and given at once. */
static bool is_counter(pid_t tid, uint64_t fd)
{
	static const char *const kinds[] = { "anon_inode:[eventfd]", "anon_inode:[timerfd]",
		"anon_inode:[signalfd]" };
	char name[64], text[32];
	ssize_t n;

	snprintf(name, sizeof(name), "/proc/%d/fd/%d", (int)tid, (int)fd);
	n = readlink(name, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(text, kinds[i]) == 0)
			return true;
	return false;
}

/* Reading and writing a counter can be refused (EAGAIN) and interrupted. It has no disk, quota or
 * device that could fail (fs/eventfd.c, timerfd.c and signalfd.c of the kernel). */
static bool can_fail(const struct tracer *t, pid_t tid, const struct __ptrace_syscall_info *info)
{
	long call = (long)info->seccomp.nr;

	return (call != SYS_read && call != SYS_write) || t->number == EINTR ||
	       t->number == EAGAIN || !is_counter(tid, info->seccomp.args[0]);
}

static void kill_all(const struct tracer *t)
{
	for (size_t i = 0; i < t->n_tasks; i++)
		kill(t->tasks[i].tgid, SIGKILL);
}

static void hold(const struct tracer *t, pid_t tid)
{
	char text[16];

	if (t->kind == PAUSE) {
		usleep((useconds_t)t->number * 1000);
		return;
	}
	snprintf(text, sizeof(text), "%d", (int)tid);
	setenv("INJECT_PID", text, 1);
	if (system(t->text) != 0)
		errx(125, "the command failed: %s", t->text);
}

/* Does the action on a thread that is stopped at a call. Returns false where it makes no
 * difference. */
static bool act(struct tracer *t, struct task *task, const struct __ptrace_syscall_info *info)
{
	int length = length_argument((long)info->seccomp.nr);
	registers r = { 0 };

	get_registers(task->tid, &r);
	switch (t->kind) {
	case FAIL:
	case RESULT:
		if (t->kind == FAIL && !can_fail(t, task->tid, info))
			return false;
		skip_call(task->tid, &r);
		/* brk does not return an errno, but the end as it was: anything below what was
		 * asked for. */
		set_result(&r, t->kind == RESULT	     ? t->number
			       : info->seccomp.nr == SYS_brk ? 0
							     : -t->number);
		set_registers(task->tid, &r);
		return true;
	case FAIL_AFTER:
		task->returning = true;
		return true;
	case SHORT:
		if (length < 0 || is_counter(task->tid, info->seccomp.args[0]) ||
			info->seccomp.args[length] <= (uint64_t)t->number)
			return false;
		set_argument(&r, length, (unsigned long)t->number);
		set_registers(task->tid, &r);
		return true;
	case SIGNAL:
		kill(task->tgid, (int)t->number);
		return true;
	case KILL:
		kill_all(t);
		return true;
	case PAUSE:
	case COMMAND:
		hold(t, task->tid);
		return true;
	case NOTHING:
		break;
	}
	return false;
}

static void at_call(struct tracer *t, struct task *task)
{
	struct __ptrace_syscall_info info = { 0 };
	bool due;

	if (!t->started || (task->foreign && !t->children) ||
		ptrace(PTRACE_GET_SYSCALL_INFO, task->tid, (void *)sizeof(info), &info) <= 0 ||
		info.op != PTRACE_SYSCALL_INFO_SECCOMP)
		return;
	t->count++;
	due = t->count == t->at || (t->onward && t->count > t->at);
	if (t->list) {
		fprintf(t->report, "%lu ", t->count);
		print_call(t->report, task->tid, (long)info.seccomp.nr, info.seccomp.args);
	}
	if (!due)
		return;
	if (t->done == 0) {
		/* Written before the action: a killed process has no descriptors. */
		fprintf(t->report, "injecting %lu ", t->count);
		print_call(t->report, task->tid, (long)info.seccomp.nr, info.seccomp.args);
		fflush(t->report);
	}
	t->done += act(t, task, &info);
}

/* A breakpoint at the program's entry point: what the dynamic loader does before is not the
 * program's. */
static void set_breakpoint(struct tracer *t, pid_t pid)
{
	unsigned long pair[2], word;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/auxv", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && read(fd, pair, sizeof(pair)) == sizeof(pair))
		if (pair[0] == AT_ENTRY)
			t->entry = pair[1];
	if (fd >= 0)
		close(fd);
	errno = 0;
	t->under = ptrace(PTRACE_PEEKTEXT, pid, (void *)t->entry, NULL);
	if (t->entry == 0 || errno != 0)
		errx(125, "cannot find the program's entry point");
	word = (unsigned long)t->under;
	memcpy(&word, breakpoint, sizeof(breakpoint));
	if (ptrace(PTRACE_POKETEXT, pid, (void *)t->entry, (void *)word) < 0)
		err(125, "PTRACE_POKETEXT");
}

static bool at_breakpoint(struct tracer *t, pid_t pid)
{
	registers r = { 0 };

	if (t->started || pid != t->main || t->entry == 0)
		return false;
	get_registers(pid, &r);
	if (instruction(&r) != t->entry + BREAK_SIZE)
		return false;
	set_instruction(&r, t->entry);
	set_registers(pid, &r);
	ptrace(PTRACE_POKETEXT, pid, (void *)t->entry, (void *)t->under);
	t->started = true;
	return true;
}

static void at_exec(struct tracer *t, struct task *task)
{
	if (task->tid != t->main) {
		task->foreign = true;
		return;
	}
	t->started = t->loader;
	if (!t->loader)
		set_breakpoint(t, task->tid);
}

/* One stop of one thread. Returns how it goes on. */
static void at_stop(struct tracer *t, pid_t tid, int status)
{
	struct task *task = task_of(t, tid);
	int signal = WSTOPSIG(status), event = status >> 16;
	registers r = { 0 };

	if (event == PTRACE_EVENT_SECCOMP) {
		at_call(t, task);
		signal = 0;
	} else if (event == PTRACE_EVENT_EXEC) {
		at_exec(t, task);
		signal = 0;
	} else if (event == PTRACE_EVENT_STOP && (signal == SIGSTOP || signal == SIGTSTP ||
							 signal == SIGTTIN || signal == SIGTTOU)) {
		/* Stopped by a signal, until SIGCONT. */
		if (ptrace(PTRACE_LISTEN, tid, NULL, NULL) < 0 && errno != ESRCH)
			err(125, "PTRACE_LISTEN");
		return;
	} else if (event != 0) {
		signal = 0;
	} else if (signal == (SIGTRAP | 0x80)) {
		get_registers(tid, &r);
		set_result(&r, -t->number);
		set_registers(tid, &r);
		task->returning = false;
		signal = 0;
	} else if (signal == SIGTRAP && at_breakpoint(t, tid)) {
		signal = 0;
	}
	ptrace(task->returning ? PTRACE_SYSCALL : PTRACE_CONT, tid, NULL, (void *)(long)signal);
}

static void run(struct tracer *t)
{
	int status;
	pid_t tid;

	while ((tid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
		if (tid < 0)
			continue;
		if (WIFSTOPPED(status)) {
			at_stop(t, tid, status);
			continue;
		}
		if (tid == t->main)
			t->status = status;
		forget(t, tid);
	}
}

int main(int argc, char **argv)
{
	static struct tracer t = { .report = NULL };

	t.report = stderr;
	find_names();
	parse(&t, argc, argv);
	t.main = start(&t, argv + optind);
	run(&t);
	fprintf(t.report, "calls %lu\n", t.count);
	if (t.kind != NOTHING)
		fprintf(t.report, t.done > 0 ? "injected %lu\n" : "not injected\n", t.done);
	fclose(t.report);
	if (WIFSIGNALED(t.status))
		return 128 + WTERMSIG(t.status);
	return WEXITSTATUS(t.status);
}
