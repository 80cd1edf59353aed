/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/skopeo/proxy-client.h"
#include "splitfdstream/base/buffer.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/clock.h"
#include "splitfdstream/base/flag.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/base/process.h"
#include "transport/json/json-tree.h"
#include "transport/rpc/seqpacket.h"
#include "transport/skopeo/proxy-process.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

/* Servers do not bound their replies; a list of layers is the longest. */
#define REPLY_MAX   ((size_t)1024 * 1024)
#define REQUEST_MAX ((size_t)32 * 1024)
/* How often a silent program is looked at. */
#define LOOK_MS 500
/* The same for a program that is to end. */
#define END_MS 2000

struct sfd_proxy {
	atomic_uint refs;
	atomic_int pid; /* 0: it has ended */
	int socket;
	int stall_ms;
	const volatile int *cancel; /* or NULL */
	unsigned int version;
	atomic_bool hung_up;  /* by us */
	atomic_bool given_up; /* it stalled, and is ended */
	pthread_mutex_t lock; /* one request and its reply */
	uint64_t *images;     /* n_images that it has open */
	size_t n_images, cap_images;
	bool opening; /* one more: the reply was not waited for */
	bool broken;
	struct splitfd_error why; /* it is broken */
	char *buffer;		  /* REPLY_MAX */
};

SFD_DEFINE_CLEANUP(cleanup_proxy, struct sfd_proxy, sfd_proxy_stop);

struct sfd_proxy *sfd_proxy_ref(struct sfd_proxy *proxy)
{
	atomic_fetch_add(&proxy->refs, 1);
	return proxy;
}

void sfd_proxy_hang_up(struct sfd_proxy *proxy)
{
	atomic_store(&proxy->hung_up, true);
}

static bool is_ending(const struct sfd_proxy *proxy)
{
	return atomic_load(&proxy->hung_up) || sfd_flag_is_set(proxy->cancel);
}

unsigned int sfd_proxy_version(const struct sfd_proxy *proxy)
{
	return proxy->version;
}

bool sfd_proxy_broken(struct sfd_proxy *proxy)
{
	bool broken;

	pthread_mutex_lock(&proxy->lock);
	broken = proxy->broken;
	pthread_mutex_unlock(&proxy->lock);
	return broken;
}

int sfd_proxy_check_ending(const struct sfd_proxy *proxy, struct splitfd_error *err)
{
	if (!is_ending(proxy))
		return 0;
	return splitfd_error_set(err, SPLITFD_ERROR_PEER, ECANCELED, "%s",
		sfd_flag_is_set(proxy->cancel) ? "interrupted" : "skopeo was ended");
}

void sfd_proxy_reply_done(struct sfd_proxy_reply *reply)
{
	for (size_t i = 0; i < reply->n_fds; i++)
		sfd_close(reply->fds[i]);
	reply->n_fds = 0;
	cJSON_Delete(reply->json);
	reply->json = NULL;
}

/* The program ended: its exit status says more than a closed socket. */
static int went_away(struct sfd_proxy *proxy, struct splitfd_error *err)
{
	int status = sfd_process_end(proxy->pid, END_MS);

	proxy->pid = 0;
	if (WIFSIGNALED(status))
		return splitfd_error_set(err, SPLITFD_ERROR_PEER, ECONNRESET,
			"skopeo was killed by signal %d", WTERMSIG(status));
	return splitfd_error_set(err, SPLITFD_ERROR_PEER, ECONNRESET,
		"skopeo ended with exit status %d; see its message above", WEXITSTATUS(status));
}

/* All who come later get the same reason. */
static int tell_why(const struct sfd_proxy *proxy, struct splitfd_error *err)
{
	if (err != NULL)
		*err = proxy->why;
	return -proxy->why.errnum;
}

int sfd_proxy_look_alive(struct sfd_proxy *proxy, int wait_ms, struct splitfd_error *err)
{
	int r = 0;

	pthread_mutex_lock(&proxy->lock);
	if (!proxy->broken && sfd_wait_fd(proxy->socket, POLLRDHUP, wait_ms) > 0) {
		(void)went_away(proxy, &proxy->why);
		proxy->broken = true;
	}
	if (proxy->broken)
		r = tell_why(proxy, err);
	pthread_mutex_unlock(&proxy->lock);
	return r;
}

