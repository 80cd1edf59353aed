/* SPDX-License-Identifier: Apache-2.0 */
/* An import's threads: which work comes next, and what all kinds of it share. */
#include "transport/composefs/import/import-private.h"
#include "splitfdstream/base/flag.h"
#include "splitfdstream/base/removed.h"
#include "splitfdstream/base/thread.h"
#include "transport/composefs/images/sync-ahead.h"

bool sfd_import_cancelled(const struct splitfd_import *import)
{
	return sfd_flag_is_set(import->options.cancel);
}

void sfd_import_wake(struct splitfd_import *import)
{
	if (import->n_idle > 0)
		pthread_cond_signal(&import->work);
}

void sfd_import_tell_done(struct splitfd_import *import)
{
	if (import->n_waiting > 0)
		pthread_cond_broadcast(&import->done);
}

/* What the file shows may have happened to it alone: whose layer is still there was changed. */
static int find_reason(const struct sfd_import_entry *e, int r, struct splitfd_error *err)
{
	if (err->errnum != ESTALE || e->files == NULL)
		return r;
	if (splitfd_files_removed(e->files))
		return sfd_layer_removed(err);
	if (err->kind != SPLITFD_ERROR_NOT_FOUND)
		return r;
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, ESTALE,
		"the file was deleted or replaced while it was read");
}

int sfd_import_wrap_file(const struct sfd_import_entry *e, int r, struct splitfd_error *err)
{
	if (r < 0)
		r = find_reason(e, r, err);
	if (r < 0)
		splitfd_error_wrap(err, r, "byte %llu of the tar, file '%s'",
			(unsigned long long)e->offset,
			e->name != NULL ? e->name : "(a descriptor)");
	return r;
}

static void count(struct splitfd_import *import, enum sfd_object_how how, uint64_t size)
{
	struct splitfd_import_stats *stats = &import->stats;

	pthread_mutex_lock(&import->lock);
	switch (how) {
	case SFD_OBJECT_PRESENT:
		stats->objects_already_present++;
		break;
	case SFD_OBJECT_REFLINKED:
		stats->objects_reflinked++;
		stats->bytes_reflinked += size;
		break;
	case SFD_OBJECT_COPIED:
		stats->objects_copied++;
		stats->bytes_copied += size;
		break;
	}
	pthread_mutex_unlock(&import->lock);
}

int sfd_import_store(struct splitfd_import *import, const struct splitfd_digest *digest,
	const struct sfd_content *content, struct sfd_taken *taken, struct splitfd_error *err)
{
	enum sfd_object_how how = SFD_OBJECT_PRESENT;
	int r;

	if (!sfd_object_table_has(import->table, digest)) {
		r = taken != NULL ? sfd_cloner_put_taken(import->cloner, digest, taken, &how, err)
				  : sfd_cloner_put(import->cloner, digest, content, &how, err);
		if (r != 0)
			return r;
		if (sfd_object_table_add(import->table, digest) < 0)
			return splitfd_error_oom(err);
	}
	count(import, how, content->size);
	if (how != SFD_OBJECT_PRESENT)
		sfd_sync_ahead_wrote(sfd_names_sync_ahead(import->names),
			how == SFD_OBJECT_COPIED ? content->size : 0);
	return 0;
}

/* The oldest layer's next file; inline entries on the way are done already. */
static struct sfd_import_layer *find_work(struct splitfd_import *import)
{
	if (import->n_queued == 0)
		return NULL;
	for (struct sfd_import_layer *l = import->layers; l != NULL; l = l->next) {
		while (l->next_work < l->tail &&
			sfd_import_entry_at(l, l->next_work)->state != SFD_ENTRY_QUEUED)
			l->next_work++;
		if (l->next_work < l->tail)
			return l;
	}
	return NULL;
}

/* Entries that are done but still in a ring take room from other layers. */
static bool drain_any(struct splitfd_import *import)
{
	for (struct sfd_import_layer *l = import->layers; l != NULL; l = l->next) {
		if (!l->draining && l->failed == 0 && l->head < l->tail &&
			sfd_import_entry_at(l, l->head)->state == SFD_ENTRY_DONE) {
			sfd_import_drain(l);
			return true;
		}
	}
	return false;
}

