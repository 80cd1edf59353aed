/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/base/thread.h"
#include "tests/unit/check.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

#define MANY 200

static atomic_int ran;

static void *count(void *ctx)
{
	(void)ctx;
	atomic_fetch_add(&ran, 1);
	return NULL;
}

static void *what_is_blocked(void *ctx)
{
	pthread_sigmask(SIG_SETMASK, NULL, ctx);
	return NULL;
}

static void *use_stack(void *ctx)
{
	volatile char room[200 * 1024];

	for (size_t i = 0; i < sizeof(room); i += 1024)
		room[i] = 1;
	*(int *)ctx = room[sizeof(room) - 1024];
	return NULL;
}

/* In KiB. */
static long address_space(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	long pages = 0;

	CHECK(f != NULL);
	CHECK_INT(fscanf(f, "%ld", &pages), 1);
	fclose(f);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* A sanitizer has an address space of its own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

TEST(signals_are_blocked_but_for_faults)
{
	struct sfd_thread t;
	sigset_t set;

	sigemptyset(&set);
	CHECK_INT(sfd_thread_start(&t, SFD_STACK_SMALL, what_is_blocked, &set), 0);
	CHECK(sfd_thread_started(&t));
	sfd_thread_join(&t);
	CHECK(!sfd_thread_started(&t));
	sfd_thread_join(&t);
	CHECK_INT(sigismember(&set, SIGTERM), 1);
	CHECK_INT(sigismember(&set, SIGIO), 1);
	CHECK_INT(sigismember(&set, SIGSEGV), 0);
	CHECK_INT(sigismember(&set, SIGABRT), 0);
}

TEST(the_stack_can_be_used)
{
	struct sfd_thread t;
	int got = 0;

	CHECK_INT(sfd_thread_start(&t, SFD_STACK_SMALL, use_stack, &got), 0);
	sfd_thread_join(&t);
	CHECK_INT(got, 1);
}

TEST(stacks_are_given_back)
{
	struct sfd_thread threads[MANY];
	struct sfd_threads all;
	long before;

	CHECK(SANITIZED || mallopt(M_ARENA_MAX, 1) == 1);
	sfd_threads_init(&all); /* what the C library takes at the first time */
	CHECK_INT(sfd_threads_start(&all, SFD_STACK_LARGE, count, NULL), 0);
	sfd_threads_done(&all);
	before = address_space();
	atomic_store(&ran, 0);
	for (int i = 0; i < MANY; i++)
		CHECK_INT(sfd_thread_start(&threads[i], SFD_STACK_LARGE, count, NULL), 0);
	for (int i = 0; i < MANY; i++)
		sfd_thread_join(&threads[i]);
	sfd_threads_init(&all);
	for (int i = 0; i < MANY; i++)
		CHECK_INT(sfd_threads_start(&all, SFD_STACK_LARGE, count, NULL), 0);
	sfd_threads_done(&all);
	CHECK_INT(atomic_load(&ran), 2 * MANY);
	CHECK(SANITIZED || address_space() <= before + 1024);
}

TEST(without_room_a_thread_is_not_started)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	struct sfd_thread threads[MANY];
	struct rlimit limit, low;
	int n = 0, r = 0;

	CHECK_INT(getrlimit(RLIMIT_AS, &limit), 0);
	low = limit;
	low.rlim_cur = (rlim_t)(address_space() + 20 * 1024) * 1024;
	CHECK_INT(setrlimit(RLIMIT_AS, &low), 0);
	while (n < MANY && (r = sfd_thread_start(&threads[n], SFD_STACK_LARGE, count, NULL)) == 0)
		n++;
	CHECK_INT(setrlimit(RLIMIT_AS, &limit), 0);
	CHECK_INT(r, -ENOMEM);
	CHECK(n > 10);
	CHECK(!sfd_thread_started(&threads[n]));
	while (n > 0)
		sfd_thread_join(&threads[--n]);
#endif
}
