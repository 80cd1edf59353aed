/* SPDX-License-Identifier: Apache-2.0 */
/* A large file: its blocks are hashed in pieces by several workers, then it becomes an object. */
#include "splitfdstream/base/io.h"
#include "transport/composefs/algorithm.h"
#include "transport/composefs/import/crc64-combine.h"
#include "transport/composefs/import/import-private.h"

#include <fcntl.h>
#include <string.h>

static size_t piece_size(const struct sfd_large *large, uint64_t piece)
{
	uint64_t rest = large->entry->size - piece * SFD_VERITY_PIECE;

	return rest < SFD_VERITY_PIECE ? (size_t)rest : SFD_VERITY_PIECE;
}

/* Pieces that are done go into the tree in their order. Locked. The hasher is the calling thread's:
 * another one's may be at work. */
static int merge(struct sfd_large *large, struct sfd_hasher *hasher)
{
	size_t h = sfd_digest_size(sfd_hasher_algorithm(hasher));

	for (;; large->merged++) {
		struct sfd_large_piece *p = &large->pieces[large->merged % SFD_PIECES_IN_FLIGHT];

		if (large->merged == large->next || !p->done)
			return 0;
		p->done = false;
		large->crc64 =
			sfd_crc64_combine(large->crc64, p->crc64, piece_size(large, large->merged));
		for (int i = 0; i < p->n_hashes; i++) {
			int r = sfd_verity_tree_add(large->tree, hasher, p->hashes + (size_t)i * h);

			if (r < 0)
				return r;
		}
	}
}

/* The count of hashes; 0 where the source is no longer guarded. */
static int work_on_piece(const struct sfd_large *large, uint64_t piece, struct sfd_worker *worker,
	uint8_t *hashes, uint64_t *ret_crc64, struct splitfd_error *err)
{
	size_t n = piece_size(large, piece);
	int r = sfd_pread_full(large->fd, worker->buffer, n, piece * SFD_VERITY_PIECE);

	if (r == -ENODATA)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, ESTALE,
			"the file became shorter while it was read");
	if (r < 0)
		return splitfd_error_sys(err, -r, "cannot read the file");
	if (large->guard != SFD_GUARD_NONE && !sfd_guard_holds(large->fd, large->guard))
		return 0;
	if (large->entry->has_crc64)
		*ret_crc64 = splitfd_crc64(0, worker->buffer, n);
	r = sfd_verity_piece(worker->hasher, &worker->scratch, worker->buffer, n, hashes);
	return r < 0 ? splitfd_error_sys(err, -r, "cannot hash the file") : r;
}

static bool piece_to_take(const struct sfd_large *large)
{
	return large->failed == 0 && large->next < large->n_pieces &&
	       large->next - large->merged < SFD_PIECES_IN_FLIGHT;
}

bool sfd_import_large_piece(
	struct splitfd_import *import, struct sfd_worker *worker, struct sfd_large *large)
{
	uint8_t hashes[2 * SPLITFD_DIGEST_MAX];
	struct splitfd_error error = { 0 };
	uint64_t crc64 = 0, piece;
	int r;

	if (!piece_to_take(large))
		return false;
	piece = large->next++;
	large->n_working++;
	pthread_mutex_unlock(&import->lock);
	r = sfd_import_cancelled(import)
		    ? splitfd_error_set(&error, SPLITFD_ERROR_FAILED, ECANCELED, "interrupted")
		    : work_on_piece(large, piece, worker, hashes, &crc64, &error);
	pthread_mutex_lock(&import->lock);
	if (r == 0 && large->failed == 0)
		large->failed = SFD_CLONER_AGAIN;
	if (r > 0) {
		struct sfd_large_piece *p = &large->pieces[piece % SFD_PIECES_IN_FLIGHT];

		p->done = true;
		p->n_hashes = r;
		p->crc64 = crc64;
		memcpy(p->hashes, hashes, sizeof(hashes));
		large->layer->n_worked += piece_size(large, piece);
		large->n_worked += piece_size(large, piece);
		r = merge(large, worker->hasher);
		if (r < 0)
			splitfd_error_sys(&error, -r, "cannot hash the file");
	}
	if (r < 0 && large->failed == 0) {
		large->failed = r;
		large->error = error;
	}
	large->n_working--;
	sfd_import_tell_done(import);
	return true;
}

/* All pieces, by this thread and whoever joins. Locked; unlocks in between. */
static int hash_shared(struct splitfd_import *import, struct sfd_worker *worker,
	struct sfd_large *large, struct splitfd_error *err)
{
	struct sfd_large **at;

	large->next_large = import->large;
	import->large = large;
	if (import->n_idle > 0)
		pthread_cond_broadcast(&import->work);
	for (;;) {
		if (sfd_import_large_piece(import, worker, large))
			continue;
		if (large->n_working == 0)
			break;
		import->n_waiting++;
		pthread_cond_wait(&import->done, &import->lock);
		import->n_waiting--;
	}
	for (at = &import->large; *at != large; at = &(*at)->next_large)
		;
	*at = large->next_large;
	return large->failed < 0 ? splitfd_error_copy(err, large->failed, &large->error)
				 : large->failed;
}

