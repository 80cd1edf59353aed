/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/cmds/layer-channel.h"
#include "shim/common/cancel.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/clock.h"
#include "splitfdstream/reconstruct.h"
#include "splitfdstream/wire-formats.h"
#include "transport/rpc/peer-opener.h"
#include "transport/rpc/fdpass.h"
#include "transport/tar/tar-sink.h"
#include "transport/tar/tar-source.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct sfd_wire_format *wire_format(const struct sfd_channel_options *o)
{
	return sfd_wire_format_by_name(o->format != NULL ? o->format : "splitfdstream");
}

int sfd_channel_kind(
	const struct sfd_channel_options *o, enum sfd_channel_kind *ret, struct splitfd_error *err)
{
	bool is_wire = wire_format(o) != NULL, is_tar = !is_wire && strcmp(o->format, "tar") == 0;

	*ret = is_wire ? SFD_CHANNEL_WIRE : is_tar ? SFD_CHANNEL_TAR : SFD_CHANNEL_SPLITSTREAM;
	if (is_wire || is_tar || strcmp(o->format, "splitstream") == 0)
		return 0;
	return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
		"--format is splitfdstream, splitdirfdstream, tar or splitstream, not '%s'",
		o->format);
}

static int duplicate(int fd, const char *what, struct splitfd_error *err)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	if (copy < 0 && errno != EBADF && errno != EINVAL)
		return splitfd_error_sys(err, errno, "%s: cannot use descriptor %d", what, fd);
	return copy >= 0 ? copy
			 : splitfd_error_set(err, SPLITFD_ERROR_USAGE, errno,
				   "%s: there is no descriptor %d", what, fd);
}

/* The pair for a channel: a copy of the stream's end and one of the socket. */
static int duplicate_both(const struct sfd_channel_options *o, int stream, int *ret_stream,
	int *ret_socket, struct splitfd_error *err)
{
	sfd_cleanup_fd int copy = duplicate(stream, "the stream", err), socket = -EBADF;
	int r;

	if (copy < 0)
		return copy;
	r = socket = duplicate((int)o->fds, "--fds", err);
	if (r >= 0)
		r = splitfd_fds_check_socket(socket, "--fds", NULL, err);
	if (r < 0)
		return r;
	*ret_stream = sfd_take_fd(&copy);
	*ret_socket = sfd_take_fd(&socket);
	return 0;
}

/* Frames around everything that is written. */
struct framer {
	struct splitfd_output base;
	struct splitfd_output *inner;
};

static int framer_write(struct splitfd_output *output, const void *data, size_t n, const int *fds,
	size_t n_fds, struct splitfd_error *err)
{
	struct framer *f = (struct framer *)output;
	uint32_t le = htole32((uint32_t)n);
	int r;

	if (n == 0 && n_fds == 0)
		return 0;
	r = f->inner->ops->write(f->inner, &le, n > 0 ? sizeof(le) : 0, fds, n_fds, err);
	return r < 0 || n == 0 ? r : f->inner->ops->write(f->inner, data, n, NULL, 0, err);
}

static void framer_free(struct splitfd_output *output)
{
	struct framer *f = (struct framer *)output;

	splitfd_output_free(f->inner);
	free(f);
}

static int add_frames(struct splitfd_output **output, struct splitfd_error *err)
{
	static const struct splitfd_output_ops ops = { .write = framer_write, .free = framer_free };
	struct framer *f = calloc(1, sizeof(*f));

	if (f == NULL) {
		*output = splitfd_output_free(*output);
		return splitfd_error_oom(err);
	}
	f->base.ops = &ops;
	f->base.fd_batch = (*output)->fd_batch;
	f->inner = *output;
	*output = &f->base;
	return 0;
}

int sfd_channel_output(const struct sfd_channel_options *o, bool frames,
	struct splitfd_output **ret, struct splitfd_error *err)
{
	int timeout = sfd_timeout_ms(o->timeout), stream, socket, r;

	if (o->fds >= 0) {
		r = duplicate_both(o, STDOUT_FILENO, &stream, &socket, err);
		if (r >= 0)
			r = splitfd_output_channel_new(stream, socket, 0, timeout, ret, err);
	} else {
		r = stream = duplicate(STDOUT_FILENO, "standard output", err);
		if (r >= 0 && splitfd_fds_check_socket(stream, "", NULL, NULL) >= 0)
			r = splitfd_output_socket_new(stream, 0, timeout, ret, err);
		else if (r >= 0)
			r = splitfd_output_new(stream, timeout, ret, err);
	}
	if (r >= 0)
		(*ret)->cancel_fd = sfd_cancel_fd();
	return r >= 0 && frames ? add_frames(ret, err) : r;
}

int sfd_output_bytes(void *ctx, const void *data, size_t n, struct splitfd_error *err)
{
	struct splitfd_output *output = ctx;

	return output->ops->write(output, data, n, NULL, 0, err);
}

/* The tar as bytes on an output, for which the reconstructing sink has no owner. */
struct tar_writer {
	struct splitfd_sink base;
	struct splitfd_sink *inner;
	struct splitfd_output *output;
};

static int tar_put(
	struct splitfd_sink *sink, struct splitfd_chunk *chunk, struct splitfd_error *err)
{
	return splitfd_sink_put(((struct tar_writer *)sink)->inner, chunk, err);
}

