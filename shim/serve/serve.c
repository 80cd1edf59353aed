/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/serve/serve.h"
#include "shim/common/confine.h"
#include "shim/serve/serve-clients.h"
#include "shim/serve/serve-socket.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/base/flag.h"
#include "splitfdstream/base/thread.h"
#include "transport/rpc/peer-rights.h"

#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* How long clients get to end when the service does: longer than a stuck skopeo of theirs. */
#define LAST_MS 5000
/* Before the next look where the system has no descriptor or thread left for a client. */
#define PAUSE_MS 100

struct server {
	const struct sfd_serve_protocol *protocol;
	const struct sfd_serve_settings *settings;
	const struct sfd_serve_access *access;
	struct sfd_serve_sockets *sockets;
	void *service;
	struct sfd_clients *clients;
	struct sfd_threads threads;
};

/* What a client's thread is given. */
struct visit {
	struct server *server;
	struct sfd_client *client;
	int socket;
	uid_t uid;
};

static void *client_thread(void *ctx)
{
	struct visit v = *(struct visit *)ctx;
	const struct server *s = v.server;
	struct splitfd_error err = { 0 };

	free(ctx);
	if (s->protocol->handle(s->service, v.socket, v.client, &err) < 0 &&
		err.errnum != ECANCELED)
		fprintf(stderr, "splitfd serve: a client of user %u: %s%s\n", v.uid, err.text,
			sfd_confine_hint(&err));
	(void)sfd_client_gone(v.client);
	return NULL;
}

static bool may_call(const struct server *s, uid_t uid)
{
	if (s->access->any)
		return true;
	if (!sfd_peer_uid_known(uid))
		return false;
	if (uid == 0 || uid == geteuid())
		return true;
	for (size_t i = 0; i < s->access->n_uids; i++) {
		if (s->access->uids[i] == uid)
			return true;
	}
	return false;
}

/* Takes the socket, always. Where it fails there was no thread or memory for it. */
static int start_thread(struct server *s, int socket, uid_t uid)
{
	sfd_cleanup_fd int owned = socket;
	struct visit *v = malloc(sizeof(*v));
	int r;

	if (v == NULL)
		return -ENOMEM;
	*v = (struct visit){ .server = s, .socket = socket, .uid = uid };
	r = sfd_client_new(s->clients, socket, uid, &v->client);
	if (r == 0) {
		r = sfd_threads_start(&s->threads, SFD_STACK_SMALL, client_thread, v);
		if (r < 0)
			(void)sfd_client_gone(v->client);
	}
	if (r != 0) {
		free(v);
		return r;
	}
	(void)sfd_take_fd(&owned);
	return 0;
}

/* Takes the socket, always. */
static int start_client(struct server *s, int socket)
{
	sfd_cleanup_fd int owned = socket;
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t size = sizeof(peer);

	if (getsockopt(owned, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return -errno;
	if (may_call(s, peer.uid))
		return start_thread(s, sfd_take_fd(&owned), peer.uid);
	fprintf(stderr, "splitfd serve: user %u may not call; --allow-uid lets others in\n",
		peer.uid);
	if (s->protocol->refuse != NULL)
		s->protocol->refuse(owned);
	return 0;
}

static void accept_client(struct server *s, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC), r;

	if (fd < 0 && (errno == EINTR || errno == EAGAIN || errno == ECONNABORTED))
		return;
	r = fd < 0 ? -errno : start_client(s, fd);
	if (r < 0) {
		fprintf(stderr, "splitfd serve: a client could not be served: %s\n", strerror(-r));
		(void)sfd_wait_fd(s->settings->cancel_fd, POLLIN, PAUSE_MS);
	}
}

/* One round: a new client, a client less, or the end. Who finds no place waits in the socket's
 * queue until a client has made room: then the listening sockets are not looked at for wait_ms. */
static int look(struct server *s, bool full, int wait_ms, struct splitfd_error *err)
{
	struct pollfd p[3 + SFD_SERVE_SOCKETS_MAX];
	const struct sfd_serve_sockets *sockets = s->sockets;

	p[0] = (struct pollfd){ .fd = s->settings->cancel_fd, .events = POLLIN };
	p[1] = (struct pollfd){ .fd = sfd_clients_changed_fd(s->clients), .events = POLLIN };
	p[2] = (struct pollfd){ .fd = sfd_clients_hangup_fd(s->clients), .events = POLLIN };
	for (size_t i = 0; i < sockets->n; i++)
		p[3 + i] = (struct pollfd){
			.fd = full || !sockets->items[i].listening ? -1 : sockets->items[i].fd,
			.events = POLLIN
		};
	if (poll(p, 3 + sockets->n, wait_ms) < 0)
		return errno == EINTR ? 0 : splitfd_error_sys(err, errno, "cannot wait");
	if (p[1].revents != 0)
		sfd_clients_drain(s->clients);
	if (p[2].revents != 0)
		sfd_clients_hung_up(s->clients);
	for (size_t i = 0; i < sockets->n && !sfd_flag_is_set(s->settings->cancel); i++) {
		if (p[3 + i].revents == 0)
			continue;
		if (!sfd_clients_place(s->clients, &wait_ms))
			return look(s, true, wait_ms, err);
		accept_client(s, sockets->items[i].fd);
	}
	return 0;
}

static int run(struct server *s, struct splitfd_error *err)
{
	bool listening = false;
	int r = 0;

	for (size_t i = 0; i < s->sockets->n && r >= 0; i++) {
		listening |= s->sockets->items[i].listening;
		if (!s->sockets->items[i].listening)
			r = start_client(s, sfd_take_fd(&s->sockets->items[i].fd));
	}
	if (r < 0)
		return splitfd_error_sys(err, -r, "cannot serve a connected socket");
	while (r == 0 && !sfd_flag_is_set(s->settings->cancel)) {
		if (!listening && sfd_clients_count(s->clients) == 0)
			return 0;
		r = look(s, false, -1, err);
	}
	return r;
}

/* True when all have gone. */
static bool wait_for_clients(struct server *s)
{
	for (int waited = 0; sfd_clients_count(s->clients) > 0; waited += PAUSE_MS) {
		if (waited >= LAST_MS)
			return false;
		if (sfd_wait_fd(sfd_clients_changed_fd(s->clients), POLLIN, PAUSE_MS) > 0)
			sfd_clients_drain(s->clients);
	}
	return true;
}

static void server_free(struct server *s)
{
	sfd_threads_done(&s->threads);
	if (s->service != NULL)
		s->protocol->close(s->service);
	(void)sfd_clients_free(s->clients);
	free(s);
}

int sfd_serve(const struct sfd_serve_protocol *protocol, const struct sfd_serve_settings *settings,
	const struct sfd_serve_access *access, struct sfd_serve_sockets *sockets,
	struct splitfd_error *err)
{
	struct server *s = calloc(1, sizeof(*s));
	int r;

	if (s == NULL)
		return splitfd_error_oom(err);
	*s = (struct server){
		.protocol = protocol, .settings = settings, .access = access, .sockets = sockets
	};
	r = sfd_clients_new(access->max_clients, &s->clients, err);
	if (r < 0) {
		free(s);
		return r;
	}
	sfd_threads_init(&s->threads);
	r = protocol->open(settings, &s->service, err);
	if (r >= 0)
		r = run(s, err);
	sfd_clients_stop(s->clients);
	/* Whoever still works has the server in use. */
	if (!wait_for_clients(s))
		return splitfd_error_set(
			err, SPLITFD_ERROR_FAILED, EBUSY, "a client's call did not end in time");
	server_free(s);
	return r;
}