static int gave_up(struct sfd_proxy *proxy, struct splitfd_error *err)
{
	atomic_store(&proxy->given_up, true); /* before its pipes are closed */
	sfd_process_end(proxy->pid, 0);
	proxy->pid = 0;
	if (is_ending(proxy))
		return sfd_proxy_check_ending(proxy, err);
	return splitfd_error_set(err, SPLITFD_ERROR_PEER, ETIMEDOUT,
		"skopeo moved no byte for %d seconds and was ended", proxy->stall_ms / 1000);
}

static bool has_stalled(const struct sfd_proxy *proxy, struct sfd_proxy_watch *watch)
{
	int most_ms = is_ending(proxy) && END_MS < proxy->stall_ms ? END_MS : proxy->stall_ms;
	uint64_t moved = sfd_proxy_bytes_moved(proxy->pid);

	if (moved == watch->moved && watch->since != 0)
		return sfd_now_ms() - watch->since >= most_ms;
	*watch = (struct sfd_proxy_watch){ .moved = moved, .since = sfd_now_ms() };
	return false;
}

int sfd_proxy_look_moving(
	struct sfd_proxy *proxy, struct sfd_proxy_watch *watch, struct splitfd_error *err)
{
	int r = 0;

	if (pthread_mutex_trylock(&proxy->lock) != 0)
		return 0; /* who has it looks itself */
	if (!proxy->broken && has_stalled(proxy, watch)) {
		(void)gave_up(proxy, &proxy->why);
		proxy->broken = true;
	}
	if (proxy->broken)
		r = tell_why(proxy, err);
	pthread_mutex_unlock(&proxy->lock);
	return r;
}

int sfd_proxy_check_running(struct sfd_proxy *proxy, struct splitfd_error *err)
{
	if (atomic_load(&proxy->given_up))
		return splitfd_error_set(err, SPLITFD_ERROR_PEER, ETIMEDOUT,
			"skopeo moved no byte for %d seconds and was ended",
			proxy->stall_ms / 1000);
	if (sfd_wait_fd(proxy->socket, POLLRDHUP, 0) > 0 || sfd_proxy_exits(proxy->pid))
		return splitfd_error_set(
			err, SPLITFD_ERROR_PEER, ECONNRESET, "skopeo has ended meanwhile");
	return 0;
}

/* Waits until the reply is there. An answer may take as long as a blob takes: what counts is that
 * something moves. */
static int wait_reply(struct sfd_proxy *proxy, int watch_fd, struct splitfd_error *err)
{
	struct pollfd fds[2] = { { .fd = proxy->socket, .events = POLLIN },
		{ .fd = watch_fd, .events = POLLRDHUP } };
	struct sfd_proxy_watch watch = { .since = sfd_now_ms() };
	int look_ms = proxy->stall_ms < LOOK_MS ? proxy->stall_ms : LOOK_MS;

	for (;;) {
		int r = poll(fds, watch_fd >= 0 ? 2 : 1, look_ms);

		if (r < 0 && errno != EINTR)
			return splitfd_error_sys(err, errno, "cannot wait for skopeo");
		if (r > 0 && fds[0].revents != 0)
			return 0;
		if (r > 0 && fds[1].revents != 0)
			return splitfd_error_set(err, SPLITFD_ERROR_PEER, ECANCELED,
				"the client went away while skopeo worked for it");
		if (has_stalled(proxy, &watch))
			return gave_up(proxy, err);
	}
}

static int nonsense(const char *method, struct splitfd_error *err)
{
	return splitfd_error_set(err, SPLITFD_ERROR_PEER, EPROTO,
		"skopeo's reply to %s is not one of the protocol", method);
}

static const char *text_of(const cJSON *json, const char *key)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);

	return cJSON_IsString(item) ? item->valuestring : "";
}

static int parse_reply(const char *method, struct sfd_packet *packet, struct sfd_proxy_reply *ret,
	struct splitfd_error *err)
{
	const cJSON *success, *pipeid;

	if (sfd_json_tree(packet->data, packet->len, &ret->json) == -ENOMEM)
		return splitfd_error_oom(err);
	success = cJSON_GetObjectItemCaseSensitive(ret->json, "success");
	pipeid = cJSON_GetObjectItemCaseSensitive(ret->json, "pipeid");
	if (packet->cut || !cJSON_IsBool(success) || !cJSON_IsNumber(pipeid) || packet->n_fds > 2)
		return nonsense(method, err);
	if (pipeid->valuedouble < 0 || pipeid->valuedouble > UINT32_MAX ||
		pipeid->valuedouble != floor(pipeid->valuedouble))
		return nonsense(method, err);
	ret->success = cJSON_IsTrue(success);
	ret->pipeid = (uint32_t)pipeid->valuedouble;
	ret->value = cJSON_GetObjectItemCaseSensitive(ret->json, "value");
	ret->code = text_of(ret->json, "error_code");
	ret->error = text_of(ret->json, "error");
	for (size_t i = 0; i < packet->n_fds; i++)
		ret->fds[ret->n_fds++] = sfd_take_fd(&packet->fds[i]);
	return 0;
}

