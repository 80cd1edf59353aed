/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/tar/tar-follow.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/base/removed.h"
#include "splitfdstream/base/thread.h"
#include "splitfdstream/digest.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>

#define PIECE ((size_t)256 * 1024)
/* How much it lets come once it has caught up: to be woken for each piece costs the sender and the
 * client their CPUs. */
#define BATCH ((uint64_t)8 * 1024 * 1024)

struct sfd_follow {
	struct splitfd_sink base; /* of the second reading */
	struct splitfd_source *source;
	struct splitfd_sha256 *sha256; /* or NULL */
	uint8_t *buffer;	       /* PIECE bytes */
	struct sfd_trace seen;
	uint64_t at;
	struct sfd_thread thread;
	pthread_mutex_t lock;
	pthread_cond_t moved;
	/* Written under the lock. */
	atomic_uint_fast64_t sent; /* UINT64_MAX: all of it */
	atomic_bool abandoned, failed;
	uint64_t wanted; /* the follower waits for this much to be sent; UINT64_MAX: it does not */
	bool done;
	/* The thread's until it is joined: */
	int result;
	struct splitfd_error err;
};

void sfd_trace_bytes(struct sfd_trace *trace, const void *data, size_t n)
{
	trace->bytes = splitfd_crc64(trace->bytes, data, n);
}

int sfd_trace_file(struct sfd_trace *trace, int fd, struct splitfd_error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return splitfd_error_sys(err, errno, "cannot examine a file of the layer");

	const uint64_t row[] = { st.st_dev, st.st_ino, (uint64_t)st.st_size,
		(uint64_t)st.st_ctim.tv_sec, (uint64_t)st.st_ctim.tv_nsec };

	trace->files = splitfd_crc64(trace->files, row, sizeof(row));
	return 0;
}

int sfd_bad_crc64(const char *name, struct splitfd_error *err)
{
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
		"file integrity checksum failed for '%s'", name);
}

/* Stays behind the client, not only behind the sender. */
static bool may_go(struct sfd_follow *f, uint64_t end)
{
	uint64_t sent = atomic_load(&f->sent);

	return sent == UINT64_MAX || sent >= end + SFD_PIPE_SIZE || atomic_load(&f->abandoned);
}

static int wait_sent(struct sfd_follow *f, uint64_t end, struct splitfd_error *err)
{
	if (!may_go(f, end)) {
		pthread_mutex_lock(&f->lock);
		f->wanted = end + BATCH;
		while (!may_go(f, f->wanted))
			pthread_cond_wait(&f->moved, &f->lock);
		f->wanted = UINT64_MAX;
		pthread_mutex_unlock(&f->lock);
	}
	if (atomic_load(&f->abandoned))
		return splitfd_error_set(
			err, SPLITFD_ERROR_PEER, ECANCELED, "the blob was cancelled");
	return 0;
}

static int follow_bytes(
	struct sfd_follow *f, const uint8_t *data, size_t n, struct splitfd_error *err)
{
	int r = wait_sent(f, f->at + n, err);

	if (r < 0)
		return r;
	f->at += n;
	if (f->sha256 != NULL)
		splitfd_sha256_update(f->sha256, data, n);
	return 0;
}

static int follow_file(struct sfd_follow *f, struct splitfd_chunk *chunk, struct splitfd_error *err)
{
	sfd_cleanup_fd int fd = -EBADF;
	const char *name = chunk->name != NULL ? chunk->name : "a file";
	uint64_t crc = 0;
	int r;

	if (f->sha256 == NULL && chunk->size < SFD_SPLICE_MIN) {
		f->at += chunk->size;
		return 0;
	}
	r = splitfd_chunk_open(chunk, &fd, NULL, err);
	for (uint64_t done = 0; r >= 0 && done < chunk->size;) {
		uint64_t left = chunk->size - done;
		size_t n = left < PIECE ? (size_t)left : PIECE;

		r = wait_sent(f, f->at + n, err);
		if (r < 0)
			return r;
		r = sfd_pread_full(fd, f->buffer, n, done);
		if (r < 0)
			return splitfd_error_sys(err, -r, "cannot read '%s'", name);
		if (chunk->has_crc64)
			crc = splitfd_crc64(crc, f->buffer, n);
		r = follow_bytes(f, f->buffer, n, err);
		done += n;
	}
	if (r < 0)
		return r;
	if (chunk->has_crc64 && crc != chunk->crc64)
		return sfd_bad_crc64(name, err);
	return sfd_trace_file(&f->seen, fd, err);
}

