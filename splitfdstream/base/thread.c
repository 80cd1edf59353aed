/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/base/thread.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* Frames are larger without optimisation, and much larger with a sanitizer. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FRAMES 8
#elif defined(__OPTIMIZE__)
#define FRAMES 1
#else
#define FRAMES 2
#endif

struct sfd_group_thread {
	struct sfd_thread thread;
	struct sfd_threads *all;
	void *(*run)(void *);
	void *ctx;
};

static int map_stack(struct sfd_thread *t, size_t size, size_t guard)
{
	int r;

	t->size = guard + size;
	t->map = mmap(NULL, t->size, PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	if (t->map == MAP_FAILED) {
		t->map = NULL;
		return -errno;
	}
	if (mprotect((char *)t->map + guard, size, PROT_READ | PROT_WRITE) == 0)
		return 0;
	r = -errno;
	(void)munmap(t->map, t->size);
	t->map = NULL;
	return r;
}

static void unmap_stack(struct sfd_thread *t)
{
	(void)munmap(t->map, t->size);
	t->map = NULL;
}

/* What a fault of the thread's own raises is not blocked. */
static int block_signals(pthread_attr_t *attr)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT };
	sigset_t blocked;

	sigfillset(&blocked);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		sigdelset(&blocked, faults[i]);
	return pthread_attr_setsigmask_np(attr, &blocked);
}

static int create(struct sfd_thread *t, size_t guard, void *(*run)(void *), void *ctx)
{
	pthread_attr_t attr;
	int r = pthread_attr_init(&attr);

	if (r != 0)
		return -r;
	r = pthread_attr_setstack(&attr, (char *)t->map + guard, t->size - guard);
	if (r == 0)
		r = block_signals(&attr);
	if (r == 0)
		r = pthread_create(&t->id, &attr, run, ctx);
	pthread_attr_destroy(&attr);
	return -r;
}

int sfd_thread_start(
	struct sfd_thread *t, enum sfd_thread_stack stack, void *(*run)(void *), void *ctx)
{
	size_t guard = (size_t)sysconf(_SC_PAGESIZE);
	int r = map_stack(t, (size_t)stack * FRAMES, guard);

	if (r < 0)
		return r;
	r = create(t, guard, run, ctx);
	if (r < 0)
		unmap_stack(t);
	return r;
}

bool sfd_thread_started(const struct sfd_thread *t)
{
	return t->map != NULL;
}

void sfd_thread_join(struct sfd_thread *t)
{
	if (t->map == NULL)
		return;
	(void)pthread_join(t->id, NULL);
	unmap_stack(t);
}

void sfd_threads_init(struct sfd_threads *all)
{
	*all = (struct sfd_threads){ .n = 0 };
	(void)pthread_mutex_init(&all->lock, NULL);
	(void)pthread_cond_init(&all->fewer, NULL);
}

static void join_member(struct sfd_group_thread *g)
{
	if (g != NULL)
		sfd_thread_join(&g->thread);
	free(g);
}

static void *run_member(void *ctx)
{
	struct sfd_group_thread *self = ctx, *before;
	struct sfd_threads *all = self->all;

	(void)self->run(self->ctx);
	pthread_mutex_lock(&all->lock);
	before = all->ended;
	all->ended = self;
	all->n--;
	pthread_cond_signal(&all->fewer);
	pthread_mutex_unlock(&all->lock);
	/* `all` may be gone now. */
	join_member(before);
	return NULL;
}

int sfd_threads_start(
	struct sfd_threads *all, enum sfd_thread_stack stack, void *(*run)(void *), void *ctx)
{
	struct sfd_group_thread *g = calloc(1, sizeof(*g));
	int r;

	if (g == NULL)
		return -ENOMEM;
	g->all = all;
	g->run = run;
	g->ctx = ctx;
	/* It ends under the lock: `thread` is complete by then. */
	pthread_mutex_lock(&all->lock);
	r = sfd_thread_start(&g->thread, stack, run_member, g);
	all->n += r == 0;
	pthread_mutex_unlock(&all->lock);
	if (r < 0)
		free(g);
	return r;
}

void sfd_threads_done(struct sfd_threads *all)
{
	pthread_mutex_lock(&all->lock);
	while (all->n > 0)
		pthread_cond_wait(&all->fewer, &all->lock);
	pthread_mutex_unlock(&all->lock);
	join_member(all->ended);
	pthread_cond_destroy(&all->fewer);
	pthread_mutex_destroy(&all->lock);
}
