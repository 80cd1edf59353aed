/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_IMPORT_PRIVATE_H
#define SPLITFD_COMPOSEFS_IMPORT_PRIVATE_H

/*
 * The inside of an import.
 *
 * Each layer has a ring of entries in stream order: runs of inline bytes and files. Who feeds the
 * layer (import-sink.c) adds at its tail. Workers (import-worker.c) take files out of order, small
 * ones several at once (import-small.c), large ones piece by piece (import-large.c), and make
 * objects of them. Whoever finishes the entry at the head writes all that is done from there on to
 * the splitstream (import-drain.c). A feeder whose window is full works too. One mutex guards rings
 * and lists; it is not held while data is read, hashed, cloned or compressed. An entry belongs to
 * the worker that took it until it is DONE.
 */

#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/thread.h"
#include "splitfdstream/digest.h"
#include "transport/composefs/import/import.h"
#include "transport/composefs/object-clone.h"
#include "transport/composefs/object-table.h"
#include "transport/composefs/repository-private.h"
#include "transport/composefs/stream/splitstream.h"
#include "transport/composefs/verity.h"
#include "transport/tar/tar-entry.h"

#include <pthread.h>
#include <semaphore.h>

#define SFD_RING_SIZE	     ((size_t)512)
#define SFD_WINDOW_BYTES     ((size_t)6 * 1024 * 1024) /* of all rings of an import */
#define SFD_WINDOW_FDS	     ((size_t)12)
#define SFD_ENTRY_MAX	     ((size_t)256 * 1024) /* bytes in memory of one entry */
#define SFD_INLINE_RUN_MAX   ((size_t)32 * 1024)  /* inline chunks are joined up to this */
#define SFD_BATCH_BYTES	     ((size_t)256 * 1024)
#define SFD_PIECES_IN_FLIGHT ((size_t)16)
#define SFD_LEASED_MAX	     (SFD_WINDOW_FDS + 4)

enum sfd_entry_kind {
	SFD_ENTRY_INLINE,  /* `data` */
	SFD_ENTRY_CONTENT, /* `data` is a file's content, to become an object */
	SFD_ENTRY_SMALL,   /* a file up to SFD_VERITY_SMALL_MAX */
	SFD_ENTRY_LARGE,   /* a larger one */
};

enum sfd_entry_state {
	SFD_ENTRY_QUEUED,
	SFD_ENTRY_TAKEN,
	SFD_ENTRY_DONE,
};

struct sfd_import_entry {
	enum sfd_entry_kind kind;
	enum sfd_entry_state state;
	uint8_t *data; /* owned; of SMALL: its content, where it is wanted later */
	size_t data_len, data_cap;
	size_t held;		     /* bytes that it counts in the window */
	uint64_t size, offset;	     /* of a file in the tar */
	int fd;			     /* owned; of LARGE: kept where its content is wanted later */
	enum sfd_guard guard;	     /* of an fd that is kept */
	bool counts_fd;		     /* in the window */
	struct splitfd_files *files; /* a reference */
	char *name;		     /* owned; may be NULL with an fd */
	bool has_crc64;
	uint64_t crc64;
	struct splitfd_digest digest;
};

struct sfd_import_layer {
	struct splitfd_sink sink; /* first */
	struct splitfd_import *import;
	struct sfd_import_layer *next; /* in the import's list, oldest first */
	char *diff_id;
	/* counters; entry i is at ring[i % SFD_RING_SIZE]; head <= next_work <= tail */
	uint64_t head, next_work, tail;
	size_t n_taken; /* entries in the hands of workers */
	bool draining, ended, complete;
	bool named; /* its name is in the import's list */
	int failed; /* 0 or -errno; then `error` tells it */
	struct splitfd_error error;
	struct sfd_splitstream_writer *writer; /* the drainer's, as are the next three */
	struct splitfd_sha256 *sha256;	       /* NULL where it is not wanted */
	bool has_listener;
	struct sfd_stream_listener listener;
	uint8_t *reread;	       /* a buffer for content that is read again */
	struct splitfd_digest digest;  /* of the splitstream, once complete */
	char actual[72];	       /* the tar's diff_id, once it was hashed to its end; or "" */
	uint64_t n_bytes;	       /* put so far */
	uint64_t n_worked;	       /* done, or inline */
	struct sfd_import_entry *ring; /* SFD_RING_SIZE; NULL once complete */
};

/* What one thread needs to work. */
struct sfd_worker {
	struct splitfd_import *import;
	struct sfd_worker *next_free;
	struct sfd_hasher *hasher;
	struct sfd_verity_scratch scratch;
	struct sfd_verity_tree tree;
	uint8_t buffer[SFD_VERITY_PIECE];
};

struct sfd_large_piece {
	bool done;
	int n_hashes;
	uint64_t crc64;
	uint8_t hashes[2 * SPLITFD_DIGEST_MAX];
};

