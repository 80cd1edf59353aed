/* SPDX-License-Identifier: Apache-2.0 */
/* The client of JSON-RPC, and the answer to GetSplitFDStream as a stream. */
#include "splitfdstream/splitfdstream-reader.h"
#include "tests/unit/jsonrpc-fixture.h"

#include <endian.h>
#include <errno.h>

static const struct sfd_jsonrpc_options plain = {
	.fds_max = 600, .timeout_ms = 500, .idle_ms = 500
};

/* A call that is answered so; the text of an error is in err. */
static int call(struct ends *e, const char *answer, struct splitfd_error *err)
{
	struct sfd_jsonrpc_message m;
	int r;

	say(e, answer);
	r = sfd_jsonrpc_call(e->c, "Do", cJSON_Parse("{\"a\":1}"), &m, err);
	if (r == 0)
		CHECK(m.result != NULL);
	sfd_jsonrpc_message_done(&m);
	return r;
}

TEST(calls)
{
	struct ends e = connect_ends(&plain);
	struct splitfd_error err = { 0 };
	char request[256];
	ssize_t n;

	CHECK_OK(call(&e, "{\"result\":{},\"id\":1}", &err), &err);
	n = recv(e.peer, request, sizeof(request) - 1, MSG_DONTWAIT);
	CHECK(n > 0);
	request[n] = '\0';
	CHECK_STR(request, "{\"jsonrpc\":\"2.0\",\"method\":\"Do\",\"params\":{\"a\":1},\"id\":1}");
	CHECK_OK(call(&e, "{\"method\":\"news\"}{\"result\":null,\"id\":2}", &err), &err);
	close_ends(&e);
}

