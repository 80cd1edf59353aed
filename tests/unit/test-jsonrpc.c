/* SPDX-License-Identifier: Apache-2.0 */
/* The connection of JSON-RPC: both ways, and peers that do not keep the rules. */
#include "tests/unit/jsonrpc-fixture.h"

#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

static const struct sfd_jsonrpc_options plain = {
	.fds_max = 600, .timeout_ms = 30000, .idle_ms = 30000
};

/* What the peer sends and closes after; the last receive's result. *ret_code is what to tell it. */
static int receive_all(const char *text, size_t len, size_t n_fds, int *ret_code)
{
	struct sfd_jsonrpc_message m;
	struct splitfd_error err = { 0 };
	struct ends e = connect_ends(&plain);
	int r;

	CHECK_INT(send_numbered(e.peer, text, len, 0, n_fds, 5000), 0);
	e.peer = sfd_close(e.peer);
	do {
		r = sfd_jsonrpc_receive(e.c, &m, &err);
		sfd_jsonrpc_message_done(&m);
	} while (r > 0);
	*ret_code = sfd_jsonrpc_failure(e.c);
	CHECK(r == 0 || (err.errnum == -r && err.text[0] != '\0'));
	CHECK_INT(sfd_jsonrpc_receive(e.c, &m, NULL), r);
	close_ends(&e);
	return r;
}

static const struct {
	const char *text;
	size_t n_fds;
	int result, code;
} streams[] = {
	{ " ", 0, 0, 0 },
	{ "{}", 0, 0, 0 },
	{ "{}{} \n{}\t", 0, 0, 0 },
	{ "{\"fds\":2}", 2, 0, 0 },
	{ "{\"fds\":2}  ", 2, 0, 0 },
	{ "{\"fds\":null}{\"fds\":0}", 0, 0, 0 },
	{ "{}{\"fds\":2}", 2, 0, 0 },
	{ "{}{\"fds\":2}{}", 2, 0, 0 },
	{ "{", 0, -ECONNRESET, 0 },
	{ "{}{\"a", 0, -ECONNRESET, 0 },
	{ "[]", 0, -EBADMSG, SFD_JSONRPC_PARSE_ERROR },
	{ "{\"a\":1}\n7", 0, -EBADMSG, SFD_JSONRPC_PARSE_ERROR },
	{ "hello", 0, -EBADMSG, SFD_JSONRPC_PARSE_ERROR },
	{ "{\"a\":\"\xff\"}", 0, -EBADMSG, SFD_JSONRPC_PARSE_ERROR },
	{ "{\"a\":\"\\ud800\"}", 0, -EBADMSG, SFD_JSONRPC_PARSE_ERROR },
	{ "{\"fds\":1}", 0, -EBADMSG, SFD_JSONRPC_FDS },
	{ "{\"fds\":3}", 2, -EBADMSG, SFD_JSONRPC_FDS },
	{ "{\"fds\":2}{}", 1, -EBADMSG, SFD_JSONRPC_FDS },
	{ "{\"fds\":1}", 2, -EBADMSG, SFD_JSONRPC_FDS },
	{ "{}", 1, -EBADMSG, SFD_JSONRPC_FDS },
	{ "  ", 1, -EBADMSG, SFD_JSONRPC_FDS },
	{ "{\"fds\":601}", 1, -EBADMSG, SFD_JSONRPC_FDS },
	{ "{\"fds\":-1}", 1, -EBADMSG, SFD_JSONRPC_FDS },
	{ "{\"fds\":1.5}", 1, -EBADMSG, SFD_JSONRPC_FDS },
	{ "{\"fds\":\"1\"}", 1, -EBADMSG, SFD_JSONRPC_FDS },
	{ "{\"fds\":[1]}", 1, -EBADMSG, SFD_JSONRPC_FDS },
	{ "{\"fds\":1e999}", 1, -EBADMSG, SFD_JSONRPC_FDS },
	{ "{\"fds\":1,\"fds\":1}", 1, -EBADMSG, SFD_JSONRPC_FDS },
};

