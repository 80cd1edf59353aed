/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a proxy: its start, and its end in a bounded time. */
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/clock.h"
#include "splitfdstream/base/flag.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/base/process.h"
#include "splitfdstream/base/ring.h"
#include "transport/rpc/seqpacket.h"
#include "transport/skopeo/proxy-client-private.h"
#include "transport/skopeo/proxy-process.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

/* It opens an image that is not wanted any more. */
#define OPENING_MS 3000

SFD_DEFINE_CLEANUP(cleanup_proxy, struct sfd_proxy, sfd_proxy_stop);

struct sfd_proxy *sfd_proxy_ref(struct sfd_proxy *proxy)
{
	atomic_fetch_add(&proxy->refs, 1);
	return proxy;
}

void sfd_proxy_hang_up(struct sfd_proxy *proxy)
{
	atomic_store(&proxy->hung_up, true);
	sfd_ring(proxy->hung_up_fd);
}

int sfd_proxy_stop_fd(const struct sfd_proxy *proxy)
{
	return proxy->stop_fd;
}

static bool is_cancelled(const struct sfd_proxy *proxy)
{
	return sfd_flag_is_set(proxy->cancel) ||
	       (proxy->cancel_fd > 0 && sfd_wait_fd(proxy->cancel_fd, POLLIN, 0) > 0);
}

bool sfd_proxy_is_ending(const struct sfd_proxy *proxy)
{
	return atomic_load(&proxy->hung_up) || is_cancelled(proxy);
}

int sfd_proxy_stall_ms(const struct sfd_proxy *proxy)
{
	return proxy->stall_ms;
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
	if (!sfd_proxy_is_ending(proxy))
		return 0;
	return splitfd_error_set(err, SPLITFD_ERROR_PEER, ECANCELED, "%s",
		is_cancelled(proxy) ? "interrupted" : "skopeo was ended");
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

/* The image that it was opening when it was given up is open at the end, and has to be closed.
 * False where it does not come to that soon. */
static bool await_opening(struct sfd_proxy *proxy)
{
	int64_t end = sfd_now_ms() + OPENING_MS;
	struct sfd_proxy_watch watch = { .since = sfd_now_ms() };
	struct sfd_proxy_reply reply = { 0 };

	while (sfd_wait_fd(proxy->socket, POLLIN, SFD_PROXY_LOOK_MS) == 0) {
		if (sfd_now_ms() >= end || sfd_proxy_has_stalled(proxy, &watch))
			return false;
	}
	if (sfd_proxy_receive(proxy, "OpenImage", "", &reply, NULL) < 0)
		return false;
	sfd_proxy_reply_done(&reply);
	return true;
}

/* Closes what is still open; false where the program does not answer. */
static bool close_images(struct sfd_proxy *proxy)
{
	struct sfd_packet packet = { .data = proxy->buffer, .size = SFD_PROXY_REPLY_SIZE };
	int64_t end = sfd_now_ms() + SFD_PROXY_END_MS;
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
	bool answers;

	if (proxy == NULL || atomic_fetch_sub(&proxy->refs, 1) > 1)
		return NULL;
	sfd_proxy_hang_up(proxy);
	answers = proxy->pid > 0 && (!proxy->opening || await_opening(proxy)) && proxy->pid > 0 &&
		  close_images(proxy);
	(void)shutdown(proxy->socket, SHUT_WR);
	if (proxy->pid > 0)
		sfd_process_end(proxy->pid, answers ? SFD_PROXY_END_MS : 0, true);
	sfd_close(proxy->socket);
	sfd_close(proxy->stop_fd);
	sfd_close(proxy->hung_up_fd);
	pthread_mutex_destroy(&proxy->lock);
	free(proxy->images);
	free(proxy->buffer);
	free(proxy);
	return NULL;
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
		r = sfd_proxy_nonsense("Initialize", err);
	if (r == 0 && (major != 0 || minor != 2 || patch < 3 || patch > 99))
		r = splitfd_error_set(err, SPLITFD_ERROR_PEER, EPROTONOSUPPORT,
			"skopeo has version %s of the proxy protocol; 0.2.3 or a later 0.2 is "
			"needed",
			version);
	if (r == 0)
		proxy->version = minor * 100 + patch;
	sfd_proxy_reply_done(&reply);
	return r;
}

static int make_stop(struct sfd_proxy *proxy, struct splitfd_error *err)
{
	struct epoll_event event = { .events = EPOLLIN };

	proxy->hung_up_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	proxy->stop_fd = epoll_create1(EPOLL_CLOEXEC);
	if (proxy->hung_up_fd < 0 || proxy->stop_fd < 0 ||
		epoll_ctl(proxy->stop_fd, EPOLL_CTL_ADD, proxy->hung_up_fd, &event) < 0 ||
		(proxy->cancel_fd > 0 &&
			epoll_ctl(proxy->stop_fd, EPOLL_CTL_ADD, proxy->cancel_fd, &event) < 0))
		return splitfd_error_sys(err, errno, "cannot make an eventfd");
	return 0;
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
	proxy->socket = proxy->hung_up_fd = proxy->stop_fd = -EBADF;
	proxy->stall_ms = options->stall_ms > 0 ? options->stall_ms : SFD_PROXY_STALL_MS;
	proxy->cancel = options->cancel;
	proxy->cancel_fd = options->cancel_fd;
	pthread_mutex_init(&proxy->lock, NULL);
	proxy->buffer = malloc(SFD_PROXY_REPLY_SIZE);
	if (proxy->buffer == NULL)
		return splitfd_error_oom(err);
	r = make_stop(proxy, err);
	if (r == 0)
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
