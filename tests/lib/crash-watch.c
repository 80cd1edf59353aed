/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crash-watch COMMAND…: runs it, and fails where any process below it ended by a signal that stands
 * for a fault of the program, whoever waited for that process, and whether anyone did. The kernel's
 * process events tell (proc connector), for which root of the first namespaces is needed; elsewhere
 * the command runs without being watched. What it prints is TAP, after that of the command.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/netlink.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIDS 4194304 /* the kernel's own bound, PID_MAX_LIMIT */

struct process {
	bool below;    /* the command, or a descendant */
	char name[24]; /* as of its last exec */
};

static struct process *table;
static unsigned int crashes, lost;

static bool is_fault(int signal)
{
	return signal == SIGSEGV || signal == SIGABRT || signal == SIGBUS || signal == SIGILL ||
	       signal == SIGFPE || signal == SIGSYS;
}

static void read_name(pid_t pid, struct process *process)
{
	char path[64];
	ssize_t n = 0;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, process->name, sizeof(process->name) - 1);
		close(fd);
	}
	process->name[n > 0 ? n : 0] = 0;
	process->name[strcspn(process->name, "\n")] = 0;
}

static void on_event(const struct proc_event *event)
{
	struct process *process;

	switch (event->what) {
	case PROC_EVENT_FORK:
		/* Its process, also where a thread forked; a new thread is no process. */
		if (event->event_data.fork.child_pid == event->event_data.fork.child_tgid)
			table[event->event_data.fork.child_tgid] =
				table[event->event_data.fork.parent_tgid];
		break;
	case PROC_EVENT_EXEC:
		process = &table[event->event_data.exec.process_tgid];
		if (!process->below)
			break;
		read_name(event->event_data.exec.process_tgid, process);
		/* Another one watches what is below it. */
		process->below = strcmp(process->name, "crash-watch") != 0;
		break;
	case PROC_EVENT_EXIT:
		process = &table[event->event_data.exit.process_tgid];
		if (event->event_data.exit.process_pid != event->event_data.exit.process_tgid)
			break;
		if (process->below && is_fault((int)event->event_data.exit.exit_code & 0x7f)) {
			crashes++;
			printf("# %s (process %d) was ended by signal %d (%s)\n",
				process->name[0] ? process->name : "a program",
				(int)event->event_data.exit.process_tgid,
				(int)event->event_data.exit.exit_code & 0x7f,
				strsignal((int)event->event_data.exit.exit_code & 0x7f));
		}
		process->below = false;
		break;
	default:
		break;
	}
}

/* All that is there. False where there is nothing more. */
static bool take_events(int fd)
{
	_Alignas(struct nlmsghdr) char buffer[4096];
	ssize_t n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
	const struct nlmsghdr *header = (const struct nlmsghdr *)buffer;
	const struct cn_msg *message;
	struct proc_event event;

	if (n < 0) {
		if (errno == ENOBUFS)
			lost++;
		return errno == ENOBUFS || errno == EINTR;
	}
	for (; NLMSG_OK(header, (size_t)n); header = NLMSG_NEXT(header, n)) {
		message = NLMSG_DATA(header);
		if (header->nlmsg_len < NLMSG_LENGTH(sizeof(*message) + sizeof(event)))
			continue;
		memcpy(&event, message->data, sizeof(event));
		on_event(&event);
	}
	return true;
}

static bool watch_is_on(int fd)
{
	_Alignas(struct nlmsghdr) char
		buffer[NLMSG_SPACE(sizeof(struct cn_msg) + sizeof(uint32_t))] = { 0 };
	const enum proc_cn_mcast_op on = PROC_CN_MCAST_LISTEN;
	struct nlmsghdr *header = (struct nlmsghdr *)buffer;
	struct cn_msg *message = NLMSG_DATA(header);
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	int size = 64 << 20;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) != 0)
		return false;
	header->nlmsg_len = NLMSG_LENGTH(sizeof(*message) + sizeof(on));
	header->nlmsg_type = NLMSG_DONE;
	message->id.idx = CN_IDX_PROC;
	message->id.val = CN_VAL_PROC;
	message->len = sizeof(on);
	memcpy(message->data, &on, sizeof(on));
	/* The kernel answers with an event that says so, or not at all. */
	return send(fd, header, header->nlmsg_len, 0) == (ssize_t)header->nlmsg_len &&
	       poll(&poll_fd, 1, 2000) == 1;
}

static int open_watch(void)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = CN_IDX_PROC };
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_CONNECTOR);

	if (fd < 0)
		return -1;
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || !watch_is_on(fd)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Until the command has ended; its status as a shell says it. */
static int wait_for(pid_t pid, int fd, int signal_fd)
{
	struct pollfd poll_fds[] = { { .fd = fd, .events = POLLIN },
		{ .fd = signal_fd, .events = POLLIN } };
	struct signalfd_siginfo info;
	int status;

	for (;;) {
		if (poll(poll_fds, 2, -1) < 0 && errno != EINTR)
			return 125;
		while (take_events(fd))
			;
		if (poll_fds[1].revents && read(signal_fd, &info, sizeof(info)) > 0 &&
			info.ssi_signo != SIGCHLD)
			kill(pid, (int)info.ssi_signo); /* of the time limit */
		if (waitpid(pid, &status, WNOHANG) == pid)
			break;
	}
	while (take_events(fd))
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
	int fd = open_watch(), signal_fd, status;
	sigset_t set, before;
	pid_t pid;

	if (argc < 2)
		return 2;
	if (fd < 0) {
		execvp(argv[1], argv + 1);
		return 127;
	}
	table = mmap(NULL, PIDS * sizeof(*table), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, &before);
	signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (table == MAP_FAILED || signal_fd < 0) {
		perror("crash-watch");
		return 125;
	}
	table[getpid()].below = true;
	pid = fork();
	if (pid == 0) {
		sigprocmask(SIG_SETMASK, &before, NULL);
		execvp(argv[1], argv + 1);
		perror(argv[1]);
		_exit(127);
	}
	if (pid < 0) {
		perror("crash-watch");
		return 125;
	}
	status = wait_for(pid, fd, signal_fd);
	if (lost > 0)
		printf("# the kernel's process events were lost %u times\n", lost);
	if (crashes == 0)
		return status;
	printf("not ok a program crashed\n");
	return status != 0 ? status : 1;
}