TEST(errors_of_the_service)
{
	static const struct {
		const char *answer;
		int result;
		enum splitfd_error_kind kind;
		const char *text;
	} cases[] = {
		{ "{\"error\":{\"code\":-32601,\"message\":\"no such\"},\"id\":1}", -EREMOTEIO,
			SPLITFD_ERROR_FAILED, "Do: the service answers -32601: no such" },
		{ "{\"error\":{\"code\":-32700,\"message\":\"what?\"},\"id\":null}", -EREMOTEIO,
			SPLITFD_ERROR_FAILED, "Do: the service answers -32700: what?" },
		{ "{\"error\":{\"code\":1,\"message\":\"\\u001b[1m\",\"data\":{\"kind\":\"not-"
		  "found\"}},"
		  "\"id\":1}",
			-EREMOTEIO, SPLITFD_ERROR_NOT_FOUND,
			"Do: the service answers 1: \\x1b[1m" },
		{ "{\"error\":{\"data\":{\"kind\":\"refused\"}},\"id\":1}", -EREMOTEIO,
			SPLITFD_ERROR_REFUSED, "Do: the service answers 0: no reason given" },
		{ "{\"error\":5,\"id\":1}", -EREMOTEIO, SPLITFD_ERROR_FAILED,
			"Do: the service answers 0: no reason given" },
		{ "{\"result\":1,\"id\":2}", -EBADMSG, SPLITFD_ERROR_REFUSED, NULL },
		{ "{\"result\":1,\"id\":\"1\"}", -EBADMSG, SPLITFD_ERROR_REFUSED, NULL },
		{ "{\"result\":1,\"id\":null}", -EBADMSG, SPLITFD_ERROR_REFUSED, NULL },
		{ "{\"result\":1}", -EBADMSG, SPLITFD_ERROR_REFUSED, NULL },
		{ "{\"error\":null,\"id\":1}", -EBADMSG, SPLITFD_ERROR_REFUSED, NULL },
		{ "{\"method\":\"m\",\"id\":1}", -EBADMSG, SPLITFD_ERROR_REFUSED, NULL },
		{ "{\"id\":1}", -EBADMSG, SPLITFD_ERROR_REFUSED, NULL },
		{ "oops", -EBADMSG, SPLITFD_ERROR_REFUSED, NULL },
		{ "{", -ETIMEDOUT, SPLITFD_ERROR_PEER, NULL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ends e = connect_ends(&plain);
		struct splitfd_error err = { 0 };

		printf("# %zu\n", i);
		CHECK_INT(call(&e, cases[i].answer, &err), cases[i].result);
		CHECK_INT(err.kind, cases[i].kind);
		if (cases[i].text != NULL)
			CHECK_STR(err.text, cases[i].text);
		close_ends(&e);
	}
}

TEST(service_that_chatters_or_leaves)
{
	struct ends e = connect_ends(&plain);
	struct splitfd_error err = { 0 };

	for (int i = 0; i < 100; i++)
		say(&e, "{\"method\":\"news\"}");
	CHECK_INT(call(&e, " ", &err), -EBADMSG);
	close_ends(&e);
	e = connect_ends(&plain);
	CHECK_INT(shutdown(e.peer, SHUT_WR), 0);
	CHECK_INT(sfd_jsonrpc_call(e.c, "Do", cJSON_CreateObject(),
			  &(struct sfd_jsonrpc_message){ 0 }, &err),
		-ECONNRESET);
	close_ends(&e);
}

/* A stream in a file: "ab", then `n` descriptors, in the order that `indices` gives (NULL: theirs).
 */
static int stream_file(const int64_t *indices, size_t n)
{
	int fd = memfd_create("stream", MFD_CLOEXEC);
	uint64_t prefix = htole64((uint64_t)-2);

	CHECK(fd >= 0);
	CHECK_INT(sfd_write_all(fd, &prefix, 8), 0);
	CHECK_INT(sfd_write_all(fd, "ab", 2), 0);
	for (size_t i = 0; i < n; i++) {
		prefix = htole64(indices != NULL ? (uint64_t)indices[i] : i);
		CHECK_INT(sfd_write_all(fd, &prefix, 8), 0);
	}
	return fd;
}

/* The service's answer with the stream's file (taken) and `n` numbered descriptors. */
static void send_stream(struct ends *e, int stream, size_t n)
{
	char text[64];

	snprintf(text, sizeof(text), "{\"result\":{},\"id\":1,\"fds\":%zu}", n + 1);
	CHECK_INT(splitfd_fds_send(e->peer, text, strlen(text), &stream, 1, 1000, NULL), 0);
	sfd_close(stream);
	for (size_t i = 0; i < n; i += 100)
		CHECK_INT(send_numbered(
				  e->peer, " ", 1, (uint32_t)i, n - i < 100 ? n - i : 100, 1000),
			0);
}

/* Reads the stream of the answer; returns the count of files, or what failed. */
static int read_stream(struct ends *e, uint64_t size, struct splitfd_error *err)
{
	struct sfd_jsonrpc_message m;
	struct splitfd_input *input = NULL;
	struct splitfd_source *source = NULL;
	struct splitfd_chunk chunk;
	uint32_t n = 0, number = 0;
	int r = sfd_jsonrpc_call(e->c, "Get", cJSON_CreateObject(), &m, err);

	CHECK_OK(r, err);
	r = sfd_jsonrpc_input_new(e->c, m.n_fds, size, &input, err);
	sfd_jsonrpc_message_done(&m);
	if (r == 0)
		r = splitfd_splitfdstream_reader_new(input, &source, err);
	while (r >= 0 && (r = splitfd_source_next(source, &chunk, err)) > 0) {
		if (chunk.kind != SPLITFD_CHUNK_FILE)
			continue;
		r = sfd_pread_full(chunk.fd, &number, 4, 0);
		splitfd_chunk_clear(&chunk);
		if (number != n++)
			r = -EILSEQ;
	}
	splitfd_source_free(source);
	return r < 0 ? r : (int)n;
}

TEST(streams)
{
	const int64_t twice[] = { 0, 0 }, skipped[] = { 0, 2 }, late[] = { 0, 1, 2 };
	static const struct {
		size_t n_indices, n_fds;
		int64_t more;
		int result;
	} cases[] = {
		{ 0, 0, 0, 0 },
		{ 1, 1, 0, 1 },
		{ 450, 450, 0, 450 },
		{ 2, 3, 0, -EBADMSG },
		{ 0, 1, 0, -EBADMSG },
		{ 3, 2, 0, -EBADF },
		{ 1, 1, 1, -EINVAL },
		{ 1, 1, -1, -EINVAL },
	};
	struct splitfd_error err = { 0 };
	int before = open_fds();

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ends e = connect_ends(&plain);
		uint64_t size = 10 + 8 * cases[i].n_indices + (uint64_t)cases[i].more;

		printf("# %zu\n", i);
		send_stream(&e, stream_file(NULL, cases[i].n_indices), cases[i].n_fds);
		CHECK_INT(read_stream(&e, size, &err), cases[i].result);
		close_ends(&e);
	}
	for (int i = 0; i < 3; i++) {
		const int64_t *indices = i == 0 ? twice : i == 1 ? skipped : late;
		size_t n = i == 2 ? 3 : 2;
		struct ends e = connect_ends(&plain);

		send_stream(&e, stream_file(indices, n), 2);
		CHECK(read_stream(&e, 10 + 8 * n, &err) < 0);
		close_ends(&e);
	}
	CHECK_INT(open_fds(), before);
}

TEST(stream_that_is_no_file)
{
	struct ends e = connect_ends(&plain);
	struct splitfd_error err = { 0 };
	int tube[2];

	CHECK_INT(pipe2(tube, O_CLOEXEC), 0);
	send_stream(&e, tube[0], 0);
	CHECK(read_stream(&e, 10, &err) < 0);
	CHECK_INT(err.kind, SPLITFD_ERROR_REFUSED);
	sfd_close(tube[1]);
	close_ends(&e);
	e = connect_ends(&plain);
	say(&e, "{\"result\":{},\"id\":1}");
	CHECK_INT(read_stream(&e, 10, &err), -EBADMSG);
	close_ends(&e);
}