static int open_large(struct splitfd_import *import, struct sfd_import_entry *e,
	struct sfd_content *content, struct splitfd_error *err)
{
	int r = sfd_import_open(import, e, content, err);

	if (r < 0)
		return r;
	if ((uint64_t)content->st.st_size != e->size)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, ESTALE,
			"the file changed its size while it was read");
	content->size = e->size;
	(void)posix_fadvise(content->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	return 0;
}

/* Hashes what content->fd is, or what was taken of it, and stores that. 0, SFD_CLONER_AGAIN,
 * -errno. */
static int hash_and_store(struct sfd_import_layer *layer, struct sfd_worker *worker,
	struct sfd_import_entry *e, const struct sfd_content *content, struct sfd_taken *taken,
	struct splitfd_error *err)
{
	struct splitfd_import *import = layer->import;
	struct sfd_large large = { .layer = layer,
		.entry = e,
		.fd = taken != NULL ? taken->fd : content->fd,
		.guard = taken != NULL ? SFD_GUARD_NONE : content->guard,
		.tree = &worker->tree,
		.n_pieces = (e->size + SFD_VERITY_PIECE - 1) / SFD_VERITY_PIECE };
	int r;

	sfd_verity_tree_begin(large.tree);
	pthread_mutex_lock(&import->lock);
	r = hash_shared(import, worker, &large, err);
	if (r == SFD_CLONER_AGAIN)
		layer->n_worked -= large.n_worked;
	pthread_mutex_unlock(&import->lock);
	if (r != 0)
		return r;
	if (e->has_crc64 && large.crc64 != e->crc64)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"the content is not the layer's (CRC-64 differs)");
	r = sfd_verity_tree_final(large.tree, worker->hasher, e->size, &e->digest);
	if (r < 0)
		return splitfd_error_sys(err, -r, "cannot hash the file");
	r = sfd_import_store(import, &e->digest, content, taken, err);
	if (r == SFD_CLONER_AGAIN) {
		pthread_mutex_lock(&import->lock);
		layer->n_worked -= large.n_worked;
		pthread_mutex_unlock(&import->lock);
	}
	return r;
}

/* For the layer's sha256, the content is read once more in the stream's order. */
static void keep(struct sfd_import_layer *layer, struct sfd_import_entry *e,
	struct sfd_content *content, struct sfd_taken *taken)
{
	struct splitfd_import *import = layer->import;

	if (layer->sha256 == NULL)
		return;
	if (content->guard == SFD_GUARD_NONE) {
		e->fd = sfd_take_fd(&taken->fd);
		e->guard = SFD_GUARD_SEALED;
		return;
	}
	e->fd = sfd_take_fd(&content->fd);
	e->guard = content->guard;
	pthread_mutex_lock(&import->lock);
	if (e->guard == SFD_GUARD_LEASE && import->n_leased < SFD_LEASED_MAX)
		import->leased[import->n_leased++] = e->fd;
	pthread_mutex_unlock(&import->lock);
}

/* Unlocked. */
static int do_large(struct sfd_import_layer *layer, struct sfd_worker *worker,
	struct sfd_import_entry *e, struct splitfd_error *err)
{
	struct sfd_content content = { .fd = -EBADF };
	struct sfd_taken taken = SFD_TAKEN_INIT;
	struct splitfd_import *import = layer->import;
	int r = open_large(import, e, &content, err);

	if (r == 0 && content.guard != SFD_GUARD_NONE) {
		r = hash_and_store(layer, worker, e, &content, NULL, err);
		if (r == SFD_CLONER_AGAIN)
			content.guard = SFD_GUARD_NONE;
	}
	if (r >= 0 && content.guard == SFD_GUARD_NONE) {
		r = sfd_cloner_take(import->cloner, &content, &taken, err);
		if (r == 0)
			r = hash_and_store(layer, worker, e, &content, &taken, err);
	}
	if (r == 0)
		keep(layer, e, &content, &taken);
	sfd_taken_done(&taken);
	sfd_close(content.fd);
	return r;
}

void sfd_import_large(
	struct splitfd_import *import, struct sfd_worker *worker, struct sfd_import_layer *layer)
{
	struct sfd_import_entry *e = sfd_import_entry_at(layer, layer->next_work++);
	struct splitfd_error error = { 0 };
	int r;

	e->state = SFD_ENTRY_TAKEN;
	layer->n_taken++;
	import->n_queued--;
	pthread_mutex_unlock(&import->lock);
	r = do_large(layer, worker, e, &error);
	pthread_mutex_lock(&import->lock);
	if (r < 0) {
		sfd_import_wrap_file(e, r, &error);
		sfd_import_fail(layer, r, &error);
	}
	e->state = SFD_ENTRY_DONE;
	layer->n_taken--;
	/* With sha256 the descriptor is kept until the file's turn, and counts. */
	if (e->counts_fd && e->fd < 0) {
		import->held_fds--;
		e->counts_fd = false;
	}
	sfd_import_drain(layer);
	sfd_import_tell_done(import);
}