/* False where there is nothing to do. Locked; unlocks in between. */
static bool do_work(struct splitfd_import *import, struct sfd_worker *worker)
{
	struct sfd_import_layer *layer;

	sfd_import_tend_leases(import);
	for (struct sfd_large *l = import->large; l != NULL; l = l->next_large) {
		if (sfd_import_large_piece(import, worker, l))
			return true;
	}
	layer = find_work(import);
	if (layer == NULL)
		return drain_any(import);
	if (sfd_import_cancelled(import)) {
		struct splitfd_error error = { 0 };

		splitfd_error_set(&error, SPLITFD_ERROR_FAILED, ECANCELED, "interrupted");
		sfd_import_fail(layer, -ECANCELED, &error);
		return true;
	}
	if (sfd_import_entry_at(layer, layer->next_work)->kind == SFD_ENTRY_LARGE)
		sfd_import_large(import, worker, layer);
	else
		sfd_import_small(import, worker, layer);
	return true;
}

void sfd_import_help_or_wait(struct splitfd_import *import)
{
	struct sfd_worker *worker = import->free_workers;
	bool worked = false;

	if (worker != NULL) {
		import->free_workers = worker->next_free;
		worked = do_work(import, worker);
		worker->next_free = import->free_workers;
		import->free_workers = worker;
		if (worked)
			return;
	}
	import->n_waiting++;
	pthread_cond_wait(&import->done, &import->lock);
	import->n_waiting--;
}

static void *run_thread(void *arg)
{
	struct sfd_worker *worker = arg;
	struct splitfd_import *import = worker->import;

	pthread_mutex_lock(&import->lock);
	while (!import->stop) {
		if (do_work(import, worker))
			continue;
		import->n_idle++;
		pthread_cond_wait(&import->work, &import->lock);
		import->n_idle--;
	}
	worker->next_free = import->free_workers;
	import->free_workers = worker;
	pthread_mutex_unlock(&import->lock);
	return NULL;
}

static int add_worker(struct splitfd_import *import, struct splitfd_error *err)
{
	struct sfd_worker *worker = malloc(sizeof(*worker));

	if (worker == NULL)
		return splitfd_error_oom(err);
	worker->hasher = sfd_hasher_new(import->repository->algorithm, import->hasher);
	if (worker->hasher == NULL) {
		free(worker);
		return splitfd_error_oom(err);
	}
	worker->import = import;
	worker->next_free = import->free_workers;
	import->free_workers = worker;
	return 0;
}

/* The thread owns its worker until it ends. */
static int start_thread(struct splitfd_import *import)
{
	struct sfd_worker *worker;
	int r;

	pthread_mutex_lock(&import->lock);
	worker = import->free_workers;
	import->free_workers = worker->next_free;
	pthread_mutex_unlock(&import->lock);
	r = sfd_thread_start(
		&import->threads[import->n_threads], SFD_STACK_LARGE, run_thread, worker);
	if (r == 0) {
		import->n_threads++;
		return 0;
	}
	pthread_mutex_lock(&import->lock);
	worker->next_free = import->free_workers;
	import->free_workers = worker;
	pthread_mutex_unlock(&import->lock);
	return r;
}

/* The caller works, too: where memory is short, it works with fewer threads, or alone. */
int sfd_import_start(struct splitfd_import *import, size_t jobs, struct splitfd_error *err)
{
	size_t n = 0;
	int r = 0;

	import->hasher = sfd_repository_hasher(import->repository);
	while (n < jobs && (r = add_worker(import, err)) == 0)
		n++;
	if (n == 0)
		return r;
	if (n > 1)
		import->threads = calloc(n - 1, sizeof(*import->threads));
	if (import->threads != NULL) {
		while (import->n_threads < n - 1 && start_thread(import) == 0)
			;
	}
	return 0;
}

void sfd_import_stop(struct splitfd_import *import)
{
	pthread_mutex_lock(&import->lock);
	import->stop = true;
	pthread_cond_broadcast(&import->work);
	pthread_mutex_unlock(&import->lock);
	for (size_t i = 0; i < import->n_threads; i++)
		sfd_thread_join(&import->threads[i]);
	free(import->threads);
	import->threads = NULL;
	import->n_threads = 0;
	while (import->free_workers != NULL) {
		struct sfd_worker *worker = import->free_workers;

		import->free_workers = worker->next_free;
		sfd_hasher_free(worker->hasher);
		free(worker);
	}
}
