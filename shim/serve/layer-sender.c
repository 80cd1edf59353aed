/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/serve/layer-sender.h"
#include "transport/tar/pipe-writer.h"
#include "shim/serve/serve-clients.h"
#include "splitfdstream/wire-header.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/thread.h"
#include "splitfdstream/splitdirfdstream-writer.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

struct sfd_senders {
	struct sfd_senders_options options;
	pthread_mutex_t lock;
	struct sfd_threads threads;
	size_t n; /* threads; under the lock */
};

struct sender {
	struct sfd_senders *all;
	struct sfd_layer_to_send layer;
	struct splitfd_files *files;
	int pipe;      /* writing end, non-blocking */
	int keepalive; /* reading end */
};

/* The stream's way out. */
struct output {
	struct splitfd_output base;
	struct sfd_pipe_writer *w; /* borrowed */
};

static int output_write(struct splitfd_output *base, const void *data, size_t n, const int *fds,
	size_t n_fds, struct splitfd_error *err)
{
	(void)fds;
	if (n_fds > 0)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, EINVAL,
			"the layer has a directory that was not known before");
	return n > 0 ? sfd_pipe_write(((struct output *)base)->w, data, n, err) : 0;
}

static void output_free(struct splitfd_output *base)
{
	free(base);
}

static int new_writer(const struct sender *s, struct sfd_pipe_writer *w, struct splitfd_sink **ret,
	struct splitfd_error *err)
{
	static const struct splitfd_output_ops ops = { .write = output_write, .free = output_free };
	const struct splitfd_splitdirfdstream_writer_options options = {
		.consumer_reads_all = s->layer.consumer_reads_all,
		.known_files = s->files,
	};
	struct output *out = calloc(1, sizeof(*out));

	if (out == NULL)
		return splitfd_error_oom(err);
	*out = (struct output){ .base = { .ops = &ops, .fd_batch = SFD_SENT_DIRS_MAX }, .w = w };
	return splitfd_splitdirfdstream_writer_new(&out->base, &options, ret, err);
}

static int write_stream(const struct sender *s, struct splitfd_error *err)
{
	struct sfd_pipe_writer w = { .fd = s->pipe,
		.cancel_fd = s->all->options.cancel_fd,
		.stall_ms = s->all->options.timeout_ms };
	struct splitfd_sink *sink = NULL;
	int r = new_writer(s, &w, &sink, err);

	if (r == 0)
		r = splitfd_pump(s->layer.source, sink, NULL, err);
	if (r == 0)
		r = splitfd_sink_finish(sink, err);
	splitfd_sink_free(sink);
	return r;
}

/* Ends when the client closes the keepalive, everything ends, or the time is over. */
static void hold(const struct sender *s)
{
	struct pollfd p[2] = {
		{ .fd = s->keepalive }, /* POLLHUP */
		{ .fd = s->all->options.cancel_fd, .events = POLLIN },
	};

	(void)poll(p, 2, s->all->options.hold_ms);
}

static void sender_free(struct sender *s)
{
	splitfd_source_free(s->layer.source);
	splitfd_files_unref(s->files);
	if (s->layer.guard != NULL)
		s->layer.release(s->layer.guard);
	sfd_client_layer_done(s->layer.client);
	sfd_close(s->pipe);
	sfd_close(s->keepalive);
	free(s);
}

static void one_less(struct sfd_senders *all)
{
	pthread_mutex_lock(&all->lock);
	all->n--;
	pthread_mutex_unlock(&all->lock);
}

/* A stream that stopped between two chunks would look whole. */
static void tell_failure(const struct sender *s, const struct splitfd_error *err)
{
	struct sfd_pipe_writer w = { .fd = s->pipe,
		.cancel_fd = s->all->options.cancel_fd,
		.stall_ms = s->all->options.timeout_ms };
	uint8_t last[1 + SFD_WIRE_REASON_MAX] = { SFD_WIRE_FAILED };
	size_t n = strnlen(err->text, SFD_WIRE_REASON_MAX);

	memcpy(last + 1, err->text, n);
	if (err->kind != SPLITFD_ERROR_PEER)
		(void)sfd_pipe_write(&w, last, 1 + n, NULL);
}

static void *sender_thread(void *ctx)
{
	struct sender *s = ctx;
	struct sfd_senders *all = s->all;
	struct splitfd_error err = { 0 };
	int r = write_stream(s, &err);

	if (r < 0)
		tell_failure(s, &err);
	if (r < 0 && err.kind != SPLITFD_ERROR_PEER)
		fprintf(stderr, "splitfd: a layer could not be sent: %s\n", err.text);
	s->pipe = sfd_close(s->pipe);
	s->layer.source = splitfd_source_free(s->layer.source);
	if (r >= 0 && s->layer.guard != NULL)
		hold(s);
	sender_free(s);
	one_less(all);
	return NULL;
}

