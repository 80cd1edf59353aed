/* SPDX-License-Identifier: Apache-2.0 */
/* The varlink connection: both halves, and peers that do not keep the rules. */
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "transport/rpc/fdpass.h"
#include "transport/rpc/varlink.h"
#include "tests/unit/check.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define TIMEOUT_MS 2000

/* A connection and the raw socket at its other end. */
struct pair {
	struct sfd_varlink *v;
	int peer;
};

static struct pair make_pair(size_t message_max, size_t values_max, int timeout_ms, int cancel_fd)
{
	const struct sfd_varlink_options options = { .message_max = message_max,
		.values_max = values_max,
		.timeout_ms = timeout_ms,
		.idle_ms = timeout_ms,
		.cancel_fd = cancel_fd };
	struct pair p = { 0 };
	int fds[2];

	CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	p.peer = fds[1];
	CHECK_INT(sfd_varlink_new(fds[0], &options, &p.v, NULL), 0);
	return p;
}

static struct pair plain_pair(void)
{
	return make_pair(1000 * 1000, 1000, TIMEOUT_MS, 0);
}

static void end_pair(struct pair *p)
{
	sfd_varlink_free(p->v);
	sfd_close(p->peer);
}

static int open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 2048; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* An unnamed file of `size` bytes: its size tells which one it is. */
static int file_of_size(off_t size)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	CHECK(fd >= 0);
	CHECK_INT(ftruncate(fd, size), 0);
	return fd;
}

static void push_fds(int socket, const char *text, off_t first, size_t n)
{
	int fds[SPLITFD_FDS_MAX];

	for (size_t i = 0; i < n; i++)
		fds[i] = file_of_size(first + (off_t)i);
	CHECK_INT(splitfd_fds_send(socket, text, strlen(text) + 1, fds, n, TIMEOUT_MS, NULL), 0);
	for (size_t i = 0; i < n; i++)
		sfd_close(fds[i]);
}

static void push(int socket, const char *text)
{
	CHECK_INT(sfd_write_all(socket, text, strlen(text) + 1), 0);
}