static bool opens(const char *method)
{
	return strncmp(method, "OpenImage", strlen("OpenImage")) == 0;
}

static void forget_image(struct sfd_proxy *proxy, uint64_t id)
{
	for (size_t i = 0; i < proxy->n_images; i++) {
		if (proxy->images[i] == id)
			proxy->images[i] = proxy->images[--proxy->n_images];
	}
}

static int note_image(struct sfd_proxy *proxy, uint64_t id, struct splitfd_error *err)
{
	if (proxy->n_images == proxy->cap_images) {
		size_t cap = 2 * proxy->cap_images + 8;
		uint64_t *images = reallocarray(proxy->images, cap, sizeof(*images));

		if (images == NULL)
			return splitfd_error_oom(err);
		proxy->images = images;
		proxy->cap_images = cap;
	}
	proxy->images[proxy->n_images++] = id;
	return 0;
}

static int receive_reply(struct sfd_proxy *proxy, const char *method, const char *args,
	int watch_fd, struct sfd_proxy_reply *ret, struct splitfd_error *err)
{
	struct sfd_packet packet = { .data = proxy->buffer, .size = REPLY_MAX };
	int r = wait_reply(proxy, watch_fd, err);

	if (r < 0)
		return r;
	r = sfd_seqpacket_receive(proxy->socket, &packet, proxy->stall_ms, err);
	if (r == 0)
		return went_away(proxy, err);
	if (r > 0)
		r = parse_reply(method, &packet, ret, err);
	sfd_packet_close_fds(&packet);
	if (r < 0 || !ret->success)
		return r;
	if (strcmp(method, "CloseImage") == 0)
		forget_image(proxy, strtoull(args + 1, NULL, 10));
	if (opens(method) && cJSON_IsNumber(ret->value) && ret->value->valuedouble >= 1)
		return note_image(proxy, (uint64_t)ret->value->valuedouble, err);
	return 0;
}

static int exchange(struct sfd_proxy *proxy, const char *method, const char *args,
	const struct sfd_buffer *request, int watch_fd, struct sfd_proxy_reply *ret,
	struct splitfd_error *err)
{
	int r = sfd_proxy_check_ending(proxy, err);

	if (r < 0)
		return r;
	r = sfd_seqpacket_send(
		proxy->socket, request->data, request->len, NULL, 0, proxy->stall_ms, err);
	if (r == -EPIPE)
		return went_away(proxy, err);
	if (r == 0)
		r = receive_reply(proxy, method, args, watch_fd, ret, err);
	proxy->opening = r == -ECANCELED && opens(method);
	return r;
}

int sfd_proxy_call(struct sfd_proxy *proxy, const char *method, const char *args, int watch_fd,
	struct sfd_proxy_reply *ret, struct splitfd_error *err)
{
	sfd_cleanup_buffer struct sfd_buffer request = { .max = REQUEST_MAX };
	int r;

	memset(ret, 0, sizeof(*ret));
	ret->code = ret->error = "";
	r = sfd_buffer_printf(&request, "{\"method\":\"%s\",\"args\":%s}", method, args);
	if (r == -ENOBUFS)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EMSGSIZE,
			"a request to skopeo may have %zu bytes", REQUEST_MAX);
	if (r < 0)
		return splitfd_error_oom(err);
	pthread_mutex_lock(&proxy->lock);
	if (!proxy->broken)
		r = exchange(proxy, method, args, &request, watch_fd, ret, &proxy->why);
	if (proxy->broken || r < 0) {
		proxy->broken = true;
		r = tell_why(proxy, err);
	}
	pthread_mutex_unlock(&proxy->lock);
	if (r < 0)
		sfd_proxy_reply_done(ret);
	return r;
}

