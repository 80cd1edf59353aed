/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A library for LD_PRELOAD that lets the N-th allocation of a program fail, counted over all of its
 * threads from main() on: malloc and its relatives, and with them whatever the C library takes by
 * them (opendir, getline, strdup, pthread_create), and anonymous maps of the program's own.
 *
 *   MALLOC_FAIL=once:N   the N-th fails
 *   MALLOC_FAIL=from:N   the N-th fails, and all that follow
 *   MALLOC_FAIL_COUNT=F  how many there were goes into the file F at the end
 *
 * Only the program `splitfd` is meant, not what it starts.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t count, size_t n);
extern void *__libc_realloc(void *p, size_t n);
extern void *__libc_memalign(size_t alignment, size_t n);

typedef int main_fn(int argc, char **argv, char **envp);
int __libc_start_main(main_fn *real_main, int argc, char **argv, void (*init)(void),
	void (*fini)(void), void (*rtld_fini)(void), void *stack_end);

static atomic_bool active;
static atomic_long counted;
static long at; /* 0: none fails */
static bool all_from;
static int report_fd = -1;
static pid_t owner;
static main_fn *program;

static bool fails(void)
{
	long n;

	if (!atomic_load_explicit(&active, memory_order_relaxed))
		return false;
	n = atomic_fetch_add(&counted, 1) + 1;
	if (at == 0 || n < at || (n > at && !all_from))
		return false;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t n)
{
	return fails() ? NULL : __libc_malloc(n);
}

void *calloc(size_t count, size_t n)
{
	return fails() ? NULL : __libc_calloc(count, n);
}

void *realloc(void *p, size_t n)
{
	return fails() ? NULL : __libc_realloc(p, n);
}

void *reallocarray(void *p, size_t count, size_t n)
{
	size_t size;

	if (__builtin_mul_overflow(count, n, &size)) {
		errno = ENOMEM;
		return NULL;
	}
	return fails() ? NULL : __libc_realloc(p, size);
}

void *aligned_alloc(size_t alignment, size_t n)
{
	return fails() ? NULL : __libc_memalign(alignment, n);
}

void *memalign(size_t alignment, size_t n);
void *memalign(size_t alignment, size_t n)
{
	return fails() ? NULL : __libc_memalign(alignment, n);
}

int posix_memalign(void **ret, size_t alignment, size_t n)
{
	void *p = fails() ? NULL : __libc_memalign(alignment, n);

	if (p == NULL)
		return ENOMEM;
	*ret = p;
	return 0;
}

void *mmap(void *address, size_t n, int protection, int flags, int fd, off_t offset)
{
	if ((flags & MAP_ANONYMOUS) != 0 && fails())
		return MAP_FAILED;
	/* NOLINTNEXTLINE: the C library's own would be found by dlsym, which allocates. */
	return (void *)syscall(SYS_mmap, address, n, protection, flags, fd, offset);
}

/* Opened before the program goes into its sandbox, and out of its way. */
static void open_report(void)
{
	const char *name = getenv("MALLOC_FAIL_COUNT");
	int fd = name != NULL ? open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;

	if (fd < 0)
		return;
	report_fd = fcntl(fd, F_DUPFD_CLOEXEC, 900);
	close(fd);
}

static void report(void)
{
	char text[64];
	int n;

	atomic_store(&active, false);
	if (report_fd < 0 || getpid() != owner)
		return;
	n = snprintf(text, sizeof(text), "%ld\n%s", atomic_load(&counted),
		at != 0 && atomic_load(&counted) >= at ? "injecting\n" : "");
	if (write(report_fd, text, (size_t)n) != n)
		_exit(125);
}

static int start(int argc, char **argv, char **envp)
{
	const char *what = getenv("MALLOC_FAIL");

	if (what != NULL && strcmp(program_invocation_short_name, "splitfd") == 0) {
		all_from = strncmp(what, "from:", 5) == 0;
		at = strtol(what + 5, NULL, 10);
		owner = getpid();
		open_report();
		if (atexit(report) != 0)
			_exit(125);
		atomic_store(&active, true);
	}
	return program(argc, argv, envp);
}

int __libc_start_main(main_fn *real_main, int argc, char **argv, void (*init)(void),
	void (*fini)(void), void (*rtld_fini)(void), void *stack_end)
{
	int (*next)(
		main_fn *, int, char **, void (*)(void), void (*)(void), void (*)(void), void *);

	*(void **)&next = dlsym(RTLD_NEXT, "__libc_start_main");
	program = real_main;
	return next(start, argc, argv, init, fini, rtld_fini, stack_end);
}
