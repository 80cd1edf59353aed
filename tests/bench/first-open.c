/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long a program runs until it first opens one of some files: appends the seconds from just
 * before its exec to the file's opening, as inotify tells it, to a file.
 *
 *	first-open FILE TARGET… -- PROGRAM [ARGUMENT]…
 *
 * Nothing is traced, so that the program runs at its own speed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void die(const char *what)
{
	fprintf(stderr, "first-open: %s: %s\n", what, strerror(errno));
	exit(2);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Until a target is opened. A program may also end without that: it holds the last write end of the
 * pipe. 0 then. */
static double wait_for_open(int notify, int ended)
{
	char event[4096];
	fd_set set;

	FD_ZERO(&set);
	FD_SET(notify, &set);
	FD_SET(ended, &set);
	if (select((notify > ended ? notify : ended) + 1, &set, NULL, NULL, NULL) < 0)
		die("select");
	if (!FD_ISSET(notify, &set))
		return 0;
	if (read(notify, event, sizeof(event)) < 0)
		die("inotify");
	return now();
}

int main(int argc, char **argv)
{
	int notify = inotify_init1(IN_CLOEXEC), i, status, ends[2];
	double start, opened;
	FILE *out;
	pid_t pid;

	if (notify < 0 || pipe(ends) < 0)
		die("cannot begin");
	for (i = 2; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (inotify_add_watch(notify, argv[i], IN_OPEN) < 0)
			die(argv[i]);
	}
	if (i + 1 >= argc) {
		fprintf(stderr, "Usage: first-open FILE TARGET... -- PROGRAM [ARGUMENT]...\n");
		return 2;
	}
	start = now();
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		close(ends[0]);
		execvp(argv[i + 1], argv + i + 1);
		die(argv[i + 1]);
	}
	close(ends[1]);
	opened = wait_for_open(notify, ends[0]);
	if (waitpid(pid, &status, 0) < 0)
		die("wait");
	if (opened <= 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		fprintf(stderr, "first-open: the program failed, or opened none of the files\n");
		return 1;
	}
	out = fopen(argv[1], "ae");
	if (out == NULL || fprintf(out, "%.6f\n", opened - start) < 0 || fclose(out) != 0)
		die(argv[1]);
	return 0;
}
