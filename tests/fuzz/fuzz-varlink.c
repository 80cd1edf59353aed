/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection of varlink whose peer sends any bytes, once to a service and once to a client. Bytes
 * 1 to 8 are not sent: they end a write and say how many descriptors, less one, are attached to the
 * next.
 */
#include "transport/rpc/fdpass.h"
#include "transport/rpc/varlink.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
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

static void check_fds(const struct sfd_varlink_message *m)
{
	assert(m->n_fds <= SFD_VARLINK_FDS_MAX);
	for (size_t i = 0; i < m->n_fds; i++)
		assert(fcntl(m->fds[i], F_GETFD) == FD_CLOEXEC);
}

/* Until the connection ends; -EBADMSG is of one message only. */
static int serve(struct sfd_varlink *v, struct splitfd_error *err)
{
	struct sfd_varlink_call call = { 0 };
	int r;

	while ((r = sfd_varlink_next_call(v, &call, err)) > 0 || r == -EBADMSG) {
		check_fds(&call.message);
		if (r > 0) {
			assert(call.method != NULL && cJSON_IsObject(call.message.json));
			assert(call.parameters == NULL || cJSON_IsObject(call.parameters));
			(void)sfd_varlink_answer(v, &call, NULL, call.more, NULL, 0, NULL);
		}
		sfd_varlink_call_done(&call);
	}
	sfd_varlink_call_done(&call);
	return r;
}

static int ask(struct sfd_varlink *v, struct splitfd_error *err)
{
	struct sfd_varlink_reply reply = { 0 };
	int r;

	while ((r = sfd_varlink_reply(v, &reply, err)) == 0 || r == -EBADMSG) {
		check_fds(&reply.message);
		if (r == 0) {
			int checked = sfd_varlink_reply_check(&reply, "org.example.Do", NULL);

			assert((checked < 0) == (reply.error != NULL));
		}
		sfd_varlink_reply_done(&reply);
	}
	sfd_varlink_reply_done(&reply);
	return r;
}

static void run(const uint8_t *data, size_t size,
	int (*half)(struct sfd_varlink *v, struct splitfd_error *err))
{
	const struct sfd_varlink_options options = {
		.message_max = 4096, .values_max = 100, .timeout_ms = 1000
	};
	struct splitfd_error err = { 0 };
	struct sfd_varlink *v = NULL;
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return;
	send_pieces(pair[1], data, size);
	if (sfd_varlink_new(pair[0], &options, &v, &err) == 0) {
		r = half(v, &err);
		assert(r == 0 || (err.errnum == -r && err.text[0] != '\0'));
	}
	sfd_varlink_free(v);
	close(pair[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int before = dup(0), after;

	if (size > SIZE_MAX_SENT || before < 0)
		return 0;
	close(before);
	run(data, size, serve);
	run(data, size, ask);
	/* Nothing was left open: the lowest free number is what it was. */
	after = dup(0);
	assert(after == before);
	close(after);
	return 0;
}
