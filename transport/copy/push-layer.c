/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/copy/push-layer.h"
#include "transport/copy/push-output.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/pump.h"
#include "splitfdstream/chunk-cleanup.h"
#include "splitfdstream/splitdirfdstream-writer.h"
#include "splitfdstream/verify-sink.h"

#include <fcntl.h>
#include <unistd.h>

/* Between two events of a layer. */
#define NOTIFY_BYTES ((uint64_t)1024 * 1024)

/* Calls PutLayer; *ret_pipe is the end into which the stream goes. */
static int begin(struct sfd_push_service *s, const char *diff_id, const struct sfd_push_dirs *dirs,
	int *ret_pipe, struct splitfd_error *err)
{
	sfd_cleanup_fd int in = -EBADF, out = -EBADF;
	int ends[2], fds[1 + SFD_PUSH_DIRS_MAX], r;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return splitfd_error_sys(err, errno, "cannot make a pipe for the layer");
	out = ends[0];
	in = ends[1];
	if (fcntl(in, F_SETFL, O_NONBLOCK) < 0)
		return splitfd_error_sys(err, errno, "cannot make the pipe non-blocking");
	fds[0] = out;
	for (size_t i = 0; i < dirs->n; i++)
		fds[1 + i] = dirs->fds[i];
	r = sfd_oci_call_put_layer(
		s->connection, s->handle, diff_id, s->zerocopy, fds, 1 + dirs->n, err);
	if (r == 0)
		*ret_pipe = sfd_take_fd(&in);
	return r;
}

/* A layer on its way, for the listener. */
struct moving {
	const struct sfd_push_service *service;
	struct sfd_copy_event event;
	uint64_t notified; /* of event.bytes */
};

static const volatile int *stop_flag(const struct sfd_push_service *s)
{
	return s->stop != NULL ? &s->stop->flag : NULL;
}

static void count(void *ctx, uint64_t bytes)
{
	struct moving *m = ctx;

	m->event.bytes += bytes;
	if (m->event.bytes - m->notified < NOTIFY_BYTES)
		return;
	m->notified = m->event.bytes;
	m->event.kind = SFD_COPY_PROGRESS;
	sfd_copy_notify(m->service->listener, &m->event);
}

/* The stream into the pipe; when this returns the pipe is closed. */
static int stream(const struct sfd_push_service *s, int pipe, struct splitfd_source *source,
	bool named, struct moving *m, struct sfd_push_sent *sent, struct splitfd_error *err)
{
	const struct splitfd_splitdirfdstream_writer_options options = {
		.consumer_reads_all = true, /* or it gets no directory */
		.known_files = named ? splitfd_source_files(source) : NULL,
	};
	const struct sfd_push_pipe to = { .fd = pipe,
		.connection = sfd_varlink_socket(s->connection),
		.timeout_ms = s->timeout_ms,
		.cancel_fd = s->stop != NULL ? s->stop->fd : 0,
		.sent = &sent->stream };
	sfd_cleanup_sink struct splitfd_sink *sink = NULL;
	struct splitfd_output *output = NULL;
	int r = sfd_push_output_new(&to, &output, err);

	if (r == 0)
		r = splitfd_splitdirfdstream_writer_new(output, &options, &sink, err);
	if (r == 0)
		r = sfd_pump(source, sink, stop_flag(s), count, m, err);
	sent->tar = m->event.bytes;
	if (r == 0)
		r = splitfd_sink_finish(sink, err);
	/* Whatever it waited for then. */
	if (r == -ECANCELED)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, ECANCELED,
			"interrupted; what the service has not finished is not visible");
	return r;
}

/* The answer. `streamed` is how the stream went: where the service had enough of it, its answer
 * tells why. */
static int end(struct sfd_push_service *s, int streamed, const struct splitfd_error *stream_error,
	struct sfd_oci_put *ret, struct splitfd_error *err)
{
	int r;

	if (streamed < 0 && streamed != -EPIPE)
		return splitfd_error_copy(err, streamed, stream_error);
	r = sfd_oci_put_layer_result(s->connection, ret, err);
	/* Who has the layer need not read it. */
	if (r < 0 || streamed == 0 || ret->already_present)
		return r;
	return splitfd_error_copy(err, streamed, stream_error);
}

int sfd_push_layer(struct sfd_push_service *service, const char *diff_id,
	struct splitfd_source *source, size_t n, uint64_t total, struct sfd_oci_put *ret,
	struct sfd_push_sent *sent, struct splitfd_error *err)
{
	sfd_cleanup_source __attribute__((unused)) struct splitfd_source *owned = source;
	struct moving m = { service, { .layer = n, .id = diff_id, .total = total }, 0 };
	struct splitfd_error stream_error = { 0 };
	struct sfd_push_dirs dirs;
	int pipe = -EBADF;
	int r = sfd_push_dirs_make(&service->target, splitfd_source_files(source), &dirs, err);

	if (r == 0 && service->zerocopy && !dirs.named && splitfd_source_files(source) != NULL)
		r = splitfd_error_set(err, SPLITFD_ERROR_FAILED, EOPNOTSUPP,
			"the service cannot be given the directories, so without --zerocopy only");
	if (r == 0)
		r = begin(service, diff_id, &dirs, &pipe, err);
	if (r == 0) {
		r = stream(service, pipe, source, dirs.named, &m, sent, &stream_error);
		r = end(service, r, &stream_error, ret, err);
	}
	sfd_push_dirs_done(&dirs);
	return r;
}

int sfd_push_layer_fault(const struct sfd_push_service *service, const char *diff_id,
	struct splitfd_source *source, struct splitfd_error *err)
{
	const struct splitfd_verify_options options = { .diff_id = diff_id, .size = UINT64_MAX };
	sfd_cleanup_source struct splitfd_source *owned = source;
	sfd_cleanup_sink struct splitfd_sink *sink = NULL;
	int r = splitfd_verify_sink_new(NULL, &options, &sink, err);

	if (r == 0)
		r = splitfd_pump(owned, sink, stop_flag(service), err);
	return r == 0 ? splitfd_sink_finish(sink, err) : r;
}
