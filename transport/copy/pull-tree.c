/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/copy/pull-tree.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/thread.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct row {
	const char *diff_id;
	size_t first; /* the first layer of the image with this diff_id; what follows is only there
		       */
	bool stored;  /* in `stream` */
	struct splitfd_digest stream;
	struct sfd_tree_layer *record;
	bool done;  /* read, or given */
	int failed; /* 0 or -errno; then `error` tells it */
	struct splitfd_error error;
};

struct sfd_pull_tree {
	struct splitfd_repository *repository;
	struct sfd_tree *tree;
	struct row *rows;
	size_t n;
	struct sfd_thread thread;
	pthread_mutex_t lock; /* guards what follows, and `done` */
	pthread_cond_t moved;
	size_t next;	/* the first that may be stored and read by nobody yet */
	size_t applied; /* so many layers are in the tree */
	bool applying, stop;
	int failed; /* 0 or -errno; then `error` tells it */
	struct splitfd_error error;
};

int sfd_pull_tree_new(struct splitfd_repository *repository, const char *const *diff_ids, size_t n,
	void (*told)(void *ctx, const char *text), void *ctx, struct sfd_pull_tree **ret,
	struct splitfd_error *err)
{
	sfd_cleanup_pull_tree struct sfd_pull_tree *t = calloc(1, sizeof(*t));
	int r;

	if (t == NULL)
		return splitfd_error_oom(err);
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->moved, NULL);
	t->repository = repository;
	t->rows = calloc(n + 1, sizeof(*t->rows));
	if (t->rows == NULL)
		return splitfd_error_oom(err);
	t->n = n;
	for (size_t i = 0; i < n; i++) {
		struct row *row = &t->rows[i];

		row->diff_id = diff_ids[i];
		while (strcmp(diff_ids[row->first], diff_ids[i]) != 0)
			row->first++;
	}
	r = sfd_tree_new(splitfd_repository_algorithm(repository), &t->tree, err);
	if (r < 0)
		return r;
	sfd_tree_on_deviation(t->tree, told, ctx);
	*ret = sfd_take_ptr(&t);
	return 0;
}

struct sfd_pull_tree *sfd_pull_tree_free(struct sfd_pull_tree *t)
{
	if (t == NULL)
		return NULL;
	pthread_mutex_lock(&t->lock);
	t->stop = true;
	pthread_mutex_unlock(&t->lock);
	sfd_thread_join(&t->thread);
	sfd_tree_free(t->tree);
	for (size_t i = 0; i < t->n; i++)
		sfd_tree_layer_free(t->rows[i].record);
	pthread_cond_destroy(&t->moved);
	pthread_mutex_destroy(&t->lock);
	free(t->rows);
	free(t);
	return NULL;
}

void sfd_pull_tree_stored(struct sfd_pull_tree *t, size_t i, const struct splitfd_digest *stream)
{
	t->rows[i].stored = true;
	t->rows[i].stream = *stream;
}

void sfd_pull_tree_give(struct sfd_pull_tree *t, size_t i, struct sfd_tree_layer *record)
{
	pthread_mutex_lock(&t->lock);
	t->rows[i].record = record;
	t->rows[i].done = true;
	pthread_mutex_unlock(&t->lock);
}

/* Reads the next stored layer. False where there is none left. Locked; unlocks in between. */
static bool read_next(struct sfd_pull_tree *t)
{
	struct row *row;

	while (t->next < t->n && (!t->rows[t->next].stored || t->rows[t->next].first != t->next))
		t->next++;
	if (t->next == t->n)
		return false;
	row = &t->rows[t->next++];
	pthread_mutex_unlock(&t->lock);
	row->failed = sfd_tree_layer_read(t->repository, &row->stream, row->diff_id,
		SFD_TREE_XATTRS_ALLOWLIST, &row->record, &row->error);
	pthread_mutex_lock(&t->lock);
	row->done = true;
	return true;
}

/* Applies the next layer. False where it is not there yet, or another thread is at it. Locked;
 * unlocks in between. */
static bool apply_next(struct sfd_pull_tree *t)
{
	struct splitfd_error error = { 0 };
	const struct row *row;
	int r;

	if (t->applying || t->failed < 0 || t->applied == t->n)
		return false;
	row = &t->rows[t->rows[t->applied].first];
	if (!row->done)
		return false;
	t->applying = true;
	pthread_mutex_unlock(&t->lock);
	r = row->failed;
	if (r < 0)
		error = row->error;
	else
		r = sfd_tree_apply(t->tree, row->record, &error);
	pthread_mutex_lock(&t->lock);
	t->applying = false;
	if (r < 0) {
		t->failed = r;
		t->error = error;
	} else {
		t->applied++;
	}
	return true;
}

/* False where there is nothing to do now. Locked; unlocks in between. */
static bool work(struct sfd_pull_tree *t)
{
	bool worked = apply_next(t) || read_next(t);

	if (worked)
		pthread_cond_broadcast(&t->moved);
	return worked;
}

static void *run(void *arg)
{
	struct sfd_pull_tree *t = arg;

	pthread_mutex_lock(&t->lock);
	while (!t->stop && work(t))
		;
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

void sfd_pull_tree_start(struct sfd_pull_tree *t)
{
	/* Without a thread, whoever waits for the tree does its work. */
	(void)sfd_thread_start(&t->thread, SFD_STACK_LARGE, run, t);
}

int sfd_pull_tree_finish(
	struct sfd_pull_tree *t, const struct sfd_tree **ret, struct splitfd_error *err)
{
	int r;

	pthread_mutex_lock(&t->lock);
	while (t->applied < t->n && t->failed == 0) {
		if (!work(t))
			pthread_cond_wait(&t->moved, &t->lock);
	}
	r = t->failed;
	pthread_mutex_unlock(&t->lock);
	if (r < 0)
		return splitfd_error_copy(err, r, &t->error);
	*ret = t->tree;
	return sfd_tree_finish_oci(t->tree, SFD_TREE_XATTRS_ALLOWLIST, err);
}