/* Closes what is still open; false where the program does not answer. */
static bool close_images(struct sfd_proxy *proxy)
{
	struct sfd_packet packet = { .data = proxy->buffer, .size = REPLY_MAX };
	int64_t end = sfd_now_ms() + END_MS;
	int r = 1;

	for (size_t i = 0; r > 0 && i < proxy->n_images; i++) {
		int64_t left = end - sfd_now_ms();
		char request[64];
		int n = snprintf(request, sizeof(request),
			"{\"method\":\"CloseImage\",\"args\":[%" PRIu64 "]}", proxy->images[i]);

		r = left <= 0 ? -ETIMEDOUT
			      : sfd_seqpacket_send(proxy->socket, request, (size_t)n, NULL, 0,
					(int)left, NULL);
		/* To which request a reply belongs does not matter any more. */
		if (r == 0)
			r = sfd_seqpacket_receive(proxy->socket, &packet, (int)left, NULL);
		if (r > 0)
			sfd_packet_close_fds(&packet);
	}
	return r > 0;
}

struct sfd_proxy *sfd_proxy_stop(struct sfd_proxy *proxy)
{
	struct sfd_proxy_reply reply = { 0 };
	bool answers;

	if (proxy == NULL || atomic_fetch_sub(&proxy->refs, 1) > 1)
		return NULL;
	sfd_proxy_hang_up(proxy);
	if (proxy->pid > 0 && proxy->opening &&
		receive_reply(proxy, "OpenImage", "", -1, &reply, NULL) == 0)
		sfd_proxy_reply_done(&reply);
	answers = proxy->pid > 0 && close_images(proxy);
	(void)shutdown(proxy->socket, SHUT_WR);
	if (proxy->pid > 0)
		sfd_process_end(proxy->pid, answers ? END_MS : 0);
	sfd_close(proxy->socket);
	pthread_mutex_destroy(&proxy->lock);
	free(proxy->images);
	free(proxy->buffer);
	free(proxy);
	return NULL;
}

int sfd_proxy_check(
	const struct sfd_proxy_reply *reply, const char *method, struct splitfd_error *err)
{
	bool ours = strcmp(reply->code, "EPIPE") == 0 ||
		    (reply->code[0] == '\0' && strstr(reply->error, "broken pipe") != NULL);

	if (reply->success)
		return 0;
	return splitfd_error_set(err, SPLITFD_ERROR_FAILED, ours ? EPIPE : EREMOTEIO,
		"skopeo: %s%s",
		reply->error[0] != '\0' ? reply->error : "no reason is given for the failure of ",
		reply->error[0] != '\0' ? "" : method);
}

static int initialize(struct sfd_proxy *proxy, struct splitfd_error *err)
{
	struct sfd_proxy_reply reply;
	unsigned int major, minor, patch;
	const char *version = NULL;
	int r;

	r = sfd_proxy_call(proxy, "Initialize", "[]", -1, &reply, err);
	if (r < 0)
		return r;
	r = sfd_proxy_check(&reply, "Initialize", err);
	if (r == 0)
		version = cJSON_GetStringValue(reply.value);
	if (r == 0 &&
		(version == NULL || sscanf(version, "%3u.%3u.%3u", &major, &minor, &patch) != 3))
		r = nonsense("Initialize", err);
	if (r == 0 && (major != 0 || minor != 2 || patch < 3 || patch > 99))
		r = splitfd_error_set(err, SPLITFD_ERROR_PEER, EPROTONOSUPPORT,
			"skopeo speaks version %s of the proxy protocol; 0.2.3 or a later 0.2 is "
			"needed",
			version);
	if (r == 0)
		proxy->version = minor * 100 + patch;
	sfd_proxy_reply_done(&reply);
	return r;
}

int sfd_proxy_start(
	const struct sfd_proxy_options *options, struct sfd_proxy **ret, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_proxy) struct sfd_proxy *proxy = calloc(1, sizeof(*proxy));
	pid_t pid = 0;
	int pair[2], r;

	if (proxy == NULL)
		return splitfd_error_oom(err);
	atomic_init(&proxy->refs, 1);
	proxy->socket = -EBADF;
	proxy->stall_ms = options->stall_ms > 0 ? options->stall_ms : SFD_PROXY_STALL_MS;
	proxy->cancel = options->cancel;
	pthread_mutex_init(&proxy->lock, NULL);
	proxy->buffer = malloc(REPLY_MAX);
	if (proxy->buffer == NULL)
		return splitfd_error_oom(err);
	r = sfd_seqpacket_pair(pair, err);
	if (r < 0)
		return r;
	proxy->socket = pair[0];
	r = sfd_proxy_spawn(options->program, options->arguments, pair[1], &pid, err);
	sfd_close(pair[1]);
	proxy->pid = pid;
	if (r == 0)
		r = initialize(proxy, err);
	if (r < 0)
		return r;
	*ret = sfd_take_ptr(&proxy);
	return 0;
}
