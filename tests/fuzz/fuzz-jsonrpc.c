/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection of JSON-RPC whose peer sends any bytes, once to a service and once to a client that
 * asked for a layer. Each descriptor is the same file, a stream of two bytes and the files 0 and 1.
 */
#include "splitfdstream/base/fd.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/splitfdstream-reader.h"
#include "tests/fuzz/socket-pieces.h"
#include "transport/rpc/jsonrpc.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define STREAM_SIZE 26

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Does with a message what services and clients do. */
static void handle(struct sfd_jsonrpc *c, const struct sfd_jsonrpc_message *m)
{
	uint64_t wanted = m->n_fds > 2 ? m->n_fds - 1 : m->n_fds;
	int fd = -EBADF, r = 0;

	assert(m->json != NULL && cJSON_IsObject(m->json));
	assert((m->why != NULL) == (m->kind == SFD_JSONRPC_INVALID));
	if (m->kind == SFD_JSONRPC_REQUEST)
		assert(m->method != NULL && m->id != NULL);
	if (m->kind == SFD_JSONRPC_RESPONSE)
		assert(m->result != NULL || m->error != NULL);
	for (uint64_t i = 0; r == 0 && i < wanted; i++) {
		r = sfd_jsonrpc_take_fd(c, &fd, NULL);
		if (r == 0)
			fd = sfd_close(fd);
	}
	if (m->kind == SFD_JSONRPC_REQUEST)
		(void)sfd_jsonrpc_answer(c, m, cJSON_CreateTrue(), 0, NULL);
}

static int serve(struct sfd_jsonrpc *c, struct splitfd_error *err)
{
	struct sfd_jsonrpc_message m;
	int r;

	while ((r = sfd_jsonrpc_receive(c, &m, err)) > 0) {
		handle(c, &m);
		sfd_jsonrpc_message_done(&m);
	}
	assert(sfd_jsonrpc_receive(c, &m, NULL) == r);
	return r;
}

/* The layer of an answer. */
static int read_layer(
	struct sfd_jsonrpc *c, const struct sfd_jsonrpc_message *answer, struct splitfd_error *err)
{
	struct splitfd_input *input = NULL;
	struct splitfd_source *source = NULL;
	struct splitfd_chunk chunk;
	int r = sfd_jsonrpc_input_new(c, answer->n_fds, STREAM_SIZE, &input, err);

	if (r == 0)
		r = splitfd_splitfdstream_reader_new(input, &source, err);
	if (r < 0)
		return r;
	while ((r = splitfd_source_next(source, &chunk, err)) > 0) {
		assert(chunk.kind != SPLITFD_CHUNK_FILE || chunk.size == STREAM_SIZE);
		splitfd_chunk_clear(&chunk);
	}
	splitfd_source_free(source);
	return r;
}

static int ask(struct sfd_jsonrpc *c, struct splitfd_error *err)
{
	struct sfd_jsonrpc_message answer;
	int r;

	do {
		r = sfd_jsonrpc_call(c, "GetSplitFDStream", cJSON_CreateObject(), &answer, err);
		if (r == 0) {
			assert(answer.kind == SFD_JSONRPC_RESPONSE && answer.result != NULL);
			(void)read_layer(c, &answer, NULL);
		}
		sfd_jsonrpc_message_done(&answer);
	} while (r == 0);
	return r;
}

static void run(int file, const uint8_t *data, size_t size,
	int (*half)(struct sfd_jsonrpc *c, struct splitfd_error *err))
{
	const struct sfd_jsonrpc_options options = {
		.message_max = 4096, .values_max = 100, .fds_max = 16, .timeout_ms = 1000
	};
	struct splitfd_error err = { 0 };
	struct sfd_jsonrpc *c = NULL;
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return;
	send_pieces(pair[1], file, data, size);
	if (sfd_jsonrpc_new(pair[0], &options, &c, &err) == 0) {
		r = half(c, &err);
		assert(r == 0 || (err.errnum == -r && err.text[0] != '\0'));
	}
	sfd_jsonrpc_free(c);
	close(pair[1]);
}

static int make_file(void)
{
	const uint64_t stream[3] = { htole64((uint64_t)-2), htole64(0), htole64(1) };
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd >= 0 &&
		(sfd_pwrite_all(fd, stream, 8, 0) < 0 || sfd_pwrite_all(fd, "ab", 2, 8) < 0 ||
			sfd_pwrite_all(fd, stream + 1, 16, 10) < 0))
		fd = sfd_close(fd);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int before = lowest_free_fd(), file;

	if (size > SIZE_MAX_SENT || before < 0)
		return 0;
	file = make_file();
	if (file < 0)
		return 0;
	run(file, data, size, serve);
	run(file, data, size, ask);
	close(file);
	assert(lowest_free_fd() == before);
	return 0;
}