/* The next message is {"m":NUMBER} with these files. */
static void expect(struct sfd_varlink *v, int number, off_t first, size_t n)
{
	struct sfd_varlink_message m;
	struct stat st;

	CHECK_INT(sfd_varlink_receive(v, &m, NULL), 1);
	CHECK_INT(cJSON_GetNumberValue(cJSON_GetObjectItem(m.json, "m")), number);
	CHECK_INT(m.n_fds, n);
	for (size_t i = 0; i < n; i++) {
		CHECK_INT(fstat(m.fds[i], &st), 0);
		CHECK_INT(st.st_size, first + (off_t)i);
		CHECK_INT(fcntl(m.fds[i], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	}
	sfd_varlink_message_done(&m);
}

TEST(descriptors_belong_to_the_message_they_came_with)
{
	struct pair p = plain_pair();
	int before = open_fds();

	push(p.peer, "{\"m\":1}");
	push(p.peer, "{\"m\":2}");
	push_fds(p.peer, "{\"m\":3}", 10, 2);
	push(p.peer, "{\"m\":4}");
	push_fds(p.peer, "{\"m\":5}", 20, SPLITFD_FDS_MAX);
	push_fds(p.peer, "{\"m\":6}", 30, 1);
	expect(p.v, 1, 0, 0);
	expect(p.v, 2, 0, 0);
	expect(p.v, 3, 10, 2);
	expect(p.v, 4, 0, 0);
	expect(p.v, 5, 20, SPLITFD_FDS_MAX);
	expect(p.v, 6, 30, 1);
	CHECK_INT(open_fds(), before);
	end_pair(&p);
}

TEST(descriptors_of_a_message_in_pieces)
{
	struct pair p = plain_pair();
	int fd = file_of_size(7), other = file_of_size(8);

	CHECK_INT(sfd_write_all(p.peer, "{\"m\":1}\0{\"m", 11), 0);
	CHECK_INT(splitfd_fds_send(p.peer, "\":", 2, &fd, 1, TIMEOUT_MS, NULL), 0);
	CHECK_INT(splitfd_fds_send(p.peer, "2}", 3, &other, 1, TIMEOUT_MS, NULL), 0);
	sfd_close(fd);
	sfd_close(other);
	expect(p.v, 1, 0, 0);
	expect(p.v, 2, 7, 2);
	end_pair(&p);
}

TEST(descriptors_that_nobody_takes_are_closed)
{
	int before = open_fds();
	struct pair p = plain_pair();

	push_fds(p.peer, "{\"m\":1}", 1, 5);
	push_fds(p.peer, "{\"m\":2}", 1, 5);
	expect(p.v, 1, 1, 5);
	push_fds(p.peer, "{broken", 1, 5);
	CHECK_INT(sfd_write_all(p.peer, "", 0), 0);
	end_pair(&p);
	CHECK_INT(open_fds(), before);
}

TEST(too_many_descriptors_for_one_message)
{
	struct pair p = plain_pair();
	struct sfd_varlink_message m;
	int before = open_fds();

	push_fds(p.peer, "{\"m\":1}", 1, 1);
	expect(p.v, 1, 1, 1);
	for (int i = 0; i < 3; i++) {
		int fds[100];

		for (size_t k = 0; k < 100; k++)
			fds[k] = file_of_size(1);
		CHECK_INT(splitfd_fds_send(p.peer, " ", 1, fds, 100, TIMEOUT_MS, NULL), 0);
		for (size_t k = 0; k < 100; k++)
			sfd_close(fds[k]);
	}
	CHECK_INT(sfd_varlink_receive(p.v, &m, NULL), -EBADMSG);
	sfd_varlink_message_done(&m);
	end_pair(&p);
	CHECK_INT(open_fds(), before - 2);
}

/* -EBADMSG, and the connection lives on. */
static void refused(const char *text, size_t len)
{
	struct pair p = plain_pair();
	struct sfd_varlink_message m;

	CHECK_INT(sfd_write_all(p.peer, text, len), 0);
	push(p.peer, "{\"m\":9}");
	CHECK_INT(sfd_varlink_receive(p.v, &m, NULL), -EBADMSG);
	sfd_varlink_message_done(&m);
	expect(p.v, 9, 0, 0);
	end_pair(&p);
}

TEST(broken_messages_are_refused_one_by_one)
{
	static const char *const bad[] = { "", "{", "}", "{\"m\":1", "{\"m\":1}}", "{\"m\":1} x",
		"[1]", "1", "null", "\"m\"", "{\"m\":\"\xff\"}", "{\"m\":\"a\\u0000b\"}",
		"{\"m\":\"\\\"}", "{\"m\" 1}", "\xef\xbb\xbf[]" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refused(bad[i], strlen(bad[i]) + 1);
}

TEST(deep_and_wide_messages_are_refused)
{
	char text[9000];
	size_t n = 0;

	memcpy(text, "{\"m\":", 5);
	memset(text + 5, '[', 64);
	memset(text + 5 + 64, ']', 64);
	memcpy(text + 5 + 128, "}", 2);
	refused(text, 5 + 128 + 2);
	n = 0;
	memcpy(text, "{\"m\":[0", 7);
	for (n = 7; n < 7 + 2 * 1100; n += 2)
		memcpy(text + n, ",0", 2);
	memcpy(text + n, "]}", 3);
	refused(text, n + 3);
}

TEST(depth_in_strings_does_not_count)
{
	struct pair p = plain_pair();

	push(p.peer, "{\"x\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
		     "[[[[[[[[[[[[[[[[[[[[[[\\\"{{{{\\\\\",\"m\":3}");
	expect(p.v, 3, 0, 0);
	end_pair(&p);
}

static int receive_code(struct sfd_varlink *v)
{
	struct sfd_varlink_message m;
	int r = sfd_varlink_receive(v, &m, NULL);

	sfd_varlink_message_done(&m);
	return r;
}

static void *flood(void *ctx)
{
	char data[4096];

	memset(data, ' ', sizeof(data));
	while (send(*(int *)ctx, data, sizeof(data), MSG_NOSIGNAL) > 0)
		;
	return NULL;
}

TEST(no_end_of_a_message_is_bounded)
{
	struct pair p = make_pair(1000 * 1000, 0, TIMEOUT_MS, 0);
	pthread_t thread;

	CHECK_INT(pthread_create(&thread, NULL, flood, &p.peer), 0);
	CHECK_INT(receive_code(p.v), -EMSGSIZE);
	p.v = sfd_varlink_free(p.v);
	CHECK_INT(pthread_join(thread, NULL), 0);
	end_pair(&p);
}

TEST(the_bound_is_exact)
{
	struct pair p = make_pair(8, 0, TIMEOUT_MS, 0);

	push(p.peer, "{\"m\":12}");
	push(p.peer, "{\"m\":123}");
	expect(p.v, 12, 0, 0);
	CHECK_INT(receive_code(p.v), -EMSGSIZE);
	end_pair(&p);
}

TEST(silence_and_ends)
{
	struct pair p = make_pair(0, 0, 50, 0);

	CHECK_INT(receive_code(p.v), -ETIMEDOUT);
	CHECK_INT(sfd_write_all(p.peer, "{", 1), 0);
	CHECK_INT(receive_code(p.v), -ETIMEDOUT);
	p.peer = sfd_close(p.peer);
	CHECK_INT(receive_code(p.v), -ECONNRESET);
	end_pair(&p);
	p = plain_pair();
	push(p.peer, "{\"m\":1}");
	p.peer = sfd_close(p.peer);
	expect(p.v, 1, 0, 0);
	CHECK_INT(receive_code(p.v), 0);
	end_pair(&p);
}

static void *drip(void *ctx)
{
	while (send(*(int *)ctx, " ", 1, MSG_NOSIGNAL) > 0)
		usleep(20 * 1000);
	return NULL;
}

TEST(a_peer_that_drips_wins_no_time)
{
	struct pair p = make_pair(0, 0, 200, 0);
	pthread_t thread;

	CHECK_INT(pthread_create(&thread, NULL, drip, &p.peer), 0);
	CHECK_INT(receive_code(p.v), -ETIMEDOUT);
	p.v = sfd_varlink_free(p.v);
	CHECK_INT(pthread_join(thread, NULL), 0);
	end_pair(&p);
}

TEST(cancel_ends_waiting)
{
	int cancel = eventfd(1, EFD_CLOEXEC);
	struct pair p = make_pair(0, 0, 0, cancel);

	CHECK_INT(receive_code(p.v), -ECANCELED);
	end_pair(&p);
	sfd_close(cancel);
}

/* CloseRepository is one: who was interrupted still lets go of what the service locks for it. */
TEST(a_last_word_after_cancel)
{
	int cancel = eventfd(1, EFD_CLOEXEC);
	struct pair p = make_pair(0, 0, 0, cancel);
	cJSON *word = cJSON_CreateObject();
	char text[8];

	CHECK_INT(sfd_varlink_send(p.v, word, NULL, 0, NULL), 0);
	CHECK_INT(recv(p.peer, text, sizeof(text), 0), 3);
	/* One that would have to wait does not. */
	while (send(sfd_varlink_socket(p.v), text, 1, MSG_DONTWAIT) > 0)
		;
	CHECK_INT(sfd_varlink_send(p.v, word, NULL, 0, NULL), -ECANCELED);
	cJSON_Delete(word);
	end_pair(&p);
	sfd_close(cancel);
}

TEST(a_peer_that_stops_reading)
{
	struct pair p = make_pair(0, 0, 100, 0);
	cJSON *big = cJSON_CreateObject();
	char *text = calloc(1, 4000001);

	CHECK(text != NULL);
	memset(text, 'x', 4000000);
	CHECK(cJSON_AddStringToObject(big, "m", text) != NULL);
	free(text);
	CHECK_INT(sfd_varlink_send(p.v, big, NULL, 0, NULL), -ETIMEDOUT);
	p.peer = sfd_close(p.peer);
	CHECK_INT(sfd_varlink_send(p.v, big, NULL, 0, NULL), -EPIPE);
	cJSON_Delete(big);
	end_pair(&p);
}

TEST(only_stream_sockets)
{
	struct sfd_varlink *v = NULL;
	int fds[2], before = open_fds();

	CHECK_INT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	CHECK_INT(sfd_varlink_new(fds[0], NULL, &v, NULL), -EPROTOTYPE);
	sfd_close(fds[1]);
	CHECK(sfd_varlink_new(open("/dev/null", O_RDONLY | O_CLOEXEC), NULL, &v, NULL) < 0);
	CHECK_INT(open_fds(), before);
}

/* A service for one client: answers by the method's name. */
static void *service(void *ctx)
{
	struct sfd_varlink *v = ctx;
	struct sfd_varlink_call call;
	int fds[2] = { file_of_size(1), file_of_size(2) };

	while (sfd_varlink_next_call(v, &call, NULL) == 1) {
		cJSON *answer = cJSON_CreateObject();

		cJSON_AddNumberToObject(answer, "n", (double)call.message.n_fds);
		if (strcmp(call.method, "x.More") == 0) {
			sfd_varlink_answer(
				v, &call, cJSON_Duplicate(answer, 1), true, fds, 2, NULL);
			sfd_varlink_answer(v, &call, answer, false, fds, 1, NULL);
		} else if (strcmp(call.method, "x.Fail") == 0) {
			cJSON_AddStringToObject(answer, "message", "so it is");
			sfd_varlink_answer_error(v, &call, "x.NoSuchLayer", answer, NULL);
		} else {
			sfd_varlink_answer(v, &call, answer, false, NULL, 0, NULL);
		}
		sfd_varlink_call_done(&call);
	}
	sfd_varlink_call_done(&call);
	sfd_close(fds[0]);
	sfd_close(fds[1]);
	sfd_varlink_free(v);
	return NULL;
}

TEST(calls_and_replies)
{
	struct sfd_varlink_reply reply;
	struct splitfd_error err = { 0 };
	struct sfd_varlink *client = NULL;
	struct pair p = plain_pair();
	int fd = file_of_size(3);
	pthread_t thread;

	CHECK_INT(sfd_varlink_new(p.peer, NULL, &client, NULL), 0);
	CHECK_INT(pthread_create(&thread, NULL, service, p.v), 0);
	CHECK_INT(sfd_varlink_call(client, "x.Quiet", NULL, SFD_VARLINK_ONEWAY, NULL, 0, NULL), 0);
	CHECK_INT(
		sfd_varlink_call_simple(client, "x.Y", cJSON_CreateObject(), &fd, 1, &reply, NULL),
		0);
	CHECK_INT(cJSON_GetNumberValue(cJSON_GetObjectItem(reply.parameters, "n")), 1);
	sfd_varlink_reply_done(&reply);
	CHECK_INT(sfd_varlink_call(client, "x.More", NULL, SFD_VARLINK_MORE, NULL, 0, NULL), 0);
	for (int i = 0; i < 2; i++) {
		CHECK_INT(sfd_varlink_reply(client, &reply, NULL), 0);
		CHECK_INT(reply.continues, i == 0);
		CHECK_INT(reply.message.n_fds, 2 - i);
		sfd_varlink_reply_done(&reply);
	}
	CHECK_INT(
		sfd_varlink_call_simple(client, "x.Fail", NULL, NULL, 0, &reply, &err), -EREMOTEIO);
	CHECK_INT(err.kind, SPLITFD_ERROR_NOT_FOUND);
	CHECK(strcmp(err.text, "x.Fail: x.NoSuchLayer: so it is") == 0);
	sfd_varlink_reply_done(&reply);
	sfd_varlink_free(client);
	CHECK_INT(pthread_join(thread, NULL), 0);
	sfd_close(fd);
}

static void refused_call(const char *text)
{
	struct pair p = plain_pair();
	struct sfd_varlink_call call;

	push(p.peer, text);
	push(p.peer, "{\"method\":\"a.B\"}");
	CHECK_INT(sfd_varlink_next_call(p.v, &call, NULL), -EBADMSG);
	sfd_varlink_call_done(&call);
	CHECK_INT(sfd_varlink_next_call(p.v, &call, NULL), 1);
	CHECK(strcmp(call.method, "a.B") == 0);
	CHECK(call.parameters == NULL && !call.more && !call.oneway);
	sfd_varlink_call_done(&call);
	end_pair(&p);
}

TEST(what_is_no_call)
{
	refused_call("{}");
	refused_call("{\"method\":1}");
	refused_call("{\"method\":\"a.B\",\"parameters\":[]}");
	refused_call("{\"method\":\"a.B\",\"more\":1}");
	refused_call("{\"method\":\"a.B\",\"oneway\":\"yes\"}");
	refused_call("{\"method\":\"a.B\",\"upgrade\":true}");
}
