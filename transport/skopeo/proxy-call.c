/* SPDX-License-Identifier: Apache-2.0 */
/* Calls to a proxy: a request, what is waited for, its reply, and why there is none. */
#include "splitfdstream/base/buffer.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/clock.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/base/process.h"
#include "transport/json/json-tree.h"
#include "transport/rpc/seqpacket.h"
#include "transport/skopeo/proxy-client-private.h"
#include "transport/skopeo/proxy-process.h"
#include "transport/skopeo/skopeo-reason.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <string.h>
#include <sys/wait.h>

#define REQUEST_MAX ((size_t)32 * 1024)

void sfd_proxy_reply_done(struct sfd_proxy_reply *reply)
{
	for (size_t i = 0; i < reply->n_fds; i++)
		sfd_close(reply->fds[i]);
	reply->n_fds = 0;
	cJSON_Delete(reply->json);
	reply->json = NULL;
}

/* The connection broke. Where the program ended, its exit status says more than that; one that does
 * not end is killed. */
static int went_away(struct sfd_proxy *proxy, int errnum, struct splitfd_error *err)
{
	int status = sfd_process_end(proxy->pid, SFD_PROXY_END_MS, true);

	proxy->pid = 0;
	if (WIFSIGNALED(status))
		return splitfd_error_set(err, SPLITFD_ERROR_PEER, ECONNRESET,
			"skopeo was killed by signal %d; its connection broke (%s)",
			WTERMSIG(status), strerror(errnum));
	return splitfd_error_set(err, SPLITFD_ERROR_PEER, ECONNRESET,
		"skopeo ended with exit status %d; see its message above", WEXITSTATUS(status));
}

/* All who come later get the same reason. */
static int tell_why(const struct sfd_proxy *proxy, struct splitfd_error *err)
{
	return splitfd_error_copy(err, -proxy->why.errnum, &proxy->why);
}

