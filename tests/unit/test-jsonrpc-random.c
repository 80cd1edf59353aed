/* SPDX-License-Identifier: Apache-2.0 */
/* Any messages, cut into any writes, their descriptors attached in any way that is allowed. */
#include "tests/unit/jsonrpc-fixture.h"

#include <pthread.h>

#define MESSAGES 40

struct script {
	unsigned int seed;
	char *texts[MESSAGES];
	size_t n_fds[MESSAGES];
};

static unsigned int below(unsigned int *seed, unsigned int n)
{
	return (unsigned int)rand_r(seed) % n;
}

static cJSON *random_value(unsigned int *seed, int depth)
{
	static const char *const strings[] = { "", "}", "{", "\"", "\\", "\\\"}",
		"gr\xc3\xbc\xc3\x9f", "\xf0\x9f\x98\x80", "a\nb\tc", "]]", " ", "\\u0041" };
	cJSON *item;

	switch (below(seed, depth > 0 ? 7 : 5)) {
	case 0:
		return cJSON_CreateNumber((double)below(seed, 100000) / 16.0 - 1000.0);
	case 1:
		return cJSON_CreateBool((int)below(seed, 2));
	case 2:
		return cJSON_CreateNull();
	case 3:
	case 4:
		return cJSON_CreateString(strings[below(seed, 12)]);
	case 5:
		item = cJSON_CreateArray();
		for (unsigned int n = below(seed, 5); n > 0; n--)
			cJSON_AddItemToArray(item, random_value(seed, depth - 1));
		return item;
	default:
		item = cJSON_CreateObject();
		for (unsigned int n = below(seed, 5); n > 0; n--) {
			char name[8];

			snprintf(name, sizeof(name), "{%u", n);
			cJSON_AddItemToObject(item, name, random_value(seed, depth - 1));
		}
		return item;
	}
}

/* Most have no descriptors, some a few, some more than one batch. */
static size_t random_count(unsigned int *seed)
{
	unsigned int kind = below(seed, 10);

	return kind < 4 ? 0 : kind < 8 ? 1 + below(seed, 5) : below(seed, 700);
}

static void write_script(struct script *s)
{
	for (int i = 0; i < MESSAGES; i++) {
		cJSON *m = cJSON_CreateObject();

		s->n_fds[i] = random_count(&s->seed);
		if (s->n_fds[i] > 0)
			cJSON_AddNumberToObject(m, "fds", (double)s->n_fds[i]);
		cJSON_AddStringToObject(m, "method", "m");
		cJSON_AddItemToObject(m, "params", random_value(&s->seed, 4));
		cJSON_AddNumberToObject(m, "id", i);
		s->texts[i] = below(&s->seed, 2) ? cJSON_PrintUnformatted(m) : cJSON_Print(m);
		cJSON_Delete(m);
	}
}

struct writer {
	struct script *script;
	int socket;
	unsigned int seed;
	int result;
};

/* One message: its bytes in random pieces, then as many blanks as it takes. */
static int write_message(struct writer *w, int i, uint32_t *number)
{
	static const char blanks[] = " \n\t\r";
	const char *at = w->script->texts[i];
	size_t left = strlen(at), fds = w->script->n_fds[i];
	int r = 0;

	while (r == 0 && (left > 0 || fds > 0 || below(&w->seed, 4) == 0)) {
		size_t n = left > 0 ? 1 + below(&w->seed, left < 90 ? (unsigned int)left : 90) : 1;
		size_t batch = below(&w->seed, 3) == 0 ? SPLITFD_FDS_MAX : below(&w->seed, 20);
		size_t k = fds < batch ? fds : batch;
		const char *data = left > 0 ? at : blanks + below(&w->seed, 4);

		r = send_numbered(w->socket, data, n, *number, k, 20000);
		*number += (uint32_t)k;
		fds -= k;
		at += left > 0 ? n : 0;
		left -= left > 0 ? n : 0;
	}
	return r;
}

static void *write_all(void *arg)
{
	struct writer *w = arg;
	uint32_t number = 0;

	for (int i = 0; w->result == 0 && i < MESSAGES; i++)
		w->result = write_message(w, i, &number);
	(void)shutdown(w->socket, SHUT_WR);
	return NULL;
}

/* Takes all of a message's descriptors, or some and leaves the rest to the next call. */
static void take_some(struct sfd_jsonrpc *c, size_t n, unsigned int *seed, uint32_t *number)
{
	size_t wanted = below(seed, 4) == 0 ? below(seed, (unsigned int)n + 1) : n;

	for (size_t i = 0; i < wanted; i++)
		CHECK_INT(take_number(c), *number + i);
	*number += (uint32_t)n;
}

static void read_all(struct sfd_jsonrpc *c, const struct script *s, unsigned int seed)
{
	struct sfd_jsonrpc_message m;
	struct splitfd_error err = { 0 };
	uint32_t number = 0;

	for (int i = 0; i < MESSAGES; i++) {
		cJSON *want = cJSON_Parse(s->texts[i]);
		bool same;

		CHECK_OK(sfd_jsonrpc_receive(c, &m, &err), &err);
		CHECK_INT(m.kind, SFD_JSONRPC_REQUEST);
		CHECK_INT(m.id->valuedouble, i);
		CHECK_INT(m.n_fds, s->n_fds[i]);
		same = cJSON_Compare(m.json, want, true);
		cJSON_Delete(want);
		sfd_jsonrpc_message_done(&m);
		CHECK(same);
		take_some(c, s->n_fds[i], &seed, &number);
	}
	CHECK_INT(sfd_jsonrpc_receive(c, &m, &err), 0);
}

static void run_once(unsigned int seed)
{
	const struct sfd_jsonrpc_options options = { .fds_max = 1000, .timeout_ms = 20000 };
	struct script script = { .seed = seed };
	struct ends e = connect_ends(&options);
	struct writer writer = { .script = &script, .socket = e.peer, .seed = seed + 1 };
	pthread_t thread;
	int small = 4096;

	write_script(&script);
	/* Writes that do not fit, now and then. */
	if (seed % 2 == 0)
		CHECK_INT(setsockopt(e.peer, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	CHECK_INT(pthread_create(&thread, NULL, write_all, &writer), 0);
	read_all(e.c, &script, seed + 2);
	CHECK_INT(pthread_join(thread, NULL), 0);
	CHECK_INT(writer.result, 0);
	close_ends(&e);
	for (int i = 0; i < MESSAGES; i++)
		free(script.texts[i]);
}

TEST(random_splitting)
{
	int before = open_fds();

	for (unsigned int seed = 1; seed <= 40; seed++) {
		printf("# seed %u\n", seed);
		run_once(seed);
	}
	CHECK_INT(open_fds(), before);
}
