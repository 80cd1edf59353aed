/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/proxy/proxy-pipe.h"
#include "splitfdstream/base/ring.h"
#include "transport/json/go-json.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/base/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

struct pipe {
	struct pipe *next;
	uint32_t id; /* 0: raw */
	bool foreign;
	struct sfd_foreign_pipe other;
	struct sfd_thread thread;
	struct sfd_pipe_work work;
	struct sfd_pipe_writer writer; /* its fd is ours */
	int error_fd;		       /* raw */
	int result;
	atomic_bool done;
	struct splitfd_error err;
};

struct sfd_pipes {
	struct pipe *first;
	uint32_t last_id;
	int stall_ms;
	int cancel_fd;
};

const char *sfd_proxy_error_code(const struct splitfd_error *err)
{
	static const int retryable[] = { ECONNREFUSED, EINTR, EAGAIN, EBUSY, ENETDOWN, ENETUNREACH,
		ENETRESET, ECONNABORTED, ECONNRESET, ETIMEDOUT, EHOSTDOWN, EHOSTUNREACH };

	if (err->errnum == EPIPE)
		return "EPIPE";
	for (size_t i = 0; i < sizeof(retryable) / sizeof(retryable[0]); i++) {
		if (err->errnum == retryable[i])
			return "retryable";
	}
	return "other";
}

int sfd_pipes_new(int stall_ms, int cancel_fd, struct sfd_pipes **ret, struct splitfd_error *err)
{
	struct sfd_pipes *pipes = calloc(1, sizeof(*pipes));

	if (pipes == NULL)
		return splitfd_error_oom(err);
	pipes->stall_ms = stall_ms;
	pipes->cancel_fd = cancel_fd;
	*ret = pipes;
	return 0;
}

static void free_work(struct sfd_pipe_work *work)
{
	if (work->free != NULL)
		work->free(work->ctx);
	*work = (struct sfd_pipe_work){ 0 };
}

/* Waits for the worker. */
static void destroy(struct pipe *p)
{
	sfd_thread_join(&p->thread);
	free_work(&p->work);
	sfd_close(p->writer.fd);
	sfd_close(p->error_fd);
	free(p);
}

SFD_DEFINE_CLEANUP(cleanup_pipe, struct pipe, destroy);

struct sfd_pipes *sfd_pipes_free(struct sfd_pipes *pipes)
{
	if (pipes == NULL)
		return NULL;
	sfd_ring(pipes->cancel_fd);
	while (pipes->first != NULL) {
		struct pipe *p = pipes->first;

		pipes->first = p->next;
		destroy(p);
	}
	free(pipes);
	return NULL;
}

int sfd_proxy_error_json(const struct splitfd_error *err, struct sfd_buffer *b)
{
	int r = sfd_buffer_printf(b, "{\"code\":\"%s\",\"message\":", sfd_proxy_error_code(err));

	if (r == 0)
		r = sfd_json_string(b, err->text);
	return r == 0 ? sfd_buffer_append_str(b, "}") : r;
}

/* The reader finds an object on the error pipe, then its end; or only the end. */
static void tell_error(struct pipe *p)
{
	sfd_cleanup_buffer struct sfd_buffer b = { .max = 16384 };

	/* The new pipe is empty and takes it at once; a closed one is the client's. */
	if (sfd_proxy_error_json(&p->err, &b) == 0)
		(void)sfd_write_all(p->error_fd, b.data, b.len);
}

static void *work(void *arg)
{
	struct pipe *p = arg;

	bool close_at_end = p->work.close_at_end || p->id == 0;

	p->result = p->work.run(p->work.ctx, &p->writer, &p->err);
	free_work(&p->work);
	if (p->error_fd >= 0 && p->result < 0)
		tell_error(p);
	if (close_at_end)
		p->writer.fd = sfd_close(p->writer.fd);
	p->error_fd = sfd_close(p->error_fd);
	atomic_store(&p->done, true);
	return NULL;
}

static int start_thread(struct pipe *p, struct splitfd_error *err)
{
	int r = sfd_thread_start(&p->thread, SFD_STACK_LARGE, work, p);

	if (r < 0)
		return splitfd_error_sys(err, -r, "cannot start a thread");
	return 0;
}

