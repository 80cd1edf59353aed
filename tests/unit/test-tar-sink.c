/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/base/fd.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/digest.h"
#include "tests/unit/check.h"
#include "tests/unit/gzip-memfd.h"
#include "tests/unit/temp-dir.h"
#include "transport/tar/tar-sink.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

enum { BIG = 3000001 };

static struct splitfd_error err;
static uint8_t big[BIG];

static struct splitfd_chunk file_chunk(const void *data, size_t n)
{
	struct splitfd_chunk chunk = { .kind = SPLITFD_CHUNK_FILE, .size = n, .name = "f" };

	chunk.fd = memfd_new(data, n);
	chunk.has_crc64 = true;
	chunk.crc64 = splitfd_crc64(0, data, n);
	return chunk;
}

static struct splitfd_chunk inline_chunk(const void *data, size_t n)
{
	return (struct splitfd_chunk){ .data = data, .data_len = n, .fd = -EBADF };
}

/* Reads all of a descriptor in a thread of its own, slowly and in odd pieces. */
struct reader {
	int fd;
	uint8_t *data;
	size_t n;
};

static void *read_all(void *arg)
{
	struct reader *reader = arg;
	ssize_t got;

	while ((got = read(reader->fd, reader->data + reader->n, 70001)) > 0)
		reader->n += (size_t)got;
	return NULL;
}

static int put_all(int fd, const struct sfd_tar_sink_options *options)
{
	struct splitfd_chunk chunks[] = {
		inline_chunk("head", 4),
		file_chunk(big, 100),
		inline_chunk("middle", 6),
		file_chunk(big, BIG),
		inline_chunk(big, 400000),
		file_chunk(big, 65536),
		inline_chunk("tail", 4),
	};
	struct splitfd_sink *sink = NULL;
	int r = sfd_tar_sink_new(fd, options, &sink, &err);

	for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
		if (r >= 0)
			r = splitfd_sink_put(sink, &chunks[i], &err);
		splitfd_chunk_clear(&chunks[i]);
	}
	if (r >= 0)
		r = splitfd_sink_finish(sink, &err);
	else if (sink != NULL)
		CHECK_INT(splitfd_sink_finish(sink, NULL), r);
	splitfd_sink_free(sink);
	return r;
}

static size_t expected(uint8_t *all)
{
	size_t n = 0;

#define ADD(data, len) (memcpy(all + n, (data), (len)), n += (len))
	ADD("head", 4);
	ADD(big, 100);
	ADD("middle", 6);
	ADD(big, BIG);
	ADD(big, 400000);
	ADD(big, 65536);
	ADD("tail", 4);
	return n;
}

static int timeout_ms = -1;
static uint8_t all[2 * BIG], got[2 * BIG];

static struct sfd_tar_sink_options options(int variant, char *text)
{
	size_t n = expected(all);

	CHECK_INT(splitfd_sha256_text(all, n, text, NULL), 0);
	return (struct sfd_tar_sink_options){
		.check_crc64 = variant > 0,
		.diff_id = variant > 1 ? text : NULL,
		.size = variant > 0 ? n : UINT64_MAX,
		.timeout_ms = timeout_ms,
	};
}

static void fill(void)
{
	for (size_t i = 0; i < BIG; i++)
		big[i] = (uint8_t)(i * 7 + i / 251);
}

/* Through a pipe (0), a socket (1), or one of these non-blocking (2, 3). */
static void through(int kind, int variant)
{
	struct reader reader = { .data = got };
	char text[72];
	struct sfd_tar_sink_options o = options(variant, text);
	int fds[2];
	pthread_t thread;

	CHECK_INT(kind % 2 == 0 ? pipe2(fds, O_CLOEXEC)
				: socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds),
		0);
	if (kind >= 2)
		CHECK_INT(fcntl(fds[1], F_SETFL, O_NONBLOCK | O_WRONLY), 0);
	reader.fd = fds[0];
	CHECK_INT(pthread_create(&thread, NULL, read_all, &reader), 0);
	CHECK_OK(put_all(fds[1], &o), &err);
	close(fds[1]);
	pthread_join(thread, NULL);
	close(fds[0]);
	CHECK_INT(reader.n, expected(all));
	CHECK(memcmp(got, all, reader.n) == 0);
}

TEST(pipes_and_sockets)
{
	fill();
	for (int kind = 0; kind < 4; kind++)
		for (int variant = 0; variant < 3; variant++)
			through(kind, variant);
	timeout_ms = 20000;
	for (int kind = 0; kind < 4; kind++)
		for (int variant = 0; variant < 3; variant++)
			through(kind, variant);
	timeout_ms = -1;
}

