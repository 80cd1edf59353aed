/* SPDX-License-Identifier: Apache-2.0 */
/* The sink of one layer: chunks become entries of the layer's ring, within the import's limits. */
#include "splitfdstream/base/text.h"
#include "splitfdstream/chunk-cleanup.h"
#include "transport/composefs/import/import-private.h"

#include <string.h>

static struct sfd_import_layer *layer_of(const struct splitfd_sink *sink)
{
	return (struct sfd_import_layer *)(uintptr_t)sink;
}

static int layer_error(const struct sfd_import_layer *layer, struct splitfd_error *err)
{
	return splitfd_error_copy(err, layer->failed, &layer->error);
}

static bool has_room(const struct sfd_import_layer *layer, size_t bytes, size_t fds)
{
	const struct splitfd_import *import = layer->import;

	if (layer->tail - layer->head >= SFD_RING_SIZE)
		return false;
	/* What is larger than the window goes through alone. */
	return (import->held_bytes == 0 || import->held_bytes + bytes <= SFD_WINDOW_BYTES) &&
	       (import->held_fds == 0 || import->held_fds + fds <= SFD_WINDOW_FDS);
}

/* Locked; unlocks in between. Returns 0, or the layer's error. */
static int wait_for_room(struct sfd_import_layer *layer, size_t bytes, size_t fds)
{
	while (layer->failed == 0 && !has_room(layer, bytes, fds)) {
		sfd_import_drain(layer);
		if (layer->failed == 0 && !has_room(layer, bytes, fds))
			sfd_import_help_or_wait(layer->import);
	}
	return layer->failed;
}

/* All that was put is in the splitstream, and no other thread is at it. Locked. */
static int wait_until_drained(struct sfd_import_layer *layer)
{
	while (layer->failed == 0 && (layer->head < layer->tail || layer->draining)) {
		sfd_import_drain(layer);
		if (layer->failed == 0 && (layer->head < layer->tail || layer->draining))
			sfd_import_help_or_wait(layer->import);
	}
	return layer->failed;
}

/* The entry's memory is the ring's from here on. */
static void push(struct sfd_import_layer *layer, struct sfd_import_entry *e)
{
	struct splitfd_import *import = layer->import;

	*sfd_import_entry_at(layer, layer->tail++) = *e;
	import->held_bytes += e->held;
	import->held_fds += e->counts_fd;
	if (e->state != SFD_ENTRY_QUEUED)
		return;
	import->n_queued++;
	/* A worker is worth waking for a batch, not for each file. */
	if (e->kind == SFD_ENTRY_LARGE || import->n_queued >= import->batch_max)
		sfd_import_wake(import);
}

/* Appends to the inline run at the tail, where there is one with room for it. */
static bool join_run(struct sfd_import_layer *layer, const uint8_t *data, size_t n)
{
	struct sfd_import_entry *e;
	uint8_t *grown;

	if (layer->head == layer->tail)
		return false;
	e = sfd_import_entry_at(layer, layer->tail - 1);
	if (e->kind != SFD_ENTRY_INLINE || e->state != SFD_ENTRY_DONE || e->name != NULL ||
		e->files != NULL || e->data_len + n > SFD_INLINE_RUN_MAX)
		return false;
	if (e->data_len + n > e->data_cap) {
		size_t cap = e->data_cap == 0 ? 1024 : e->data_cap;

		while (cap < e->data_len + n)
			cap *= 2;
		grown = realloc(e->data, cap);
		if (grown == NULL)
			return false;
		e->data = grown;
		layer->import->held_bytes += cap - e->data_cap;
		e->held += cap - e->data_cap;
		e->data_cap = cap;
	}
	memcpy(e->data + e->data_len, data, n);
	e->data_len += n;
	return true;
}

static int put_memory(struct sfd_import_layer *layer, const struct splitfd_chunk *chunk,
	struct splitfd_error *err)
{
	bool content = chunk->is_content && chunk->data_len > SFD_TAR_INLINE_MAX;
	struct sfd_import_entry e = { .kind = content ? SFD_ENTRY_CONTENT : SFD_ENTRY_INLINE,
		.state = content ? SFD_ENTRY_QUEUED : SFD_ENTRY_DONE,
		.fd = -EBADF,
		.size = chunk->data_len,
		.data_len = chunk->data_len };

	if (!content && join_run(layer, chunk->data, chunk->data_len))
		return 0;
	e.data_cap = content || chunk->data_len > 512 ? chunk->data_len : 1024;
	e.held = e.data_cap;
	if (wait_for_room(layer, e.held, 0) < 0)
		return layer_error(layer, err);
	e.data = malloc(e.data_cap);
	if (e.data == NULL)
		return splitfd_error_oom(err);
	memcpy(e.data, chunk->data, chunk->data_len);
	push(layer, &e);
	return 0;
}

/* Bytes that are too many to keep: into the stream by this thread, after all before them. Locked;
 * unlocks in between. */
