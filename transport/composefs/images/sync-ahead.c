/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/images/sync-ahead.h"
#include "splitfdstream/base/thread.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#define SYNC_OBJECTS  ((uint64_t)2048)
#define SYNC_BYTES    ((uint64_t)32 * 1024 * 1024)
#define PAUSE_OBJECTS ((uint64_t)256)
#define PAUSE_BYTES   ((uint64_t)4 * 1024 * 1024)

struct sfd_sync_ahead {
	int (*sync)(void *ctx);
	void *ctx;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct sfd_thread thread;
	/* guarded by the lock */
	uint64_t objects, bytes; /* since the last sync began */
	uint64_t synced;	 /* objects before */
	bool wanted, working, stop;
	int failed; /* 0 or -errno */
};

struct sfd_sync_ahead *sfd_sync_ahead_new(int (*sync)(void *ctx), void *ctx)
{
	struct sfd_sync_ahead *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->sync = sync;
	s->ctx = ctx;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->changed, NULL);
	return s;
}

struct sfd_sync_ahead *sfd_sync_ahead_free(struct sfd_sync_ahead *s)
{
	if (s == NULL)
		return NULL;
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	sfd_thread_join(&s->thread);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	free(s);
	return NULL;
}

static void *run(void *arg)
{
	struct sfd_sync_ahead *s = arg;

	pthread_mutex_lock(&s->lock);
	while (!s->stop) {
		int r;

		if (!s->wanted) {
			pthread_cond_wait(&s->changed, &s->lock);
			continue;
		}
		s->wanted = false;
		s->working = true;
		s->synced += s->objects;
		s->objects = 0;
		s->bytes = 0;
		pthread_mutex_unlock(&s->lock);
		r = s->sync(s->ctx);
		pthread_mutex_lock(&s->lock);
		if (s->failed == 0)
			s->failed = r;
		s->working = false;
		pthread_cond_broadcast(&s->changed);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* Without a thread, the sync before the names does it all. */
static void start(struct sfd_sync_ahead *s)
{
	(void)sfd_thread_start(&s->thread, SFD_STACK_SMALL, run, s);
}

/* Locked. */
static void want(struct sfd_sync_ahead *s)
{
	if (!sfd_thread_started(&s->thread))
		start(s);
	s->wanted = sfd_thread_started(&s->thread);
	pthread_cond_broadcast(&s->changed);
}

/* Data is written once. The inodes and names of objects share blocks, which each sync writes again:
 * so each waits for as many objects as all before it. */
static bool is_enough(const struct sfd_sync_ahead *s)
{
	return s->bytes >= SYNC_BYTES || (s->objects >= SYNC_OBJECTS && s->objects >= s->synced);
}

void sfd_sync_ahead_wrote(struct sfd_sync_ahead *s, uint64_t bytes)
{
	pthread_mutex_lock(&s->lock);
	s->objects++;
	s->bytes += bytes;
	if (!s->working && !s->wanted && is_enough(s))
		want(s);
	pthread_mutex_unlock(&s->lock);
}

void sfd_sync_ahead_pause(struct sfd_sync_ahead *s)
{
	pthread_mutex_lock(&s->lock);
	if (s->objects >= PAUSE_OBJECTS || s->bytes >= PAUSE_BYTES)
		want(s);
	pthread_mutex_unlock(&s->lock);
}

int sfd_sync_ahead_finish(struct sfd_sync_ahead *s)
{
	int r;

	pthread_mutex_lock(&s->lock);
	while (s->working || s->wanted)
		pthread_cond_wait(&s->changed, &s->lock);
	r = s->failed;
	pthread_mutex_unlock(&s->lock);
	return r;
}
