/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection of varlink whose peer sends any bytes, once to a service and once to a client.
 */
#include "tests/fuzz/socket-pieces.h"
#include "transport/rpc/varlink.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
	send_pieces(pair[1], pair[1], data, size);
	if (sfd_varlink_new(pair[0], &options, &v, &err) == 0) {
		r = half(v, &err);
		assert(r == 0 || (err.errnum == -r && err.text[0] != '\0'));
	}
	sfd_varlink_free(v);
	close(pair[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int before = lowest_free_fd();

	if (size > SIZE_MAX_SENT || before < 0)
		return 0;
	run(data, size, serve);
	run(data, size, ask);
	assert(lowest_free_fd() == before);
	return 0;
}
