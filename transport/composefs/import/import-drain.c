/* SPDX-License-Identifier: Apache-2.0 */
/* Finished entries of a layer go into its splitstream, in order; the last one completes it. */
#include "splitfdstream/base/io.h"
#include "transport/composefs/import/import-private.h"
#include "transport/composefs/object-writer.h"

#include <string.h>

#define REREAD_SIZE ((size_t)256 * 1024)
#define RUN	    32 /* entries that leave the ring at once */

void sfd_import_entry_clear(struct sfd_import_entry *e)
{
	free(e->data);
	free(e->name);
	e->data = NULL;
	e->name = NULL;
	e->fd = sfd_close(e->fd);
	e->files = splitfd_files_unref(e->files);
}

void sfd_import_fail(struct sfd_import_layer *layer, int r, const struct splitfd_error *err)
{
	if (layer->failed != 0)
		return;
	layer->failed = r;
	layer->error = *err;
	/* What nobody has taken yet is not worth the work. */
	for (; layer->next_work < layer->tail; layer->next_work++) {
		if (sfd_import_entry_at(layer, layer->next_work)->state == SFD_ENTRY_QUEUED)
			layer->import->n_queued--;
	}
	sfd_import_tell_done(layer->import);
}

static int emit_inline(
	struct sfd_import_layer *layer, const uint8_t *data, size_t n, struct splitfd_error *err)
{
	int r;

	if (n == 0)
		return 0;
	if (layer->sha256 != NULL)
		splitfd_sha256_update(layer->sha256, data, n);
	r = sfd_splitstream_inline(layer->writer, data, n, err);
	if (r == 0 && layer->has_listener)
		r = layer->listener.inline_data(layer->listener.ctx, data, n, err);
	return r;
}

void sfd_import_tend_leases(struct splitfd_import *import)
{
	for (size_t i = 0; i < import->n_leased;) {
		if (sfd_guard_holds(import->leased[i], SFD_GUARD_LEASE))
			i++;
		else
			import->leased[i] = import->leased[--import->n_leased];
	}
}

static void tend(struct splitfd_import *import)
{
	pthread_mutex_lock(&import->lock);
	sfd_import_tend_leases(import);
	pthread_mutex_unlock(&import->lock);
}

void sfd_import_forget_lease(struct splitfd_import *import, const struct sfd_import_entry *e)
{
	for (size_t i = 0; i < import->n_leased; i++) {
		if (import->leased[i] == e->fd)
			import->leased[i] = import->leased[--import->n_leased];
	}
}

static void forget_lease(struct splitfd_import *import, const struct sfd_import_entry *e)
{
	if (e->fd < 0 || e->guard != SFD_GUARD_LEASE)
		return;
	pthread_mutex_lock(&import->lock);
	sfd_import_forget_lease(import, e);
	pthread_mutex_unlock(&import->lock);
}

/* The file can be written from now on: the rest comes from its object. */
static int read_object(
	struct sfd_import_layer *layer, struct sfd_import_entry *e, struct splitfd_error *err)
{
	forget_lease(layer->import, e);
	e->fd = sfd_close(e->fd);
	e->guard = SFD_GUARD_SEALED;
	return sfd_object_open(layer->import->repository, &e->digest, &e->fd, NULL, err);
}

/* A piece of the content that was hashed. */
static int read_piece(struct sfd_import_layer *layer, struct sfd_import_entry *e, size_t n,
	uint64_t at, struct splitfd_error *err)
{
	for (;;) {
		int r = sfd_pread_full(e->fd, layer->reread, n, at);

		if (sfd_guard_holds(e->fd, e->guard))
			return r < 0 ? splitfd_error_sys(err, -r, "cannot read the file again") : 0;
		r = read_object(layer, e, err);
		if (r < 0)
			return r;
	}
}

/* A large file's bytes for the stream's sha256: read again, from the page cache. */
static int read_again(
	struct sfd_import_layer *layer, struct sfd_import_entry *e, struct splitfd_error *err)
{
	uint64_t at = 0;

	if (layer->reread == NULL)
		layer->reread = malloc(REREAD_SIZE);
	if (layer->reread == NULL)
		return splitfd_error_oom(err);
	while (at < e->size) {
		size_t n = e->size - at < REREAD_SIZE ? (size_t)(e->size - at) : REREAD_SIZE;
		int r = read_piece(layer, e, n, at, err);

		if (r < 0)
			return r;
		if (sfd_import_cancelled(layer->import))
			return splitfd_error_set(
				err, SPLITFD_ERROR_FAILED, ECANCELED, "interrupted");
		splitfd_sha256_update(layer->sha256, layer->reread, n);
		tend(layer->import);
		at += n;
	}
	return 0;
}