/* The pipe itself stays a blocking one: its flags are everybody's. */
TEST(a_reader_that_stops_reading)
{
	char text[72];

	fill();
	timeout_ms = 50;
	for (int kind = 0; kind < 4; kind++) {
		struct sfd_tar_sink_options o = options(kind / 2, text);
		int fds[2];

		CHECK_INT(kind % 2 == 0 ? pipe2(fds, O_CLOEXEC)
					: socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds),
			0);
		CHECK_INT(put_all(fds[1], &o), -ETIMEDOUT);
		CHECK_INT(err.kind, SPLITFD_ERROR_PEER);
		CHECK_STR(err.text, "the reader of the tar accepted no data for 50 ms");
		CHECK_INT(fcntl(fds[1], F_GETFL) & O_NONBLOCK, 0);
		close(fds[0]);
		close(fds[1]);
	}
	timeout_ms = -1;
}

TEST(a_file_from_its_offset)
{
	char text[72];

	fill();
	temp_make();
	for (int variant = 0; variant < 3; variant++) {
		struct sfd_tar_sink_options o = options(variant, text);
		int fd = open(temp_path("out"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

		CHECK_INT(sfd_write_all(fd, "before", 6), 0);
		CHECK_OK(put_all(fd, &o), &err);
		CHECK_INT(lseek(fd, 0, SEEK_END), 6 + expected(all));
		CHECK_INT(sfd_pread_full(fd, got, expected(all), 6), 0);
		CHECK(memcmp(got, all, expected(all)) == 0);
		close(fd);
	}
	/* copy_file_range cannot append. */
	int fd = open(temp_path("out"), O_RDWR | O_TRUNC | O_APPEND | O_CLOEXEC);
	struct sfd_tar_sink_options o = options(0, text);

	CHECK_OK(put_all(fd, &o), &err);
	CHECK_INT(sfd_pread_full(fd, got, expected(all), 0), 0);
	CHECK(memcmp(got, all, expected(all)) == 0);
	close(fd);
}

TEST(what_is_not_the_layer)
{
	char text[72];
	struct sfd_tar_sink_options o = options(2, text);
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	fill();
	o.diff_id = "sha256:"
		    "0000000000000000000000000000000000000000000000000000000000000000";
	CHECK_INT(put_all(fd, &o), -EBADMSG);
	o = options(1, text);
	o.size--;
	CHECK_INT(put_all(fd, &o), -EBADMSG);
	o.size += 2;
	CHECK_INT(put_all(fd, &o), -EBADMSG);
	o.diff_id = "sha512:00";
	CHECK_INT(put_all(fd, &o), -EINVAL);
	close(fd);
}

static int put_one(struct splitfd_chunk *chunk, bool check)
{
	struct sfd_tar_sink_options o = {
		.check_crc64 = check, .size = UINT64_MAX, .timeout_ms = -1
	};
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC), r;
	struct splitfd_sink *sink = NULL;

	CHECK_OK(sfd_tar_sink_new(fd, &o, &sink, &err), &err);
	r = splitfd_sink_put(sink, chunk, &err);
	CHECK_INT(chunk->fd, -EBADF);
	splitfd_sink_free(sink);
	close(fd);
	return r;
}

TEST(files_that_are_not_the_layers)
{
	static const size_t sizes[] = { 10, 100000 };

	fill();
	for (size_t i = 0; i < 2; i++) {
		struct splitfd_chunk chunk = file_chunk(big, sizes[i]);

		chunk.crc64++;
		CHECK_INT(put_one(&chunk, true), -EBADMSG);
		chunk = file_chunk(big, sizes[i]);
		chunk.crc64++;
		CHECK_INT(put_one(&chunk, false), 0);
		chunk = file_chunk(big, sizes[i]);
		chunk.size++;
		CHECK_INT(put_one(&chunk, true), -EINVAL);
		chunk = file_chunk(big, sizes[i]);
		chunk.size--;
		CHECK_INT(put_one(&chunk, false), -EINVAL);
	}
}

TEST(a_reader_that_goes_away)
{
	char text[72];

	fill();
	signal(SIGPIPE, SIG_IGN);
	for (int variant = 0; variant < 3; variant++) {
		struct sfd_tar_sink_options o = options(variant, text);
		int fds[2];

		CHECK_INT(pipe2(fds, O_CLOEXEC), 0);
		close(fds[0]);
		CHECK_INT(put_all(fds[1], &o), -EPIPE);
		CHECK_INT(err.kind, SPLITFD_ERROR_PEER);
		close(fds[1]);
	}
}

TEST(a_full_disk)
{
	char text[72];
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	fill();
	for (int variant = 0; variant < 3; variant++) {
		struct sfd_tar_sink_options o = options(variant, text);

		CHECK_INT(put_all(fd, &o), -ENOSPC);
	}
	close(fd);
}