TEST(streams)
{
	int before = open_fds();

	for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
		int code = 0;

		printf("# %zu: %zu descriptors\n", i, streams[i].n_fds);
		CHECK_INT(receive_all(streams[i].text, strlen(streams[i].text), streams[i].n_fds,
				  &code),
			streams[i].result);
		CHECK_INT(code, streams[i].code);
		CHECK_INT(open_fds(), before);
	}
}

static const struct {
	const char *text;
	enum sfd_jsonrpc_kind kind;
} kinds[] = {
	{ "{\"method\":\"m\",\"id\":1}", SFD_JSONRPC_REQUEST },
	{ "{\"method\":\"m\",\"id\":\"a\",\"jsonrpc\":\"2.0\"}", SFD_JSONRPC_REQUEST },
	{ "{\"method\":\"m\",\"id\":null}", SFD_JSONRPC_REQUEST },
	{ "{\"method\":\"m\",\"id\":-9007199254740991,\"x\":[]}", SFD_JSONRPC_REQUEST },
	{ "{\"method\":\"m\"}", SFD_JSONRPC_NOTIFICATION },
	{ "{\"result\":null,\"id\":1}", SFD_JSONRPC_RESPONSE },
	{ "{\"error\":{},\"id\":null}", SFD_JSONRPC_RESPONSE },
	{ "{}", SFD_JSONRPC_INVALID },
	{ "{\"id\":1}", SFD_JSONRPC_INVALID },
	{ "{\"method\":1,\"id\":1}", SFD_JSONRPC_INVALID },
	{ "{\"method\":\"m\",\"id\":1.5}", SFD_JSONRPC_INVALID },
	{ "{\"method\":\"m\",\"id\":1e30}", SFD_JSONRPC_INVALID },
	{ "{\"method\":\"m\",\"id\":[]}", SFD_JSONRPC_INVALID },
	{ "{\"method\":\"m\",\"id\":true}", SFD_JSONRPC_INVALID },
	{ "{\"method\":\"m\",\"id\":1,\"id\":2}", SFD_JSONRPC_INVALID },
	{ "{\"method\":\"m\",\"method\":\"n\"}", SFD_JSONRPC_INVALID },
};

TEST(kinds_of_messages)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct ends e = connect_ends(&plain);
		struct sfd_jsonrpc_message m;

		printf("# %s\n", kinds[i].text);
		say(&e, kinds[i].text);
		CHECK_INT(sfd_jsonrpc_receive(e.c, &m, NULL), 1);
		CHECK_INT(m.kind, kinds[i].kind);
		CHECK((m.why != NULL) == (m.kind == SFD_JSONRPC_INVALID));
		sfd_jsonrpc_message_done(&m);
		close_ends(&e);
	}
}