static int emit_object(
	struct sfd_import_layer *layer, struct sfd_import_entry *e, struct splitfd_error *err)
{
	int r = 0;

	if (layer->sha256 != NULL && e->data != NULL)
		splitfd_sha256_update(layer->sha256, e->data, e->size);
	else if (layer->sha256 != NULL)
		r = sfd_import_wrap_file(e, read_again(layer, e, err), err);
	if (r == 0)
		r = sfd_splitstream_object(layer->writer, &e->digest, e->size, err);
	if (r == 0 && layer->has_listener)
		r = layer->listener.object(layer->listener.ctx, &e->digest, e->size, err);
	return r;
}

int sfd_import_emit(
	struct sfd_import_layer *layer, struct sfd_import_entry *e, struct splitfd_error *err)
{
	return e->kind == SFD_ENTRY_INLINE ? emit_inline(layer, e->data, e->data_len, err)
					   : emit_object(layer, e, err);
}

static int check_diff_id(struct sfd_import_layer *layer, struct splitfd_error *err)
{
	int r;

	if (layer->sha256 == NULL)
		return 0;
	r = splitfd_sha256_final_text(layer->sha256, layer->actual, err);
	if (r < 0)
		return r;
	if (strcmp(layer->actual, layer->diff_id) == 0)
		return 0;
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
		"the stream ends at byte %llu of the tar, and the content's sha256 is %s: this is "
		"not the layer",
		(unsigned long long)layer->n_bytes, layer->actual + 7);
}

static int store_stream(struct sfd_import_layer *layer, struct splitfd_error *err)
{
	sfd_cleanup_object_writer struct sfd_object_writer *object = NULL;
	enum sfd_object_how how;
	int r;

	r = sfd_object_writer_new(layer->import->repository, &object, err);
	if (r == 0)
		r = sfd_splitstream_finish_to(layer->writer, sfd_object_writer_add, object, err);
	return r < 0 ? r : sfd_object_writer_finish(object, &layer->digest, &how, err);
}

/* The stream is whole: its object. The writer's memory is given back. */
static int complete(struct sfd_import_layer *layer, struct splitfd_error *err)
{
	int r = check_diff_id(layer, err);

	if (r == 0)
		r = store_stream(layer, err);
	layer->writer = sfd_splitstream_writer_free(layer->writer);
	free(layer->reread);
	layer->reread = NULL;
	return r;
}

/* Moves done entries out of the ring. Locked. */
static size_t take_run(struct sfd_import_layer *layer, struct sfd_import_entry *run)
{
	size_t n = 0;

	while (n < RUN && layer->head < layer->tail) {
		struct sfd_import_entry *e = sfd_import_entry_at(layer, layer->head);

		if (e->state != SFD_ENTRY_DONE)
			break;
		run[n++] = *e;
		layer->head++;
	}
	if (layer->next_work < layer->head)
		layer->next_work = layer->head;
	return n;
}

/* Locked; unlocks in between. */
static int emit_run(struct sfd_import_layer *layer, struct sfd_import_entry *run, size_t n,
	struct splitfd_error *err)
{
	struct splitfd_import *import = layer->import;
	size_t held = 0, fds = 0;
	uint64_t inlined = 0;
	int r = 0;

	pthread_mutex_unlock(&import->lock);
	for (size_t i = 0; i < n; i++) {
		if (r == 0)
			r = sfd_import_emit(layer, &run[i], err);
		inlined += run[i].kind == SFD_ENTRY_INLINE ? run[i].data_len : 0;
		held += run[i].held;
		fds += run[i].counts_fd;
		forget_lease(import, &run[i]);
		sfd_import_entry_clear(&run[i]);
	}
	pthread_mutex_lock(&import->lock);
	if (r == 0)
		import->stats.bytes_inlined += inlined;
	import->held_bytes -= held;
	import->held_fds -= fds;
	return r;
}

void sfd_import_drain(struct sfd_import_layer *layer)
{
	struct sfd_import_entry run[RUN];
	struct splitfd_error error = { 0 };
	struct splitfd_import *import = layer->import;
	size_t n;
	int r = 0;

	if (layer->draining)
		return;
	layer->draining = true;
	while (r == 0 && layer->failed == 0 && (n = take_run(layer, run)) > 0) {
		r = emit_run(layer, run, n, &error);
		sfd_import_tell_done(import);
	}
	if (r == 0 && layer->failed == 0 && layer->ended && !layer->complete &&
		layer->head == layer->tail) {
		pthread_mutex_unlock(&import->lock);
		r = complete(layer, &error);
		pthread_mutex_lock(&import->lock);
		layer->complete = r == 0;
		free(layer->ring);
		layer->ring = NULL;
	}
	if (r < 0)
		sfd_import_fail(layer, r, &error);
	layer->draining = false;
	sfd_import_tell_done(import);
}
