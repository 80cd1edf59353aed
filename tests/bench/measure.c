/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a program and appends one line to a file: wall, user and system seconds, the peak resident
 * size in KiB, bytes that read and its kin returned, and bytes that came from a disk; of it and its
 * children.
 *
 *	measure FILE PROGRAM [ARGUMENT]…
 *
 * Ends with the program's own code. Small itself, because a child's peak counts from the fork on.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double seconds(const struct timeval *t)
{
	return (double)t->tv_sec + (double)t->tv_usec / 1e6;
}

/* What a child has read is its parent's as soon as it is waited for. */
static int bytes_read(unsigned long long *ret_read, unsigned long long *ret_disk)
{
	FILE *io = fopen("/proc/self/io", "re");
	char line[128];
	int found = 0;

	while (io != NULL && fgets(line, sizeof(line), io) != NULL) {
		found += sscanf(line, "rchar: %llu", ret_read) == 1;
		found += sscanf(line, "read_bytes: %llu", ret_disk) == 1;
	}
	if (io != NULL)
		fclose(io);
	return found == 2 ? 0 : -1;
}

static int note(const char *path, double wall, const struct rusage *usage)
{
	unsigned long long read, disk;
	FILE *out;
	int r;

	if (bytes_read(&read, &disk) < 0) {
		fprintf(stderr, "measure: /proc/self/io cannot be read\n");
		return -1;
	}
	out = fopen(path, "ae");
	if (out == NULL) {
		fprintf(stderr, "measure: %s: %s\n", path, strerror(errno));
		return -1;
	}
	fprintf(out, "%.6f %.6f %.6f %ld %llu %llu\n", wall, seconds(&usage->ru_utime),
		seconds(&usage->ru_stime), usage->ru_maxrss, read, disk);
	r = fclose(out);
	if (r != 0)
		fprintf(stderr, "measure: %s: %s\n", path, strerror(errno));
	return r;
}

int main(int argc, char **argv)
{
	struct timespec start, end;
	struct rusage usage;
	int status;
	pid_t pid;

	if (argc < 3) {
		fprintf(stderr, "Usage: measure FILE PROGRAM [ARGUMENT]...\n");
		return 2;
	}
	clock_gettime(CLOCK_MONOTONIC, &start);
	pid = fork();
	if (pid < 0) {
		fprintf(stderr, "measure: fork: %s\n", strerror(errno));
		return 2;
	}
	if (pid == 0) {
		execvp(argv[2], argv + 2);
		fprintf(stderr, "measure: %s: %s\n", argv[2], strerror(errno));
		_exit(127);
	}
	while (wait4(pid, &status, 0, &usage) < 0) {
		if (errno != EINTR) {
			fprintf(stderr, "measure: wait4: %s\n", strerror(errno));
			return 2;
		}
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	if (note(argv[1],
		    (double)(end.tv_sec - start.tv_sec) +
			    (double)(end.tv_nsec - start.tv_nsec) / 1e9,
		    &usage) < 0)
		return 2;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