/* What the peer has been told, until nothing more comes. */
static const char *heard(const struct ends *e)
{
	static char text[4096];
	ssize_t n = recv(e->peer, text, sizeof(text) - 1, MSG_DONTWAIT);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

TEST(answers)
{
	static const struct {
		const char *id, *answer;
	} cases[] = {
		{ "1", "{\"jsonrpc\":\"2.0\",\"result\":true,\"id\":1}" },
		{ "9007199254740991",
			"{\"jsonrpc\":\"2.0\",\"result\":true,\"id\":9007199254740991}" },
		{ "-3.0", "{\"jsonrpc\":\"2.0\",\"result\":true,\"id\":-3}" },
		{ "\"a\\\"\\u00e9\"",
			"{\"jsonrpc\":\"2.0\",\"result\":true,\"id\":\"a\\\"\xc3\xa9\"}" },
		{ "null", "{\"jsonrpc\":\"2.0\",\"result\":true,\"id\":null}" },
	};
	const struct splitfd_error error = { .kind = SPLITFD_ERROR_NOT_FOUND, .text = "no \"x\"" };
	struct ends e = connect_ends(&plain);
	struct sfd_jsonrpc_message m;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[128];

		snprintf(text, sizeof(text), "{\"method\":\"m\",\"id\":%s}", cases[i].id);
		say(&e, text);
		CHECK_INT(sfd_jsonrpc_receive(e.c, &m, NULL), 1);
		CHECK_INT(sfd_jsonrpc_answer(e.c, &m, cJSON_CreateTrue(), 0, NULL), 0);
		CHECK_STR(heard(&e), cases[i].answer);
		sfd_jsonrpc_message_done(&m);
	}
	CHECK_INT(sfd_jsonrpc_answer_error(e.c, NULL, SFD_JSONRPC_FAILED, &error, NULL), 0);
	CHECK_STR(heard(&e),
		"{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32000,\"message\":\"no \\\"x\\\"\","
		"\"data\":{\"kind\":\"not-found\"}},\"id\":null}");
	close_ends(&e);
}

static int receive_one(struct ends *e, int *ret_code)
{
	struct sfd_jsonrpc_message m;
	int r = sfd_jsonrpc_receive(e->c, &m, NULL);

	sfd_jsonrpc_message_done(&m);
	*ret_code = sfd_jsonrpc_failure(e->c);
	close_ends(e);
	return r;
}

struct flood {
	int socket;
	const char *start, *more;
	size_t sent;
};

/* As much as the other side lets in, at most 100 MB. */
static void *flood(void *arg)
{
	struct flood *f = arg;
	char piece[4096];
	size_t unit = strlen(f->more);

	for (size_t i = 0; i < sizeof(piece); i++)
		piece[i] = f->more[i % unit];
	(void)splitfd_fds_send(f->socket, f->start, strlen(f->start), NULL, 0, 5000, NULL);
	while (f->sent < 100000000 &&
		splitfd_fds_send(f->socket, piece, sizeof(piece) - sizeof(piece) % unit, NULL, 0,
			5000, NULL) == 0)
		f->sent += sizeof(piece);
	return NULL;
}

TEST(floods)
{
	static const struct {
		const char *start, *more;
		int result, code;
	} cases[] = {
		{ "{\"a\":\"", "x", -EMSGSIZE, SFD_JSONRPC_INVALID_REQUEST },
		{ "{\"a\":", " ", -EMSGSIZE, SFD_JSONRPC_INVALID_REQUEST },
		{ "{\"a\":[", "[],", -E2BIG, SFD_JSONRPC_INVALID_REQUEST },
		{ "{\"a\":", "[", -E2BIG, SFD_JSONRPC_INVALID_REQUEST },
		{ "{\"a\":", "{\"a\":", -E2BIG, SFD_JSONRPC_INVALID_REQUEST },
		{ "{\"a\":", "9", -EMSGSIZE, SFD_JSONRPC_INVALID_REQUEST },
		{ "", " \n\t", -EMSGSIZE, SFD_JSONRPC_PARSE_ERROR },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ends e = connect_ends(&plain);
		struct flood f = {
			.socket = dup(e.peer), .start = cases[i].start, .more = cases[i].more
		};
		pthread_t thread;
		int code = 0;

		printf("# %zu\n", i);
		CHECK_INT(pthread_create(&thread, NULL, flood, &f), 0);
		CHECK_INT(receive_one(&e, &code), cases[i].result);
		CHECK_INT(code, cases[i].code);
		CHECK_INT(pthread_join(thread, NULL), 0);
		sfd_close(f.socket);
		CHECK(f.sent < 3000000);
	}
}