static int follow_put(
	struct splitfd_sink *base, struct splitfd_chunk *chunk, struct splitfd_error *err)
{
	struct sfd_follow *f = (struct sfd_follow *)base;
	int r;

	if (chunk->kind == SPLITFD_CHUNK_INLINE) {
		sfd_trace_bytes(&f->seen, chunk->data, chunk->data_len);
		r = follow_bytes(f, chunk->data, chunk->data_len, err);
	} else {
		r = follow_file(f, chunk, err);
	}
	splitfd_chunk_clear(chunk);
	return r;
}

static void *run(void *arg)
{
	struct sfd_follow *f = arg;

	f->result = splitfd_pump(f->source, &f->base, NULL, &f->err);
	pthread_mutex_lock(&f->lock);
	atomic_store(&f->failed, f->result < 0);
	f->done = true;
	pthread_cond_signal(&f->moved);
	pthread_mutex_unlock(&f->lock);
	return NULL;
}

static int start(struct sfd_follow *f, struct splitfd_error *err)
{
	int r = sfd_thread_start(&f->thread, SFD_STACK_LARGE, run, f);

	if (r < 0)
		return splitfd_error_sys(err, -r, "cannot start a thread");
	return 0;
}

int sfd_follow_new(struct splitfd_source *source, bool digest, bool thread, struct sfd_follow **ret,
	struct splitfd_error *err)
{
	static const struct splitfd_sink_ops ops = { .put = follow_put };
	sfd_cleanup_follow struct sfd_follow *f = calloc(1, sizeof(*f));
	int r = 0;

	if (f == NULL)
		return splitfd_error_oom(err);
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->moved, NULL);
	f->base.ops = &ops;
	f->source = source;
	f->wanted = UINT64_MAX;
	f->buffer = malloc(PIECE);
	f->sha256 = digest ? splitfd_sha256_new() : NULL;
	if (f->buffer == NULL || (digest && f->sha256 == NULL))
		return splitfd_error_oom(err);
	if (thread)
		r = start(f, err);
	if (r < 0)
		return r;
	*ret = sfd_take_ptr(&f);
	return 0;
}

static void tell(struct sfd_follow *f, uint64_t sent, bool abandoned)
{
	pthread_mutex_lock(&f->lock);
	atomic_store(&f->sent, sent);
	atomic_store(&f->abandoned, abandoned);
	if (f->wanted != UINT64_MAX && may_go(f, f->wanted))
		pthread_cond_signal(&f->moved);
	pthread_mutex_unlock(&f->lock);
}

bool sfd_follow_sent(struct sfd_follow *f, uint64_t bytes)
{
	tell(f, bytes, false);
	return !atomic_load(&f->failed);
}

/* Until the thread is done; the end of the session is the end of its work. */
static void wait_done(struct sfd_follow *f, int cancel_fd)
{
	struct pollfd cancel = { .fd = cancel_fd, .events = POLLIN };
	struct timespec look;

	pthread_mutex_lock(&f->lock);
	while (!f->done) {
		clock_gettime(CLOCK_MONOTONIC, &look);
		look.tv_sec++;
		(void)pthread_cond_clockwait(&f->moved, &f->lock, CLOCK_MONOTONIC, &look);
		if (cancel_fd >= 0 && poll(&cancel, 1, 0) > 0)
			atomic_store(&f->abandoned, true);
	}
	pthread_mutex_unlock(&f->lock);
	sfd_thread_join(&f->thread);
}

int sfd_follow_end(struct sfd_follow *f, const struct sfd_trace *sent, int cancel_fd,
	uint8_t digest[32], struct splitfd_error *err)
{
	tell(f, UINT64_MAX, false);
	if (sfd_thread_started(&f->thread))
		wait_done(f, cancel_fd);
	else
		run(f);
	if (f->result < 0)
		return splitfd_error_copy(err, f->result, &f->err);
	if ((f->seen.bytes != sent->bytes || f->seen.files != sent->files) &&
		splitfd_files_removed(splitfd_source_files(f->source)))
		return sfd_layer_removed(err);
	if (f->seen.bytes != sent->bytes || f->seen.files != sent->files)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"the layer's files changed while they were sent");
	return f->sha256 != NULL ? splitfd_sha256_final(f->sha256, digest, err) : 0;
}

struct sfd_follow *sfd_follow_free(struct sfd_follow *f)
{
	if (f == NULL)
		return NULL;
	tell(f, 0, true);
	sfd_thread_join(&f->thread);
	splitfd_sha256_free(f->sha256);
	pthread_cond_destroy(&f->moved);
	pthread_mutex_destroy(&f->lock);
	free(f->buffer);
	free(f);
	return NULL;
}
