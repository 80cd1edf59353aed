/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors over sockets: both ways, both socket types, and peers that do not keep the rules. */
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/reconstruct.h"
#include "splitfdstream/splitfdstream-reader.h"
#include "splitfdstream/splitfdstream-writer.h"
#include "transport/rpc/fdpass.h"
#include "tests/unit/check.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define N_FILES 700

static int file_of(const char *text)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	CHECK(fd >= 0);
	CHECK_INT(sfd_write_all(fd, text, strlen(text)), 0);
	return fd;
}

static int open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* A pair of ends for a stream: attached over one socket, or pipe and channel. */
struct ends {
	int out, out_channel, in, in_channel;
};

static struct ends make_ends(int type, bool attached)
{
	struct ends e = { .out_channel = -EBADF, .in_channel = -EBADF };
	int pair[2], tube[2];

	CHECK_INT(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair), 0);
	e.out = pair[0];
	e.in = pair[1];
	if (!attached) {
		CHECK_INT(pipe2(tube, O_CLOEXEC), 0);
		e.in_channel = e.in;
		e.out_channel = e.out;
		e.in = tube[0];
		e.out = tube[1];
	}
	return e;
}

static int make_input(struct ends e, int timeout, struct splitfd_input **ret)
{
	return e.in_channel < 0 ? splitfd_input_socket_new(e.in, timeout, ret, NULL)
				: splitfd_input_channel_new(e.in, e.in_channel, timeout, ret, NULL);
}

static int make_output(struct ends e, size_t batch, struct splitfd_output **ret)
{
	return e.out_channel < 0
		       ? splitfd_output_socket_new(e.out, batch, 10000, ret, NULL)
		       : splitfd_output_channel_new(e.out, e.out_channel, batch, 10000, ret, NULL);
}

struct producer {
	struct ends ends;
	size_t batch;
	int result;
};

static int produce_files(struct splitfd_sink *sink)
{
	int r = 0;

	for (int i = 0; r >= 0 && i < N_FILES; i++) {
		char text[16];
		struct splitfd_chunk chunk = {
			.data = (const uint8_t *)"-", .data_len = 1, .fd = -EBADF
		};

		r = splitfd_sink_put(sink, &chunk, NULL);
		snprintf(text, sizeof(text), "%04d", i);
		chunk = (struct splitfd_chunk){
			.kind = SPLITFD_CHUNK_FILE, .size = 4, .fd = memfd_create("f", MFD_CLOEXEC)
		};
		if (r >= 0)
			r = sfd_write_all(chunk.fd, text, 4);
		if (r >= 0)
			r = splitfd_sink_put(sink, &chunk, NULL);
	}
	return r < 0 ? r : splitfd_sink_finish(sink, NULL);
}

static void *produce(void *arg)
{
	struct producer *p = arg;
	struct splitfd_output *output;
	struct splitfd_sink *sink;

	p->result = make_output(p->ends, p->batch, &output);
	if (p->result >= 0)
		p->result = splitfd_splitfdstream_writer_new(output, NULL, &sink, NULL);
	if (p->result >= 0) {
		p->result = produce_files(sink);
		splitfd_sink_free(sink);
	}
	return NULL;
}

struct expect {
	int at;
	size_t n;
};

static int compare(void *ctx, const void *data, size_t n, struct splitfd_error *err)
{
	struct expect *x = ctx;
	char want[16];

	x->n += n;
	if (n == 1)
		return 0;
	snprintf(want, sizeof(want), "%04d", x->at++);
	return n == 4 && memcmp(data, want, 4) == 0
		       ? 0
		       : splitfd_error_set(err, SPLITFD_ERROR_FAILED, EBADMSG, "wrong content");
}