TEST(silence)
{
	static const struct sfd_jsonrpc_options hasty = { .timeout_ms = 30000, .idle_ms = 200 };
	struct sfd_jsonrpc_options patient = { .timeout_ms = 100, .fds_max = 9 };
	int event = eventfd(0, EFD_CLOEXEC), code = 0;
	struct ends e = connect_ends(&hasty);
	struct splitfd_error err = { 0 };
	struct sfd_jsonrpc_message m;

	CHECK_INT(receive_one(&e, &code), -ETIMEDOUT); /* idle_ms */
	e = connect_ends(&patient);
	say(&e, "{\"a\":");
	CHECK_INT(receive_one(&e, &code), -ETIMEDOUT);
	CHECK_INT(code, 0);
	e = connect_ends(&patient);
	say(&e, "{\"fds\":1}");
	CHECK_INT(receive_one(&e, &code), 1);
	e = connect_ends(&patient);
	say(&e, "{\"fds\":1}");
	CHECK_INT(sfd_jsonrpc_receive(e.c, &m, NULL), 1);
	sfd_jsonrpc_message_done(&m);
	CHECK_INT(take_number(e.c), -ETIMEDOUT);
	close_ends(&e);
	/* One that ends while it sends has failed, and is refused nothing. */
	e = connect_ends(&patient);
	say(&e, "{\"fds\":1}");
	CHECK_INT(sfd_jsonrpc_receive(e.c, &m, NULL), 1);
	sfd_jsonrpc_message_done(&m);
	e.peer = sfd_close(e.peer);
	CHECK_INT(sfd_jsonrpc_take_fd(e.c, &code, &err), -EBADMSG);
	CHECK_INT(err.kind, SPLITFD_ERROR_PEER);
	close_ends(&e);
	code = 0;
	patient.cancel_fd = event;
	CHECK_INT(eventfd_write(event, 1), 0);
	e = connect_ends(&patient);
	CHECK_INT(receive_one(&e, &code), -ECANCELED);
	patient.cancel_fd = eventfd(0, EFD_CLOEXEC);
	e = connect_ends(&patient);
	say(&e, "{\"fds\":1}");
	CHECK_INT(sfd_jsonrpc_receive(e.c, &m, NULL), 1);
	sfd_jsonrpc_message_done(&m);
	CHECK_INT(eventfd_write(patient.cancel_fd, 1), 0);
	CHECK_INT(take_number(e.c), -ECANCELED);
	close_ends(&e);
	sfd_close(patient.cancel_fd);
	sfd_close(event);
}

/* A peer that reads nothing of a long answer. */
TEST(reader_that_stops)
{
	const struct sfd_jsonrpc_options options = { .timeout_ms = 100 };
	struct ends e = connect_ends(&options);
	char *text = malloc(4000001);
	cJSON *m = cJSON_CreateObject();

	CHECK(text != NULL && m != NULL);
	memset(text, 'a', 4000000);
	text[4000000] = '\0';
	cJSON_AddStringToObject(m, "a", text);
	CHECK_INT(sfd_jsonrpc_send(e.c, m, 0, NULL), -ETIMEDOUT);
	e.peer = sfd_close(e.peer);
	CHECK_INT(sfd_jsonrpc_send(e.c, m, 0, NULL), -EPIPE);
	cJSON_Delete(m);
	free(text);
	close_ends(&e);
}

struct sender {
	struct sfd_jsonrpc *c;
	size_t n, batch;
	int result;
};

static void *send_many(void *arg)
{
	struct sender *s = arg;
	cJSON *m = cJSON_Parse("{\"method\":\"m\",\"id\":1}");

	s->result = sfd_jsonrpc_send(s->c, m, s->n, NULL);
	for (size_t i = 0; s->result == 0 && i < s->n; i += s->batch) {
		size_t n = s->batch < s->n - i ? s->batch : s->n - i;
		int fds[SPLITFD_FDS_MAX];

		for (size_t k = 0; k < n; k++)
			fds[k] = numbered_fd((uint32_t)(i + k));
		s->result = sfd_jsonrpc_send_fds(s->c, fds, n, NULL);
		for (size_t k = 0; k < n; k++)
			sfd_close(fds[k]);
	}
	cJSON_Delete(m);
	return NULL;
}