/* A pipe whose writing end is *ret's; always takes the work. */
static int new_pipe(struct sfd_pipes *pipes, const struct sfd_pipe_work *given, struct pipe **ret,
	int *ret_fd, struct splitfd_error *err)
{
	struct pipe *p = calloc(1, sizeof(*p));
	struct sfd_pipe_work taken = given != NULL ? *given : (struct sfd_pipe_work){ 0 };
	int fds[2];

	if (p == NULL || pipe2(fds, O_CLOEXEC) < 0) {
		int e = p == NULL ? ENOMEM : errno;

		free(p);
		free_work(&taken);
		return splitfd_error_sys(err, e, "cannot make a pipe");
	}
	p->work = taken;
	p->error_fd = -EBADF;
	p->writer = (struct sfd_pipe_writer){
		.fd = fds[1], .cancel_fd = pipes->cancel_fd, .stall_ms = pipes->stall_ms
	};
	*ret = p;
	*ret_fd = fds[0];
	return 0;
}

static void add(struct sfd_pipes *pipes, struct pipe *p)
{
	p->next = pipes->first;
	pipes->first = p;
}

/* Our end never blocks; the reader's end has flags of its own. */
static int prepare(struct pipe *p, bool large, struct splitfd_error *err)
{
	if (fcntl(p->writer.fd, F_SETFL, O_NONBLOCK) < 0)
		return splitfd_error_sys(err, errno, "cannot set up a pipe");
	if (large) /* the system may allow less */
		(void)fcntl(p->writer.fd, F_SETPIPE_SZ, (int)SFD_PIPE_SIZE);
	return 0;
}

/* A pipe that a worker of its own fills. */
static int start(struct sfd_pipes *pipes, const struct sfd_pipe_work *given, uint32_t id,
	struct pipe **ret, int *ret_fd, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_pipe) struct pipe *p = NULL;
	sfd_cleanup_fd int fd = -EBADF;
	int r;

	r = new_pipe(pipes, given, &p, &fd, err);
	if (r < 0)
		return r;
	p->id = id;
	r = prepare(p, id != 0, err);
	if (r == 0)
		r = start_thread(p, err);
	if (r < 0)
		return r;
	*ret = p;
	*ret_fd = sfd_take_fd(&fd);
	add(pipes, sfd_take_ptr(&p));
	return 0;
}

int sfd_pipes_start(struct sfd_pipes *pipes, const struct sfd_pipe_work *given, int *ret_fd,
	uint32_t *ret_id, struct splitfd_error *err)
{
	struct pipe *p;
	int r = start(pipes, given, pipes->last_id + 1, &p, ret_fd, err);

	if (r == 0)
		*ret_id = ++pipes->last_id;
	return r;
}

struct bytes {
	size_t n;
	char data[];
};

static int run_bytes(void *ctx, struct sfd_pipe_writer *w, struct splitfd_error *err)
{
	struct bytes *b = ctx;

	return sfd_pipe_write(w, b->data, b->n, err);
}

/* What fits into an empty pipe needs no worker. */
static int start_small(struct sfd_pipes *pipes, const void *data, size_t n, int *ret_fd,
	uint32_t *ret_id, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_pipe) struct pipe *p = NULL;
	sfd_cleanup_fd int fd = -EBADF;
	int r;

	r = new_pipe(pipes, NULL, &p, &fd, err);
	if (r == 0)
		r = prepare(p, false, err);
	if (r == 0)
		r = sfd_pipe_write(&p->writer, data, n, err);
	if (r < 0)
		return r;
	p->id = ++pipes->last_id;
	*ret_id = p->id;
	*ret_fd = sfd_take_fd(&fd);
	add(pipes, sfd_take_ptr(&p));
	return 0;
}