static int put_direct(struct sfd_import_layer *layer, const struct splitfd_chunk *chunk,
	struct splitfd_error *err)
{
	struct splitfd_import *import = layer->import;
	struct sfd_import_entry e = { .kind = SFD_ENTRY_INLINE,
		.fd = -EBADF,
		.size = chunk->data_len,
		.data_len = chunk->data_len,
		.data = (uint8_t *)(uintptr_t)chunk->data };
	struct sfd_content content = { .fd = -EBADF, .data = chunk->data, .size = chunk->data_len };
	int r = 0;

	if (wait_until_drained(layer) < 0)
		return layer_error(layer, err);
	layer->draining = true;
	pthread_mutex_unlock(&import->lock);
	if (chunk->is_content) {
		e.kind = SFD_ENTRY_CONTENT;
		r = sfd_verity_bytes(import->repository->algorithm, e.data, e.size, &e.digest);
		if (r < 0)
			splitfd_error_sys(err, -r, "cannot hash %zu bytes", chunk->data_len);
		else
			r = sfd_import_store(import, &e.digest, &content, NULL, err);
	}
	if (r == 0)
		r = sfd_import_emit(layer, &e, err);
	pthread_mutex_lock(&import->lock);
	layer->draining = false;
	sfd_import_tell_done(import);
	return r;
}

static int copy_name(const struct splitfd_chunk *chunk, char **ret, struct splitfd_error *err)
{
	if (chunk->name == NULL)
		return 0;
	*ret = strdup(chunk->name);
	return *ret == NULL ? splitfd_error_oom(err) : 0;
}

static int put_file(
	struct sfd_import_layer *layer, struct splitfd_chunk *chunk, struct splitfd_error *err)
{
	bool large = chunk->size > SFD_VERITY_SMALL_MAX;
	struct sfd_import_entry e = { .kind = large ? SFD_ENTRY_LARGE : SFD_ENTRY_SMALL,
		.state = SFD_ENTRY_QUEUED,
		.size = chunk->size,
		.offset = layer->n_bytes,
		.fd = -EBADF,
		.has_crc64 = chunk->has_crc64,
		.crc64 = chunk->crc64 };
	int r;

	/* With sha256, a large file stays open until its turn. */
	e.counts_fd = chunk->fd >= 0 || (large && layer->sha256 != NULL);
	e.held = sizeof(e) + chunk->name_len + (large || layer->sha256 == NULL ? 0 : chunk->size);
	if (wait_for_room(layer, e.held, e.counts_fd) < 0)
		return layer_error(layer, err);
	r = copy_name(chunk, &e.name, err);
	if (r < 0)
		return r;
	e.fd = sfd_take_fd(&chunk->fd);
	if (chunk->files != NULL)
		e.files = splitfd_files_ref(chunk->files);
	push(layer, &e);
	return 0;
}

/* Locked. */
static int put_chunk(
	struct sfd_import_layer *layer, struct splitfd_chunk *chunk, struct splitfd_error *err)
{
	if (layer->failed != 0)
		return layer_error(layer, err);
	if (layer->ended)
		return splitfd_error_set(
			err, SPLITFD_ERROR_FAILED, EINVAL, "a chunk after the end of the layer");
	if (sfd_import_cancelled(layer->import))
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, ECANCELED, "interrupted");
	if (chunk->kind == SPLITFD_CHUNK_FILE)
		return put_file(layer, chunk, err);
	if (chunk->data_len > SFD_ENTRY_MAX)
		return put_direct(layer, chunk, err);
	return put_memory(layer, chunk, err);
}

static int layer_put(
	struct splitfd_sink *sink, struct splitfd_chunk *chunk, struct splitfd_error *err)
{
	struct sfd_import_layer *layer = layer_of(sink);
	struct splitfd_error error = { 0 };
	int r;

	pthread_mutex_lock(&layer->import->lock);
	r = put_chunk(layer, chunk, &error);
	if (r < 0) {
		sfd_import_fail(layer, r, &error);
		r = layer_error(layer, err);
	}
	if (chunk->kind != SPLITFD_CHUNK_FILE)
		layer->n_worked += chunk->data_len;
	pthread_mutex_unlock(&layer->import->lock);
	splitfd_chunk_clear(chunk);
	if (r < 0)
		return r;
	layer->n_bytes += chunk->kind == SPLITFD_CHUNK_FILE ? chunk->size
							    : (uint64_t)chunk->data_len;
	return 0;
}

uint64_t sfd_import_layer_worked(const struct splitfd_sink *sink)
{
	const struct sfd_import_layer *layer = (const struct sfd_import_layer *)sink;
	uint64_t n;

	pthread_mutex_lock(&layer->import->lock);
	n = layer->n_worked;
	pthread_mutex_unlock(&layer->import->lock);
	return n;
}

void sfd_import_layer_end(struct splitfd_sink *sink)
{
	struct sfd_import_layer *layer = layer_of(sink);

	pthread_mutex_lock(&layer->import->lock);
	layer->ended = true;
	if (layer->import->n_idle > 0)
		pthread_cond_broadcast(&layer->import->work);
	sfd_import_drain(layer);
	pthread_mutex_unlock(&layer->import->lock);
}