/* More descriptors than the receiver may ever have open. */
TEST(many_descriptors)
{
	const struct sfd_jsonrpc_options options = { .fds_max = 100000, .timeout_ms = 20000 };
	struct rlimit before, low = { .rlim_cur = 64, .rlim_max = 0 };
	struct ends e = connect_ends(&options), f = { 0 };
	struct sender s = { .n = 5000, .batch = 8 };
	struct sfd_jsonrpc_message m;
	pthread_t thread;

	CHECK_INT(sfd_jsonrpc_new(dup(e.peer), &options, &f.c, NULL), 0);
	s.c = f.c;
	CHECK_INT(getrlimit(RLIMIT_NOFILE, &before), 0);
	low.rlim_max = before.rlim_max;
	CHECK_INT(setrlimit(RLIMIT_NOFILE, &low), 0);
	CHECK_INT(pthread_create(&thread, NULL, send_many, &s), 0);
	CHECK_INT(sfd_jsonrpc_receive(e.c, &m, NULL), 1);
	CHECK_INT(m.n_fds, s.n);
	sfd_jsonrpc_message_done(&m);
	for (size_t i = 0; i < s.n; i++)
		CHECK_INT(take_number(e.c), i);
	CHECK_INT(take_number(e.c), -ENODATA);
	CHECK_INT(pthread_join(thread, NULL), 0);
	CHECK_INT(s.result, 0);
	CHECK_INT(setrlimit(RLIMIT_NOFILE, &before), 0);
	sfd_jsonrpc_free(f.c);
	close_ends(&e);
}

TEST(sender_keeps_its_word)
{
	struct ends e = connect_ends(&plain);
	cJSON *m = cJSON_Parse("{\"method\":\"m\"}");
	int fds[3] = { numbered_fd(0), numbered_fd(1), numbered_fd(2) };

	CHECK_INT(sfd_jsonrpc_send(e.c, m, 2, NULL), 0);
	CHECK_STR(heard(&e), "");
	CHECK_INT(sfd_jsonrpc_send(e.c, m, 0, NULL), -EBUSY);
	CHECK_INT(sfd_jsonrpc_send_fds(e.c, fds, 3, NULL), -EOVERFLOW);
	CHECK_INT(sfd_jsonrpc_send_fds(e.c, fds, 1, NULL), 0);
	CHECK_STR(heard(&e), "{\"method\":\"m\",\"fds\":2}");
	CHECK_INT(sfd_jsonrpc_send(e.c, m, 0, NULL), -EBUSY);
	CHECK_INT(sfd_jsonrpc_send_fds(e.c, fds, 1, NULL), 0);
	CHECK_STR(heard(&e), " ");
	CHECK_INT(sfd_jsonrpc_send_fds(e.c, fds, 1, NULL), -EOVERFLOW);
	for (int i = 0; i < 3; i++)
		sfd_close(fds[i]);
	cJSON_Delete(m);
	close_ends(&e);
}

TEST(sockets_of_another_kind)
{
	int pair[2];
	struct sfd_jsonrpc *c = NULL;

	CHECK_INT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	CHECK_INT(sfd_jsonrpc_new(pair[0], NULL, &c, NULL), -EPROTOTYPE);
	CHECK(fcntl(pair[0], F_GETFD) < 0);
	sfd_close(pair[1]);
	CHECK(sfd_jsonrpc_new(numbered_fd(0), NULL, &c, NULL) < 0);
	CHECK(sfd_jsonrpc_connect("", NULL, &c, NULL) == -EINVAL);
	CHECK(sfd_jsonrpc_connect("/nonexistent/socket", NULL, &c, NULL) == -ENOENT);
}
