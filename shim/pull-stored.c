/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/pull-stored.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct stored_layer {
	struct splitfd_digest stream;
	const char *diff_id;
	struct sfd_tree_layer *tree;
	bool done;
	int failed; /* 0 or -errno; then `error` tells it */
	struct splitfd_error error;
};

struct sfd_pull_stored {
	struct splitfd_repository *repository;
	struct stored_layer *layers;
	size_t n;
	pthread_t thread;
	bool has_thread;
	pthread_mutex_t lock; /* guards what follows, and `done` */
	pthread_cond_t read;
	size_t next; /* the first that nobody reads yet */
};

struct sfd_pull_stored *sfd_pull_stored_new(struct splitfd_repository *repository, size_t n)
{
	struct sfd_pull_stored *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->repository = repository;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->read, NULL);
	s->layers = calloc(n + 1, sizeof(*s->layers));
	return s->layers != NULL ? s : sfd_pull_stored_free(s);
}

struct sfd_pull_stored *sfd_pull_stored_free(struct sfd_pull_stored *s)
{
	if (s == NULL)
		return NULL;
	pthread_mutex_lock(&s->lock);
	s->next = s->n;
	pthread_mutex_unlock(&s->lock);
	if (s->has_thread)
		pthread_join(s->thread, NULL);
	for (size_t i = 0; i < s->n; i++)
		sfd_tree_layer_free(s->layers[i].tree);
	pthread_cond_destroy(&s->read);
	pthread_mutex_destroy(&s->lock);
	free(s->layers);
	free(s);
	return NULL;
}

void sfd_pull_stored_add(
	struct sfd_pull_stored *s, const struct splitfd_digest *stream, const char *diff_id)
{
	s->layers[s->n++] = (struct stored_layer){ .stream = *stream, .diff_id = diff_id };
}

/* Reads the next layer. False where there is none left. Locked; unlocks in between. */
static bool read_next(struct sfd_pull_stored *s)
{
	struct stored_layer *l;

	if (s->next >= s->n)
		return false;
	l = &s->layers[s->next++];
	pthread_mutex_unlock(&s->lock);
	l->failed = sfd_tree_layer_read(s->repository, &l->stream, l->diff_id,
		SFD_TREE_XATTRS_ALLOWLIST, &l->tree, &l->error);
	pthread_mutex_lock(&s->lock);
	l->done = true;
	pthread_cond_broadcast(&s->read);
	return true;
}

static void *run(void *arg)
{
	struct sfd_pull_stored *s = arg;

	pthread_mutex_lock(&s->lock);
	while (read_next(s))
		;
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* Signals are for the program's own thread. */
void sfd_pull_stored_start(struct sfd_pull_stored *s)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	s->has_thread = pthread_create(&s->thread, NULL, run, s) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static struct stored_layer *find(struct sfd_pull_stored *s, const char *diff_id)
{
	for (size_t i = 0; s != NULL && i < s->n; i++) {
		if (strcmp(s->layers[i].diff_id, diff_id) == 0)
			return &s->layers[i];
	}
	return NULL;
}

int sfd_pull_stored_take(struct sfd_pull_stored *s, const char *diff_id,
	struct sfd_tree_layer **ret, struct splitfd_error *err)
{
	struct stored_layer *l = find(s, diff_id);

	if (l == NULL)
		return splitfd_error_set(
			err, SPLITFD_ERROR_FAILED, ENOENT, "layer %s was not read", diff_id);
	pthread_mutex_lock(&s->lock);
	while (!l->done) {
		if (!read_next(s))
			pthread_cond_wait(&s->read, &s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	if (l->failed < 0) {
		if (err != NULL)
			*err = l->error;
		return l->failed;
	}
	*ret = l->tree;
	l->tree = NULL;
	return 0;
}
