/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes one byte of each file to and fro while others read them, until it is ended; then the
 * files are as before:
 *
 *	writer mapped|plain|reopening SEED FILE OFFSET [FILE OFFSET…]
 *
 * mapped: through a shared mapping, which changes no time stamp once its page is dirty. plain: by
 * pwrite(2) to files that stay open. reopening: opened for each write, and closed. Storms of
 * changes take turns with a calm in which the files are right.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define FILES_MAX 8
#define PAGE	  4096

enum kind { MAPPED, PLAIN, REOPENING };

struct file {
	const char *name;
	off_t offset;
	int fd;
	volatile uint8_t *byte; /* in the mapping */
	uint8_t right, now;
};

static volatile sig_atomic_t ended;

static void end(int sig)
{
	(void)sig;
	ended = 1;
}

static void fail(const char *what, const char *name)
{
	fprintf(stderr, "writer: cannot %s %s: %s\n", what, name, strerror(errno));
	exit(1);
}

static uint32_t draw(uint64_t *state)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(*state >> 33);
}

static void prepare(enum kind kind, struct file *f)
{
	off_t page = f->offset / PAGE * PAGE;
	uint8_t *map;

	f->fd = open(f->name, O_RDWR | O_CLOEXEC);
	if (f->fd < 0 || pread(f->fd, &f->right, 1, f->offset) != 1)
		fail("read", f->name);
	f->now = f->right;
	if (kind == MAPPED) {
		map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd, page);
		if (map == MAP_FAILED)
			fail("map", f->name);
		f->byte = map + (f->offset - page);
	}
	/* A mapping does without. */
	if (kind != PLAIN) {
		close(f->fd);
		f->fd = -1;
	}
}

static void set(enum kind kind, struct file *f, uint8_t value)
{
	int fd = f->fd;

	f->now = value;
	if (kind == MAPPED) {
		*f->byte = value;
		return;
	}
	if (kind == REOPENING)
		fd = open(f->name, O_WRONLY | O_CLOEXEC);
	/* A reader's lease keeps it waiting; the end is a signal then. */
	if (fd < 0 && errno == EINTR)
		return;
	if (fd < 0 || pwrite(fd, &value, 1, f->offset) != 1)
		fail("write", f->name);
	if (kind == REOPENING)
		close(fd);
}

static void storm(enum kind kind, struct file *files, size_t n, uint64_t *state)
{
	static const uint32_t most[] = { 500000, 5000, 1000 }; /* some milliseconds each */
	uint32_t changes = draw(state) % most[kind];

	for (uint32_t i = 0; i < changes && !ended; i++) {
		struct file *f = &files[draw(state) % n];

		set(kind, f, f->now == f->right ? f->right ^ 0x20 : f->right);
	}
}

static void calm(enum kind kind, struct file *files, size_t n, uint64_t *state)
{
	const struct timespec pause = { .tv_nsec = (long)(draw(state) % 6000000) };

	for (size_t i = 0; i < n; i++) {
		if (files[i].now != files[i].right || ended)
			set(kind, &files[i], files[i].right);
	}
	if (!ended)
		nanosleep(&pause, NULL);
}

int main(int argc, char **argv)
{
	static const char *const kinds[] = { "mapped", "plain", "reopening" };
	const struct sigaction action = { .sa_handler = end };
	struct file files[FILES_MAX];
	enum kind kind = MAPPED;
	uint64_t state;
	size_t n = 0;

	if (argc < 5 || argc % 2 == 0 || argc > 3 + 2 * FILES_MAX)
		return 2;
	while (strcmp(argv[1], kinds[kind]) != 0) {
		if (++kind > REOPENING)
			return 2;
	}
	state = strtoull(argv[2], NULL, 10);
	for (int i = 3; i < argc; i += 2) {
		files[n] = (struct file){ .name = argv[i], .offset = atoll(argv[i + 1]) };
		prepare(kind, &files[n++]);
	}
	sigaction(SIGTERM, &action, NULL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	puts("ready");
	fflush(stdout);
	while (!ended) {
		storm(kind, files, n, &state);
		calm(kind, files, n, &state);
	}
	calm(kind, files, n, &state);
	return 0;
}
