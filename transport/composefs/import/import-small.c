/* SPDX-License-Identifier: Apache-2.0 */
/* Small files, a batch at a time: read, hashed side by side, stored. */
#include "splitfdstream/base/io.h"
#include "transport/composefs/import/import-private.h"

#include <string.h>
#include <unistd.h>

/* One batch: the files' contents one behind the other in the worker's buffer. */
struct batch {
	struct splitfd_import *import;
	struct sfd_import_layer *layer;
	struct sfd_worker *worker;
	size_t n;
	struct sfd_import_entry *entries[SFD_VERITY_FILES_MAX];
	struct sfd_content contents[SFD_VERITY_FILES_MAX];
	struct sfd_verity_file files[SFD_VERITY_FILES_MAX];
	struct splitfd_error error;
};

/* Takes entries as long as they are small and fit. Locked. */
static void take(struct batch *b)
{
	struct sfd_import_layer *layer = b->layer;
	size_t bytes = 0;

	for (; layer->next_work < layer->tail; layer->next_work++) {
		struct sfd_import_entry *e = sfd_import_entry_at(layer, layer->next_work);

		if (e->kind == SFD_ENTRY_INLINE)
			continue;
		if (e->kind == SFD_ENTRY_LARGE || b->n == b->import->batch_max ||
			(b->n > 0 && bytes + e->size > SFD_BATCH_BYTES))
			break;
		e->state = SFD_ENTRY_TAKEN;
		b->entries[b->n++] = e;
		bytes += e->size;
	}
	layer->n_taken += b->n;
	b->import->n_queued -= b->n;
}

int sfd_import_open(struct splitfd_import *import, struct sfd_import_entry *e,
	struct sfd_content *content, struct splitfd_error *err)
{
	/* What comes as a descriptor and nothing else is the sender's as well. */
	bool shared = e->fd >= 0 && e->files == NULL, small = e->kind == SFD_ENTRY_SMALL;
	struct splitfd_chunk chunk = {
		.kind = SPLITFD_CHUNK_FILE,
		.size = e->size,
		.fd = sfd_take_fd(&e->fd),
		.files = e->files,
		.name = e->name,
	};
	int r = splitfd_chunk_open(&chunk, &content->fd, NULL, err);

	if (r < 0)
		return r;
	if (fstat(content->fd, &content->st) < 0)
		return splitfd_error_sys(err, errno, "cannot examine the file");
	if (e->size > SFD_TAR_INLINE_MAX)
		sfd_cloner_guard(import->cloner, content, shared, small);
	return 0;
}

/* Reads the whole file into the buffer, and no more than the declared size. */
static int read_file(const struct sfd_import_entry *e, struct sfd_content *content, uint8_t *buffer,
	struct splitfd_error *err)
{
	int r = sfd_pread_full(content->fd, buffer, e->size, 0);

	if (r == -ENODATA || (r == 0 && (uint64_t)content->st.st_size != e->size))
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, ESTALE,
			"the file changed its size while it was read");
	if (r < 0)
		return splitfd_error_sys(err, -r, "cannot read the file");
	if (e->has_crc64 && splitfd_crc64(0, buffer, e->size) != e->crc64)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"the content is not the layer's (CRC-64 differs)");
	content->data = buffer;
	content->size = e->size;
	return 0;
}

/* Content that the stream needs later: tiny files are part of it, sha256 is made in its order. */
static int keep(
	struct batch *b, struct sfd_import_entry *e, const uint8_t *data, struct splitfd_error *err)
{
	if (e->data != NULL || e->size == 0 ||
		(e->size > SFD_TAR_INLINE_MAX && b->layer->sha256 == NULL))
		return 0;
	e->data = malloc(e->size);
	if (e->data == NULL)
		return splitfd_error_oom(err);
	memcpy(e->data, data, e->size);
	e->data_len = e->size;
	return 0;
}