static int add_name(struct sfd_import_layer *layer, struct splitfd_error *err)
{
	char name[128];
	int r;

	snprintf(name, sizeof(name), "streams/oci-layer-%s", layer->diff_id);
	r = sfd_names_add_object(layer->import->names, name, &layer->digest, SFD_NAME_ADOPT, err);
	if (r < 0)
		return r;
	if (layer->sha256 != NULL)
		sfd_names_adopt_proven(layer->import->names, (size_t)r);
	layer->named = true;
	layer->import->stats.layers++;
	return 0;
}

static int layer_finish(struct splitfd_sink *sink, struct splitfd_error *err)
{
	struct sfd_import_layer *layer = layer_of(sink);
	int r;

	pthread_mutex_lock(&layer->import->lock);
	layer->ended = true;
	while (layer->failed == 0 && !layer->complete) {
		sfd_import_drain(layer);
		if (layer->failed == 0 && !layer->complete)
			sfd_import_help_or_wait(layer->import);
	}
	r = layer->failed != 0 ? layer_error(layer, err) : 0;
	if (r == 0 && !layer->named)
		r = add_name(layer, err);
	pthread_mutex_unlock(&layer->import->lock);
	return r;
}

/* Out of the list first, so that nobody takes more of it; then those are waited for who have. */
static void layer_free(struct splitfd_sink *sink)
{
	struct sfd_import_layer *layer = layer_of(sink), **at;
	struct splitfd_import *import = layer->import;
	struct splitfd_error error = { 0 };

	splitfd_error_set(&error, SPLITFD_ERROR_FAILED, ECANCELED, "dropped");
	pthread_mutex_lock(&import->lock);
	sfd_import_fail(layer, -ECANCELED, &error);
	while (layer->n_taken > 0 || layer->draining) {
		import->n_waiting++;
		pthread_cond_wait(&import->done, &import->lock);
		import->n_waiting--;
	}
	for (at = &import->layers; *at != layer; at = &(*at)->next)
		;
	*at = layer->next;
	if (import->layers_end == &layer->next)
		import->layers_end = at;
	for (; layer->head < layer->tail; layer->head++) {
		struct sfd_import_entry *e = sfd_import_entry_at(layer, layer->head);

		import->held_bytes -= e->held;
		import->held_fds -= e->counts_fd;
		sfd_import_forget_lease(import, e);
		sfd_import_entry_clear(e);
	}
	sfd_import_tell_done(import);
	pthread_mutex_unlock(&import->lock);
	sfd_splitstream_writer_free(layer->writer);
	splitfd_sha256_free(layer->sha256);
	free(layer->reread);
	free(layer->ring);
	free(layer->diff_id);
	free(layer);
}

static const struct splitfd_sink_ops layer_ops = {
	.put = layer_put,
	.finish = layer_finish,
	.free = layer_free,
};

int splitfd_import_layer(struct splitfd_import *import, const char *diff_id,
	struct splitfd_sink **ret, struct splitfd_error *err)
{
	struct sfd_import_layer *layer;
	int r;

	if (!sfd_parse_sha256(diff_id, NULL))
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EINVAL,
			"'%s' is not a diff_id (sha256: and 64 hexadecimal digits)", diff_id);
	layer = calloc(1, sizeof(*layer));
	if (layer == NULL)
		return splitfd_error_oom(err);
	layer->sink.ops = &layer_ops;
	layer->import = import;
	pthread_mutex_lock(&import->lock);
	*import->layers_end = layer;
	import->layers_end = &layer->next;
	pthread_mutex_unlock(&import->lock);
	{
		sfd_cleanup_sink struct splitfd_sink *sink = &layer->sink;

		layer->diff_id = strdup(diff_id);
		layer->ring = calloc(SFD_RING_SIZE, sizeof(*layer->ring));
		if (import->options.verify_diff_id)
			layer->sha256 = splitfd_sha256_new();
		if (layer->diff_id == NULL || layer->ring == NULL ||
			(import->options.verify_diff_id && layer->sha256 == NULL))
			return splitfd_error_oom(err);
		/* The stream becomes an object: where it will lie, there is room for it. */
		r = sfd_splitstream_writer_new(import->repository->algorithm, SFD_STREAM_LAYER,
			import->repository->fd, &layer->writer, err);
		if (r < 0)
			return r;
		sfd_splitstream_writer_share(layer->writer, import->table);
		*ret = sfd_take_ptr(&sink);
	}
	return 0;
}

void sfd_import_layer_listen(struct splitfd_sink *sink, const struct sfd_stream_listener *listener)
{
	struct sfd_import_layer *layer = layer_of(sink);

	layer->has_listener = listener != NULL;
	if (listener != NULL)
		layer->listener = *listener;
}

void sfd_import_layer_digest(const struct splitfd_sink *sink, struct splitfd_digest *ret)
{
	*ret = layer_of(sink)->digest;
}

void sfd_import_layer_actual(const struct splitfd_sink *sink, char text[72])
{
	memcpy(text, layer_of(sink)->actual, 72);
}