static void round_trip(int type, bool attached, size_t batch)
{
	struct producer p = { .ends = make_ends(type, attached), .batch = batch };
	struct splitfd_error err = { 0 };
	struct expect x = { 0 };
	struct splitfd_input *input;
	struct splitfd_source *source;
	struct splitfd_sink *sink;
	pthread_t thread;
	int r;

	CHECK_INT(make_input(p.ends, 10000, &input), 0);
	CHECK_INT(pthread_create(&thread, NULL, produce, &p), 0);
	CHECK_INT(splitfd_splitfdstream_reader_new(input, &source, &err), 0);
	CHECK_INT(splitfd_reconstruct_sink_new(compare, &x, &sink, &err), 0);
	r = splitfd_pump(source, sink, NULL, &err);
	splitfd_source_free(source);
	splitfd_sink_free(sink);
	CHECK_INT(pthread_join(thread, NULL), 0);
	CHECK_OK(r, &err);
	CHECK_INT(p.result, 0);
	CHECK_INT(x.n, N_FILES * 5);
	CHECK_INT(x.at, N_FILES);
}

TEST(every_way_under_a_limit_of_64)
{
	static const int types[] = { SOCK_SEQPACKET, SOCK_STREAM };
	struct rlimit limit, low;
	int before = open_fds();

	CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), 0);
	low = limit;
	low.rlim_cur = 64;
	CHECK_INT(setrlimit(RLIMIT_NOFILE, &low), 0);
	for (int i = 0; i < 4; i++) {
		round_trip(types[i % 2], i >= 2, 0);
		round_trip(types[i % 2], i >= 2, 1);
	}
	CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
	CHECK_INT(open_fds(), before);
}

/* A consumer of what a misbehaving producer left on pipe and channel; its end is closed. */
static int consume_until(struct ends e, int cancel_fd, struct splitfd_error *err)
{
	struct splitfd_input *input;
	struct splitfd_source *source;
	struct splitfd_chunk chunk = { .fd = -EBADF };
	int r;

	*err = (struct splitfd_error){ 0 };
	CHECK_INT(make_input(e, cancel_fd > 0 ? -1 : 200, &input), 0);
	input->cancel_fd = cancel_fd;
	CHECK_INT(splitfd_splitfdstream_reader_new(input, &source, err), 0);
	while ((r = splitfd_source_next(source, &chunk, err)) > 0)
		splitfd_chunk_clear(&chunk);
	splitfd_source_free(source);
	return r;
}

static int consume(struct ends e, struct splitfd_error *err)
{
	return consume_until(e, 0, err);
}

static void send_index(const struct ends *e, uint64_t index)
{
	uint64_t le = htole64(index);

	CHECK_INT(sfd_write_all(e->out, &le, sizeof(le)), 0);
}

static void send_files(const struct ends *e, size_t n)
{
	int fds[4];

	for (size_t i = 0; i < n; i++)
		fds[i] = file_of("x");
	CHECK_INT(splitfd_fds_send(e->out_channel, "", 1, fds, n, 1000, NULL), 0);
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}

static void hang_up(const struct ends *e)
{
	close(e->out);
	sfd_close(e->out_channel);
}

static void refused(struct ends e, const char *why)
{
	struct splitfd_error err;

	hang_up(&e);
	CHECK(consume(e, &err) < 0);
	CHECK_INT(err.kind, SPLITFD_ERROR_REFUSED);
	if (strstr(err.text, why) == NULL)
		CHECK_STR(err.text, why);
}

TEST(indices_out_of_order)
{
	struct ends e = make_ends(SOCK_SEQPACKET, false);
	int before = open_fds();

	send_files(&e, 3);
	send_index(&e, 0);
	send_index(&e, 0);
	refused(e, "byte 8: descriptor 0 is referred to where 1 has to come (it was used before)");
	e = make_ends(SOCK_STREAM, false);
	send_files(&e, 3);
	send_index(&e, 1);
	refused(e, "byte 0: descriptor 1 is referred to where 0 has to come (one was skipped)");
	CHECK_INT(open_fds(), before - 4);
}

TEST(missing_and_extra_descriptors)
{
	struct ends e = make_ends(SOCK_SEQPACKET, false);

	send_index(&e, 0);
	refused(e, "closed before it came");
	e = make_ends(SOCK_STREAM, false);
	send_files(&e, 2);
	send_index(&e, 0);
	refused(e, "1 more descriptors came");
	e = make_ends(SOCK_SEQPACKET, false);
	send_files(&e, 1);
	send_index(&e, 0);
	send_files(&e, 2);
	refused(e, "2 more descriptors came");
	e = make_ends(SOCK_SEQPACKET, false);
	CHECK_INT(splitfd_fds_send(e.out_channel, "", 1, NULL, 0, 1000, NULL), 0);
	send_index(&e, 0);
	refused(e, "brought none");
	e = make_ends(SOCK_STREAM, true);
	send_index(&e, 0);
	refused(e, "did not come with the bytes");
}