static int load(struct batch *b, size_t i, uint8_t *buffer, struct splitfd_error *err)
{
	struct sfd_import_entry *e = b->entries[i];
	struct sfd_content *content = &b->contents[i];
	int r = 0;

	*content = (struct sfd_content){ .fd = -EBADF };
	if (e->kind == SFD_ENTRY_CONTENT) {
		content->data = e->data;
		content->size = e->size;
		return 0;
	}
	r = sfd_import_open(b->import, e, content, err);
	if (r == 0)
		r = read_file(e, content, buffer, err);
	return r == 0 ? keep(b, e, buffer, err) : r;
}

static int load_all(struct batch *b)
{
	size_t at = 0;

	for (size_t i = 0; i < b->n; i++)
		b->contents[i].fd = -EBADF;
	for (size_t i = 0; i < b->n; i++) {
		int r = load(b, i, b->worker->buffer + at, &b->error);

		if (r < 0)
			return sfd_import_wrap_file(b->entries[i], r, &b->error);
		if (b->entries[i]->kind == SFD_ENTRY_SMALL)
			at += b->entries[i]->size;
	}
	return 0;
}

static int hash_all(struct batch *b, const size_t *which, size_t n)
{
	int r;

	for (size_t i = 0; i < n; i++)
		b->files[i] = (struct sfd_verity_file){ .data = b->contents[which[i]].data,
			.size = b->contents[which[i]].size };
	r = sfd_verity_files(b->worker->hasher, &b->worker->scratch, b->files, n);
	return r < 0 ? splitfd_error_sys(&b->error, -r, "cannot hash") : 0;
}

/* The files' objects. No more workers are at it at a time than there are CPUs: file systems
 * serialise what makes files, and more threads that meet there only wake one another. */
static int store_each(struct batch *b, const size_t *which, size_t n)
{
	int r = 0;

	while (sem_wait(&b->import->storing) < 0)
		;
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct sfd_import_entry *e = b->entries[which[i]];
		struct sfd_content *content = &b->contents[which[i]];

		e->digest = b->files[i].digest;
		r = sfd_import_store(b->import, &e->digest, content, NULL, &b->error);
		sfd_import_wrap_file(e, r, &b->error);
		content->fd = sfd_close(content->fd);
	}
	sem_post(&b->import->storing);
	return r;
}

static int store_all(struct batch *b)
{
	size_t which[SFD_VERITY_FILES_MAX], n = 0;
	int r;

	for (size_t i = 0; i < b->n; i++) {
		if (b->entries[i]->size > SFD_TAR_INLINE_MAX)
			which[n++] = i;
	}
	if (n == 0)
		return 0;
	r = hash_all(b, which, n);
	return r < 0 ? r : store_each(b, which, n);
}

void sfd_import_small(
	struct splitfd_import *import, struct sfd_worker *worker, struct sfd_import_layer *layer)
{
	struct batch b;
	int r;

	b.import = import;
	b.layer = layer;
	b.worker = worker;
	b.n = 0;
	take(&b);
	pthread_mutex_unlock(&import->lock);
	r = load_all(&b);
	if (r == 0)
		r = store_all(&b);
	for (size_t i = 0; i < b.n; i++)
		sfd_close(b.contents[i].fd);
	pthread_mutex_lock(&import->lock);
	if (r < 0)
		sfd_import_fail(layer, r, &b.error);
	for (size_t i = 0; i < b.n; i++) {
		/* Both under the lock: the sink looks at the last entry's. */
		b.entries[i]->state = SFD_ENTRY_DONE;
		if (b.entries[i]->kind == SFD_ENTRY_SMALL)
			layer->n_worked += b.entries[i]->size;
		if (b.entries[i]->size <= SFD_TAR_INLINE_MAX)
			b.entries[i]->kind = SFD_ENTRY_INLINE;
		if (b.entries[i]->counts_fd)
			import->held_fds--;
		b.entries[i]->counts_fd = false;
	}
	layer->n_taken -= b.n;
	sfd_import_drain(layer);
	sfd_import_tell_done(import);
}
