/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_BASE_THREAD_H
#define SPLITFD_BASE_THREAD_H

/*
 * Threads with a small stack of their own and all signals blocked: signals are for the program's
 * first thread. The stack is given back when the thread is joined; the C library would keep up to
 * 40 MiB of them, which a service under a limit of address space never gets back.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct sfd_thread {
	pthread_t id;
	void *map; /* its stack, with a page below that is not; NULL: not started */
	size_t size;
};

/* The deepest use is a JSON document of 1000 levels, or a path of 2048 directories: each takes less
 * than 170 KiB. */
enum sfd_thread_stack {
	SFD_STACK_SMALL = 256 * 1024, /* of which there are many: a client's */
	SFD_STACK_LARGE = 512 * 1024,
};

/* 0 or -errno. */
int sfd_thread_start(
	struct sfd_thread *t, enum sfd_thread_stack stack, void *(*run)(void *), void *ctx);
bool sfd_thread_started(const struct sfd_thread *t);
/* Waits for its end. A thread that was not started, or joined, is no error. */
void sfd_thread_join(struct sfd_thread *t);

/* Threads that nobody waits for one by one: each that ends joins the one that ended before. */
struct sfd_threads {
	pthread_mutex_t lock;
	pthread_cond_t fewer;
	size_t n;
	struct sfd_group_thread *ended; /* the last one; to be joined */
};

void sfd_threads_init(struct sfd_threads *all);
/* 0 or -errno. */
int sfd_threads_start(
	struct sfd_threads *all, enum sfd_thread_stack stack, void *(*run)(void *), void *ctx);
/* Waits until all have ended. */
void sfd_threads_done(struct sfd_threads *all);

#endif
