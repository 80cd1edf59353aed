/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection of JSON-RPC whose peer sends any bytes. Bytes 1 to 8 are not sent: they end a write
 * and say how many descriptors, less one, are attached to the next.
 */
#include "splitfdstream/base/fd.h"
#include "transport/rpc/fdpass.h"
#include "transport/rpc/jsonrpc.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

/* What any socket holds without a reader. */
#define SIZE_MAX_SENT	16384
#define WRITES_MAX_SENT 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* All of it is on its way when this returns. */
static void send_pieces(int socket, const uint8_t *data, size_t size)
{
	const int fds[7] = { socket, socket, socket, socket, socket, socket, socket };
	size_t n_fds = 0, from = 0, writes = 0;

	for (size_t i = 0; i <= size && writes < WRITES_MAX_SENT; i++) {
		if (i < size && (data[i] == 0 || data[i] > 8))
			continue;
		if (i > from)
			(void)splitfd_fds_send(
				socket, data + from, i - from, fds, n_fds, 1000, NULL);
		writes += i > from;
		n_fds = i < size ? (size_t)data[i] - 1 : 0;
		from = i + 1;
	}
	(void)shutdown(socket, SHUT_WR);
}

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct sfd_jsonrpc_options options = {
		.message_max = 4096, .values_max = 100, .fds_max = 16, .timeout_ms = 1000
	};
	struct sfd_jsonrpc_message m;
	struct splitfd_error err = { 0 };
	struct sfd_jsonrpc *c;
	int pair[2], next = dup(0), r;

	if (size > SIZE_MAX_SENT || next < 0)
		return 0;
	close(next);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return 0;
	send_pieces(pair[1], data, size);
	if (sfd_jsonrpc_new(pair[0], &options, &c, &err) < 0)
		return 0;
	while ((r = sfd_jsonrpc_receive(c, &m, &err)) > 0) {
		handle(c, &m);
		sfd_jsonrpc_message_done(&m);
	}
	assert(r == 0 || (err.errnum == -r && err.text[0] != '\0'));
	assert(sfd_jsonrpc_receive(c, &m, NULL) == r);
	sfd_jsonrpc_message_done(&m);
	sfd_jsonrpc_free(c);
	close(pair[1]);
	/* Nothing was left open: the lowest free number is what it was. */
	r = dup(0);
	assert(r == next);
	close(r);
	return 0;
}
