/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_PROXY_PIPE_H
#define SPLITFD_SHIM_PROXY_PIPE_H

/*
 * The pipes of a proxy session. Each has a worker of its own, so that no blob waits for another.
 *
 * A numbered pipe stays open at our end until FinishPipe, which tells how the worker ended: the
 * reader cannot take an early end for the whole. A raw pipe is closed by its worker, and the error
 * travels over a second pipe as one JSON object.
 */

#include "transport/tar/pipe-writer.h"
#include "splitfdstream/base/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a worker does. `run` writes to `w`; `free` releases ctx, once, whatever happened. */
struct sfd_pipe_work {
	int (*run)(void *ctx, struct sfd_pipe_writer *w, struct splitfd_error *err);
	void (*free)(void *ctx);
	void *ctx;
	/* The pipe is closed when the worker ends, not at FinishPipe, which still has the verdict:
	 * for contents that a client can only read to the end. */
	bool close_at_end;
};

struct sfd_pipes;

/* stall_ms: how long a client may read nothing. cancel_fd: an eventfd, borrowed; whoever writes to
 * it ends all workers. */
int sfd_pipes_new(int stall_ms, int cancel_fd, struct sfd_pipes **ret, struct splitfd_error *err);
/* Cancels and joins all workers. NULL is allowed. Returns NULL. */
struct sfd_pipes *sfd_pipes_free(struct sfd_pipes *pipes);

/* A numbered pipe. Always takes the work. *ret_fd, the reading end, is the caller's; *ret_id is
 * never 0 and never used again. */
int sfd_pipes_start(struct sfd_pipes *pipes, const struct sfd_pipe_work *work, int *ret_fd,
	uint32_t *ret_id, struct splitfd_error *err);

/* A numbered pipe with these bytes (copied). */
int sfd_pipes_start_bytes(struct sfd_pipes *pipes, const void *data, size_t n, int *ret_fd,
	uint32_t *ret_id, struct splitfd_error *err);

/* A raw pipe: ret_fds are the reading ends of data and error. Always takes the work. */
int sfd_pipes_start_raw(struct sfd_pipes *pipes, const struct sfd_pipe_work *work, int ret_fds[2],
	struct splitfd_error *err);

/* The object on an error pipe. Appended to *b; -errno. */
int sfd_proxy_error_json(const struct splitfd_error *err, struct sfd_buffer *b);

/* A pipe of the real skopeo, and which of them: a new one begins with the same numbers. */
struct sfd_foreign_pipe {
	uint32_t id;
	unsigned int generation;
};

/* Gives it a number of ours. */
int sfd_pipes_adopt(struct sfd_pipes *pipes, const struct sfd_foreign_pipe *other, uint32_t *ret_id,
	struct splitfd_error *err);

/* An error pipe of ours in place of skopeo's, whose raw blob comes from there directly: ret_fd is
 * its reading end. Always takes the work, which writes to it what is to be read. */
int sfd_pipes_start_errors(struct sfd_pipes *pipes, unsigned int generation,
	const struct sfd_pipe_work *work, int *ret_fd, struct splitfd_error *err);

/* True while a client may wait for bytes of that skopeo. */
bool sfd_pipes_any_foreign(const struct sfd_pipes *pipes, unsigned int generation);

/* 1 and *ret where pipe `id` is an adopted one, and forgets it. Otherwise 0. */
int sfd_pipes_take_foreign(struct sfd_pipes *pipes, uint32_t id, struct sfd_foreign_pipe *ret);

/* Waits for the worker of a numbered pipe, closes the pipe, and returns how the worker ended.
 * ENOENT where there is no such pipe. */
int sfd_pipes_finish(struct sfd_pipes *pipes, uint32_t id, struct splitfd_error *err);

/* Joins raw workers that have ended. */
void sfd_pipes_reap(struct sfd_pipes *pipes);

/* The protocol's class of an error: "EPIPE", "retryable" or "other". */
const char *sfd_proxy_error_code(const struct splitfd_error *err);

#endif