int sfd_pipes_start_bytes(struct sfd_pipes *pipes, const void *data, size_t n, int *ret_fd,
	uint32_t *ret_id, struct splitfd_error *err)
{
	struct bytes *b;

	if (n <= 4096) /* the least that a pipe holds, also where the user has many */
		return start_small(pipes, data, n, ret_fd, ret_id, err);
	b = malloc(sizeof(*b) + n);
	if (b == NULL)
		return splitfd_error_oom(err);
	b->n = n;
	memcpy(b->data, data, n);
	return sfd_pipes_start(pipes,
		&(struct sfd_pipe_work){ .run = run_bytes, .free = free, .ctx = b }, ret_fd, ret_id,
		err);
}

int sfd_pipes_start_raw(struct sfd_pipes *pipes, const struct sfd_pipe_work *given, int ret_fds[2],
	struct splitfd_error *err)
{
	sfd_cleanup(cleanup_pipe) struct pipe *p = NULL;
	sfd_cleanup_fd int fd = -EBADF;
	int errors[2], r;

	r = new_pipe(pipes, given, &p, &fd, err);
	if (r < 0)
		return r;
	r = prepare(p, true, err);
	if (r < 0)
		return r;
	if (pipe2(errors, O_CLOEXEC) < 0)
		return splitfd_error_sys(err, errno, "cannot make a pipe");
	p->error_fd = errors[1];
	r = start_thread(p, err);
	if (r < 0) {
		sfd_close(errors[0]);
		return r;
	}
	ret_fds[0] = sfd_take_fd(&fd);
	ret_fds[1] = errors[0];
	add(pipes, sfd_take_ptr(&p));
	return 0;
}

int sfd_pipes_start_errors(struct sfd_pipes *pipes, unsigned int generation,
	const struct sfd_pipe_work *given, int *ret_fd, struct splitfd_error *err)
{
	struct pipe *p;
	int r = start(pipes, given, 0, &p, ret_fd, err);

	if (r < 0)
		return r;
	p->foreign = true; /* which only this thread reads */
	p->other.generation = generation;
	return 0;
}

bool sfd_pipes_any_foreign(const struct sfd_pipes *pipes, unsigned int generation)
{
	for (const struct pipe *p = pipes->first; p != NULL; p = p->next) {
		if (p->foreign && p->other.generation == generation && !atomic_load(&p->done))
			return true;
	}
	return false;
}

int sfd_pipes_adopt(struct sfd_pipes *pipes, const struct sfd_foreign_pipe *other, uint32_t *ret_id,
	struct splitfd_error *err)
{
	struct pipe *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return splitfd_error_oom(err);
	p->writer.fd = p->error_fd = -EBADF;
	p->foreign = true;
	p->other = *other;
	p->id = *ret_id = ++pipes->last_id;
	add(pipes, p);
	return 0;
}

static struct pipe *take(struct sfd_pipes *pipes, uint32_t id)
{
	for (struct pipe **at = &pipes->first; *at != NULL; at = &(*at)->next) {
		struct pipe *p = *at;

		if (p->id == id) {
			*at = p->next;
			return p;
		}
	}
	return NULL;
}

int sfd_pipes_take_foreign(struct sfd_pipes *pipes, uint32_t id, struct sfd_foreign_pipe *ret)
{
	for (struct pipe *p = pipes->first; p != NULL; p = p->next) {
		if (p->id == id && p->foreign && id != 0) {
			*ret = p->other;
			destroy(take(pipes, id));
			return 1;
		}
	}
	return 0;
}

int sfd_pipes_finish(struct sfd_pipes *pipes, uint32_t id, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_pipe) struct pipe *p = id != 0 ? take(pipes, id) : NULL;

	if (p == NULL)
		return splitfd_error_set(
			err, SPLITFD_ERROR_NOT_FOUND, ENOENT, "finishpipe: no active pipe %u", id);
	sfd_thread_join(&p->thread);
	return p->result < 0 ? splitfd_error_copy(err, p->result, &p->err) : p->result;
}

void sfd_pipes_reap(struct sfd_pipes *pipes)
{
	struct pipe **at = &pipes->first;

	while (*at != NULL) {
		struct pipe *p = *at;

		if (p->id == 0 && atomic_load(&p->done)) {
			*at = p->next;
			destroy(p);
		} else {
			at = &p->next;
		}
	}
}