/* A large file whose pieces are open to all workers. On its owner's stack. */
struct sfd_large {
	struct sfd_large *next_large;
	struct sfd_import_layer *layer;
	struct sfd_import_entry *entry;
	int fd;
	enum sfd_guard guard;		 /* of fd */
	uint64_t n_pieces, next, merged; /* claimed up to next, in the tree up to merged */
	uint64_t n_worked;		 /* bytes that the layer's count has of it */
	size_t n_working;
	int failed; /* 0, -errno (then `error` tells it), SFD_CLONER_AGAIN */
	struct splitfd_error error;
	struct sfd_verity_tree *tree;
	uint64_t crc64;
	struct sfd_large_piece pieces[SFD_PIECES_IN_FLIGHT];
};

struct splitfd_import {
	struct splitfd_repository *repository;
	struct splitfd_import_options options;
	struct sfd_object_table *table;
	struct sfd_cloner *cloner;
	struct sfd_names *names;
	enum sfd_hasher_kind hasher;
	size_t batch_max; /* files that one worker has open at once */
	sem_t storing;	  /* workers that may make objects of small files at a time */

	pthread_mutex_t lock; /* guards what follows, and layers' rings and states */
	pthread_cond_t work;  /* workers wait for entries */
	pthread_cond_t done;  /* feeders wait for room or the end; owners for pieces */
	size_t n_idle, n_waiting;
	struct sfd_import_layer *layers, **layers_end;
	size_t n_queued; /* files in rings that nobody has taken */
	size_t held_bytes, held_fds;
	struct sfd_large *large; /* those that are shared now */
	/* Sources under a lease that wait to be read again. What is not in here waits all the same,
	 * but nobody looks after its lease. */
	int leased[SFD_LEASED_MAX];
	size_t n_leased;
	struct sfd_worker *free_workers;
	struct splitfd_import_stats stats;
	bool stop;
	struct sfd_thread *threads;
	size_t n_threads;
};

/* import-worker.c */

int sfd_import_start(struct splitfd_import *import, size_t jobs, struct splitfd_error *err);
void sfd_import_stop(struct splitfd_import *import);
bool sfd_import_cancelled(const struct splitfd_import *import);
/* Wakes a worker, if one has nothing to do. Locked. */
void sfd_import_wake(struct splitfd_import *import);
/* Does a piece of work, or, where there is none to do now, waits until something is done. Locked,
 * unlocked in between. */
void sfd_import_help_or_wait(struct splitfd_import *import);
/* Tells who waits that something is done. Locked. */
void sfd_import_tell_done(struct splitfd_import *import);

/* import-small.c, import-large.c: both called locked, and unlock in between. */

/* Takes up to batch_max entries from next_work on and works on them. */
void sfd_import_small(
	struct splitfd_import *import, struct sfd_worker *worker, struct sfd_import_layer *layer);
/* Takes the LARGE entry at next_work, shares it, and completes it. */
void sfd_import_large(
	struct splitfd_import *import, struct sfd_worker *worker, struct sfd_import_layer *layer);
/* Works on a piece of the shared large file. False where there is none to take now. */
bool sfd_import_large_piece(
	struct splitfd_import *import, struct sfd_worker *worker, struct sfd_large *large);

/* Opens a file's entry, whose descriptor or reference becomes content->fd, with its stat, and
 * guards it. Unlocked. */
int sfd_import_open(struct splitfd_import *import, struct sfd_import_entry *entry,
	struct sfd_content *content, struct splitfd_error *err);
/* Stores an object of known digest and counts it: 0, SFD_CLONER_AGAIN, -errno. `taken` may be NULL.
 * Unlocked. */
int sfd_import_store(struct splitfd_import *import, const struct splitfd_digest *digest,
	const struct sfd_content *content, struct sfd_taken *taken, struct splitfd_error *err);
/* "byte N of the tar, file 'NAME': …" in front of the text. */
int sfd_import_wrap_file(const struct sfd_import_entry *entry, int r, struct splitfd_error *err);

/* import-drain.c */

/* Writes what is done from the head on, and completes the layer where it has ended. Locked; unlocks
 * in between. Does nothing where another thread is at it. */
void sfd_import_drain(struct sfd_import_layer *layer);
/* An entry that is in no ring, by the thread that has set `draining`. Unlocked. */
int sfd_import_emit(
	struct sfd_import_layer *layer, struct sfd_import_entry *entry, struct splitfd_error *err);
/* The layer is bad: the first error counts. Locked. */
void sfd_import_fail(struct sfd_import_layer *layer, int r, const struct splitfd_error *err);
/* Releases the leases that somebody waits for, of all files that wait to be read again. Locked. */
void sfd_import_tend_leases(struct splitfd_import *import);
/* The entry's descriptor is going to be closed, and another file may get its number. Locked. */
void sfd_import_forget_lease(struct splitfd_import *import, const struct sfd_import_entry *entry);
/* Frees what an entry owns. */
void sfd_import_entry_clear(struct sfd_import_entry *entry);

static inline struct sfd_import_entry *sfd_import_entry_at(
	struct sfd_import_layer *layer, uint64_t i)
{
	return &layer->ring[i % SFD_RING_SIZE];
}

#endif