static int tar_finish(struct splitfd_sink *sink, struct splitfd_error *err)
{
	return splitfd_sink_finish(((struct tar_writer *)sink)->inner, err);
}

static void tar_free(struct splitfd_sink *sink)
{
	struct tar_writer *w = (struct tar_writer *)sink;

	splitfd_sink_free(w->inner);
	splitfd_output_free(w->output);
	free(w);
}

static int tar_writer_new(
	struct splitfd_output *output, struct splitfd_sink **ret, struct splitfd_error *err)
{
	static const struct splitfd_sink_ops ops = { tar_put, tar_finish, tar_free };
	struct tar_writer *w = calloc(1, sizeof(*w));
	int r;

	if (w == NULL) {
		splitfd_output_free(output);
		return splitfd_error_oom(err);
	}
	w->base.ops = &ops;
	w->output = output;
	r = splitfd_reconstruct_sink_new(sfd_output_bytes, output, &w->inner, err);
	if (r < 0) {
		tar_free(&w->base);
		return r;
	}
	*ret = &w->base;
	return 0;
}

int sfd_channel_writer(const struct sfd_channel_options *o, struct splitfd_output *output,
	struct splitfd_sink **ret, struct splitfd_error *err)
{
	const struct splitfd_splitdirfdstream_writer_options options = {
		.inline_max = (uint64_t)o->inline_max,
		.consumer_reads_all = o->reads_all,
	};
	enum sfd_channel_kind kind;
	int r = sfd_channel_kind(o, &kind, err);

	if (r >= 0 && kind == SFD_CHANNEL_WIRE)
		return wire_format(o)->writer_new(output, &options, ret, err);
	if (r >= 0 && kind == SFD_CHANNEL_TAR)
		return tar_writer_new(output, ret, err);
	splitfd_output_free(output);
	return r < 0 ? r
		     : splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			       "--format=splitstream needs --objects");
}

int sfd_channel_tar(
	const struct sfd_channel_options *o, struct splitfd_sink **ret, struct splitfd_error *err)
{
	const struct sfd_tar_sink_options options = {
		.check_crc64 = o->verify,
		.size = UINT64_MAX,
		.timeout_ms = sfd_timeout_ms(o->timeout),
		.cancel_fd = sfd_cancel_fd(),
	};
	int type;

	/* A reader would lose what of a packet does not fit into its buffer. */
	if (splitfd_fds_check_socket(STDOUT_FILENO, "", &type, NULL) >= 0 && type == SOCK_SEQPACKET)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EPROTOTYPE,
			"a tar is a stream of bytes, but standard output is a socket of packets "
			"(SOCK_SEQPACKET); give a pipe or a SOCK_STREAM socket");
	return sfd_tar_sink_new(STDOUT_FILENO, &options, ret, err);
}

static int open_input(const struct sfd_channel_options *o, int timeout, struct splitfd_input **ret,
	struct splitfd_error *err)
{
	int stream, socket, r;

	if (o->fds >= 0) {
		r = duplicate_both(o, STDIN_FILENO, &stream, &socket, err);
		return r < 0 ? r : splitfd_input_channel_new(stream, socket, timeout, ret, err);
	}
	stream = duplicate(STDIN_FILENO, "standard input", err);
	if (stream < 0)
		return stream;
	if (splitfd_fds_check_socket(stream, "", NULL, NULL) >= 0)
		return splitfd_input_socket_new(stream, timeout, ret, err);
	return splitfd_input_new(stream, NULL, 0, timeout, ret, err);
}

static int open_wire(const struct sfd_channel_options *o, enum sfd_channel_kind kind, int spool_dir,
	struct splitfd_source **ret, struct splitfd_error *err)
{
	const struct splitfd_splitdirfdstream_reader_options options = { .spool_dir = spool_dir,
		.files_new = o->opener != NULL ? sfd_peer_opener_files : NULL,
		.files_ctx = o->opener };
	int timeout = sfd_timeout_ms(o->timeout), fd, r;
	struct splitfd_input *input;

	if (kind == SFD_CHANNEL_TAR) {
		fd = duplicate(STDIN_FILENO, "standard input", err);
		return fd < 0 ? fd : sfd_archive_source_new(fd, timeout, sfd_cancel_fd(), ret, err);
	}
	r = open_input(o, timeout, &input, err);
	if (r < 0)
		return r;
	input->cancel_fd = sfd_cancel_fd();
	return wire_format(o)->reader_new(input, &options, ret, err);
}

int sfd_channel_source(const struct sfd_channel_options *o, int spool_dir,
	struct splitfd_source **ret, struct splitfd_error *err)
{
	/* 64 KiB: what the importer takes in memory as well as in a file. */
	const struct sfd_tar_source_options options = {
		.inline_content_max = (size_t)64 * 1024,
		.spool_dir = spool_dir,
	};
	enum sfd_channel_kind kind;
	struct splitfd_source *wire;
	int r = sfd_channel_kind(o, &kind, err);

	if (r >= 0)
		r = open_wire(o, kind, spool_dir, &wire, err);
	return r < 0 ? r : sfd_tar_source_new(wire, &options, ret, err);
}