TEST(a_silent_peer)
{
	struct splitfd_error err;
	struct ends e = make_ends(SOCK_SEQPACKET, false);

	CHECK_INT(consume(e, &err), -ETIMEDOUT);
	CHECK_INT(err.kind, SPLITFD_ERROR_PEER);
	hang_up(&e);
	e = make_ends(SOCK_SEQPACKET, false);
	send_index(&e, 0);
	CHECK_INT(consume(e, &err), -ETIMEDOUT);
	hang_up(&e);
	e = make_ends(SOCK_STREAM, true);
	CHECK_INT(consume(e, &err), -ETIMEDOUT);
	hang_up(&e);
}

/* On a stream beside its channel, and on one that is the channel. */
TEST(waiting_that_is_cancelled)
{
	int cancel = eventfd(1, EFD_CLOEXEC);
	struct splitfd_error err;
	struct ends e = make_ends(SOCK_SEQPACKET, false);

	CHECK_INT(consume_until(e, cancel, &err), -ECANCELED);
	CHECK_INT(err.kind, SPLITFD_ERROR_FAILED);
	hang_up(&e);
	e = make_ends(SOCK_STREAM, true);
	CHECK_INT(consume_until(e, cancel, &err), -ECANCELED);
	hang_up(&e);
	close(cancel);
}

TEST(a_producer_whose_peer_is_gone_or_silent)
{
	struct splitfd_error err = { 0 };
	static const char bytes[4096];
	struct ends e = make_ends(SOCK_STREAM, true);
	int r;

	do
		r = splitfd_fds_send(e.out, bytes, sizeof(bytes), NULL, 0, 100, &err);
	while (r == 0);
	CHECK_INT(r, -ETIMEDOUT);
	close(e.in);
	CHECK_INT(splitfd_fds_send(e.out, bytes, sizeof(bytes), NULL, 0, 100, &err), -EPIPE);
	CHECK_INT(err.kind, SPLITFD_ERROR_PEER);
	close(e.out);
}

TEST(messages_that_hold_too_much)
{
	struct splitfd_error err = { 0 };
	struct ends e = make_ends(SOCK_SEQPACKET, false);
	int before = open_fds(), fds[4];
	char byte;
	size_t n;

	CHECK_INT(splitfd_fds_send(e.out_channel, "ab", 2, NULL, 0, 100, &err), 0);
	CHECK(splitfd_fds_receive(e.in_channel, &byte, 1, fds, 4, &n, 100, &err) < 0);
	CHECK_INT(err.kind, SPLITFD_ERROR_REFUSED);
	send_files(&e, 3);
	CHECK(splitfd_fds_receive(e.in_channel, &byte, 1, fds, 2, &n, 100, &err) < 0);
	CHECK_INT(open_fds(), before);
	hang_up(&e);
	close(e.in);
	close(e.in_channel);
}

TEST(more_descriptors_than_the_limit)
{
	struct splitfd_error err = { 0 };
	struct ends e = make_ends(SOCK_SEQPACKET, false);
	struct rlimit limit, low;
	int before = open_fds(), fds[4], r;
	char byte;
	size_t n;

	send_files(&e, 4);
	CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), 0);
	low = limit;
	low.rlim_cur = (rlim_t)e.in_channel + 2;
	CHECK_INT(setrlimit(RLIMIT_NOFILE, &low), 0);
	r = (int)splitfd_fds_receive(e.in_channel, &byte, 1, fds, 4, &n, 100, &err);
	CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
	CHECK_INT(r, -EMFILE);
	CHECK(strstr(err.text, "ulimit -n") != NULL);
	CHECK_INT(open_fds(), before);
	hang_up(&e);
	close(e.in);
	close(e.in_channel);
}

TEST(no_socket)
{
	struct splitfd_error err = { 0 };

	CHECK(splitfd_fds_check_socket(0, "--fds=0", NULL, &err) < 0);
	CHECK_INT(err.kind, SPLITFD_ERROR_USAGE);
}