int sfd_proxy_look_alive(struct sfd_proxy *proxy, int wait_ms, struct splitfd_error *err)
{
	int r = 0;

	pthread_mutex_lock(&proxy->lock);
	if (!proxy->broken && sfd_wait_fd(proxy->socket, POLLRDHUP, wait_ms) > 0) {
		(void)went_away(proxy, ECONNRESET, &proxy->why);
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
	sfd_process_end(proxy->pid, 0, true);
	proxy->pid = 0;
	if (sfd_proxy_is_ending(proxy))
		return sfd_proxy_check_ending(proxy, err);
	return splitfd_error_set(err, SPLITFD_ERROR_PEER, ETIMEDOUT,
		"skopeo moved no byte for %d seconds and was ended", proxy->stall_ms / 1000);
}

bool sfd_proxy_has_stalled(const struct sfd_proxy *proxy, struct sfd_proxy_watch *watch)
{
	int most_ms = sfd_proxy_is_ending(proxy) && SFD_PROXY_END_MS < proxy->stall_ms
			      ? SFD_PROXY_END_MS
			      : proxy->stall_ms;
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
	if (!proxy->broken && sfd_proxy_has_stalled(proxy, watch)) {
		(void)gave_up(proxy, &proxy->why);
		proxy->broken = true;
	}
	if (proxy->broken)
		r = tell_why(proxy, err);
	pthread_mutex_unlock(&proxy->lock);
	return r;
}

/* What a call waits for besides its reply. */
struct call_waits {
	int watch_fd; /* negative: nothing */
	struct sfd_proxy_beside *beside;
};

/* 1: the reply is there. 0: not yet. */
static int wait_once(const struct sfd_proxy *proxy, const struct call_waits *waits, int wait_ms,
	struct splitfd_error *err)
{
	struct sfd_proxy_beside *beside = waits->beside;
	struct pollfd fds[] = { { .fd = proxy->socket, .events = POLLIN },
		{ .fd = proxy->stop_fd, .events = POLLIN },
		{ .fd = waits->watch_fd, .events = POLLRDHUP },
		{ .fd = beside != NULL ? beside->fd : -1, .events = POLLIN } };
	int r = poll(fds, 4, wait_ms);

	if (r < 0 && errno != EINTR)
		return splitfd_error_sys(err, errno, "cannot wait for skopeo");
	if (r <= 0)
		return 0;
	if (fds[1].revents != 0)
		return sfd_proxy_check_ending(proxy, err);
	if (fds[0].revents != 0)
		return 1;
	if (fds[2].revents != 0)
		return splitfd_error_set(err, SPLITFD_ERROR_PEER, ECANCELED,
			"the client disconnected while skopeo served its request");
	return fds[3].revents != 0 ? beside->ready(beside, err) : 0;
}

/* Waits until the reply is there. An answer may take as long as a blob takes: what counts is that
 * something moves. */
static int wait_reply(
	struct sfd_proxy *proxy, const struct call_waits *waits, struct splitfd_error *err)
{
	struct sfd_proxy_watch watch = { .since = sfd_now_ms() };
	int look_ms = proxy->stall_ms < SFD_PROXY_LOOK_MS ? proxy->stall_ms : SFD_PROXY_LOOK_MS;
	int64_t look = sfd_now_ms() + look_ms;

	for (;;) {
		int r = wait_once(proxy, waits, look_ms, err);

		if (r != 0)
			return r > 0 ? 0 : r;
		if (sfd_now_ms() < look)
			continue;
		r = sfd_proxy_check_ending(proxy, err);
		if (r < 0)
			return r;
		if (sfd_proxy_has_stalled(proxy, &watch))
			return gave_up(proxy, err);
		look = sfd_now_ms() + look_ms;
	}
}

int sfd_proxy_nonsense(const char *method, struct splitfd_error *err)
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
		return sfd_proxy_nonsense(method, err);
	if (pipeid->valuedouble < 0 || pipeid->valuedouble > UINT32_MAX ||
		pipeid->valuedouble != floor(pipeid->valuedouble))
		return sfd_proxy_nonsense(method, err);
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

int sfd_proxy_receive(struct sfd_proxy *proxy, const char *method, const char *args,
	struct sfd_proxy_reply *ret, struct splitfd_error *err)
{
	struct sfd_packet packet = { .data = proxy->buffer, .size = SFD_PROXY_REPLY_SIZE };
	int r = sfd_seqpacket_receive(proxy->socket, &packet, proxy->stall_ms, err);

	if (r == 0)
		return went_away(proxy, ECONNRESET, err);
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
	const struct sfd_buffer *request, const struct call_waits *waits,
	struct sfd_proxy_reply *ret, struct splitfd_error *err)
{
	int r = sfd_proxy_check_ending(proxy, err);

	if (r < 0)
		return r;
	r = sfd_seqpacket_send(
		proxy->socket, request->data, request->len, NULL, 0, proxy->stall_ms, err);
	if (r == -EPIPE)
		return went_away(proxy, EPIPE, err);
	if (r == 0)
		r = wait_reply(proxy, waits, err);
	if (r == 0)
		r = sfd_proxy_receive(proxy, method, args, ret, err);
	proxy->opening = r == -ECANCELED && opens(method);
	return r;
}

static int call(struct sfd_proxy *proxy, const char *method, const char *args,
	const struct call_waits *waits, struct sfd_proxy_reply *ret, struct splitfd_error *err)
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
		r = exchange(proxy, method, args, &request, waits, ret, &proxy->why);
	if (proxy->broken || r < 0) {
		proxy->broken = true;
		r = tell_why(proxy, err);
	}
	pthread_mutex_unlock(&proxy->lock);
	if (r < 0)
		sfd_proxy_reply_done(ret);
	return r;
}

int sfd_proxy_call(struct sfd_proxy *proxy, const char *method, const char *args, int watch_fd,
	struct sfd_proxy_reply *ret, struct splitfd_error *err)
{
	return call(proxy, method, args, &(struct call_waits){ .watch_fd = watch_fd }, ret, err);
}

int sfd_proxy_call_beside(struct sfd_proxy *proxy, const char *method, const char *args,
	struct sfd_proxy_beside *beside, struct sfd_proxy_reply *ret, struct splitfd_error *err)
{
	return call(proxy, method, args, &(struct call_waits){ .watch_fd = -1, .beside = beside },
		ret, err);
}

int sfd_proxy_check_open(const struct sfd_proxy_reply *reply, const char *method,
	const char *reference, struct splitfd_error *err)
{
	bool ours = strcmp(reply->code, "EPIPE") == 0 ||
		    (reply->code[0] == '\0' && strstr(reply->error, "broken pipe") != NULL);

	if (reply->success)
		return 0;
	if (reply->error[0] == '\0')
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, ours ? EPIPE : EREMOTEIO,
			"skopeo: no reason is given for the failure of %s", method);
	return splitfd_error_set(err, sfd_skopeo_kind(reply->error, reference),
		ours ? EPIPE : EREMOTEIO, "skopeo: %s%s", reply->error,
		reference != NULL && strstr(reply->error, "no space left on device") != NULL
			? " (TMPDIR names another place for what skopeo unpacks)"
			: "");
}

int sfd_proxy_check(
	const struct sfd_proxy_reply *reply, const char *method, struct splitfd_error *err)
{
	return sfd_proxy_check_open(reply, method, NULL, err);
}