int sfd_senders_new(const struct sfd_senders_options *options, struct sfd_senders **ret,
	struct splitfd_error *err)
{
	struct sfd_senders *all = calloc(1, sizeof(*all));

	if (all == NULL)
		return splitfd_error_oom(err);
	all->options = *options;
	(void)pthread_mutex_init(&all->lock, NULL);
	sfd_threads_init(&all->threads);
	*ret = all;
	return 0;
}

struct sfd_senders *sfd_senders_free(struct sfd_senders *senders)
{
	if (senders == NULL)
		return NULL;
	sfd_threads_done(&senders->threads);
	pthread_mutex_destroy(&senders->lock);
	free(senders);
	return NULL;
}

static void sent_done(struct sfd_sent_layer *sent)
{
	sfd_close(sent->stream);
	sfd_close(sent->keepalive);
	for (size_t i = 0; i < sent->n_dirs; i++)
		sfd_close(sent->dirs[i]);
	sent->n_dirs = 0;
}

/* A stream that names no file still has one slot: consumers want one. */
static int give_dirs(struct sender *s, struct sfd_sent_layer *ret, struct splitfd_error *err)
{
	size_t n = s->files != NULL ? s->files->n_dirs : 0;

	if (n > SFD_SENT_DIRS_MAX)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, EOPNOTSUPP,
			"the layer's files are below too many directories");
	for (size_t i = 0; i < n || i == 0; i++) {
		int fd = n == 0 ? open("/dev/null", O_RDONLY | O_CLOEXEC)
				: fcntl(s->files->dirs[i], F_DUPFD_CLOEXEC, 3);

		if (fd < 0)
			return splitfd_error_sys(err, errno, "cannot duplicate a descriptor");
		ret->dirs[ret->n_dirs++] = fd;
	}
	return 0;
}

/* The descriptors of both sides. Without a guard there is nothing to keep: then the keepalive's
 * other end is closed at once. */
static int make_ends(struct sender *s, struct sfd_sent_layer *ret, struct splitfd_error *err)
{
	int stream[2], keepalive[2];

	if (pipe2(stream, O_CLOEXEC) < 0)
		return splitfd_error_sys(err, errno, "cannot make a pipe");
	ret->stream = stream[0];
	s->pipe = stream[1];
	if (pipe2(keepalive, O_CLOEXEC) < 0)
		return splitfd_error_sys(err, errno, "cannot make a pipe");
	s->keepalive = keepalive[0];
	ret->keepalive = keepalive[1];
	if (fcntl(s->pipe, F_SETFL, O_NONBLOCK) < 0)
		return splitfd_error_sys(err, errno, "cannot set up a pipe");
	return give_dirs(s, ret, err);
}

/* A place among the threads, and the thread. */
static int launch(struct sfd_senders *all, struct sender *s, struct splitfd_error *err)
{
	bool full;
	int r;

	pthread_mutex_lock(&all->lock);
	full = all->n >= all->options.max;
	all->n += !full;
	pthread_mutex_unlock(&all->lock);
	if (full)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, EAGAIN,
			"%zu layers are being sent or held already; close their descriptors, or "
			"try again later",
			all->options.max);
	r = sfd_threads_start(&all->threads, SFD_STACK_SMALL, sender_thread, s);
	if (r < 0) {
		one_less(all);
		return splitfd_error_sys(err, -r, "cannot start a thread");
	}
	return 0;
}

static void drop_layer(struct sfd_layer_to_send *layer)
{
	splitfd_source_free(layer->source);
	if (layer->guard != NULL)
		layer->release(layer->guard);
}

int sfd_senders_start(struct sfd_senders *senders, struct sfd_layer_to_send *layer,
	struct sfd_sent_layer *ret, struct splitfd_error *err)
{
	struct sender *s = calloc(1, sizeof(*s));
	int r;

	*ret = (struct sfd_sent_layer){ .stream = -EBADF, .keepalive = -EBADF };
	if (s == NULL) {
		drop_layer(layer);
		return splitfd_error_oom(err);
	}
	*s = (struct sender){ .all = senders,
		.layer = *layer,
		.files = splitfd_source_files(layer->source),
		.pipe = -EBADF,
		.keepalive = -EBADF };
	(void)sfd_client_layer(layer->client);
	if (s->files != NULL)
		splitfd_files_ref(s->files);
	r = make_ends(s, ret, err);
	if (r == 0)
		r = launch(senders, s, err);
	if (r < 0) {
		sender_free(s);
		sent_done(ret);
	}
	return r;
}
