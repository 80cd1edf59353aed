/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/serve.h"
#include "shim/serve-socket.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/base/flag.h"

#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* How long clients get to end when the service does. */
#define LAST_MS 3000
/* Before the next look where the system has no descriptor or thread left for a client. */
#define PAUSE_MS 100

struct server {
	const struct sfd_serve_protocol *protocol;
	const struct sfd_serve_settings *settings;
	const struct sfd_serve_access *access;
	struct sfd_serve_sockets *sockets;
	void *service;
	int changed_fd; /* an eventfd: a client has gone */
	pthread_mutex_t lock;
	size_t n_clients; /* under the lock */
};

struct client {
	struct server *server;
	int socket;
	uid_t uid;
};

static size_t n_clients(struct server *s)
{
	size_t n;

	pthread_mutex_lock(&s->lock);
	n = s->n_clients;
	pthread_mutex_unlock(&s->lock);
	return n;
}

static void client_gone(struct server *s)
{
	const uint64_t one = 1;
	ssize_t r;

	pthread_mutex_lock(&s->lock);
	s->n_clients--;
	r = write(s->changed_fd, &one, sizeof(one));
	(void)r; /* only a full counter can fail, and that is readable too */
	pthread_mutex_unlock(&s->lock);
}

static void *client_thread(void *ctx)
{
	struct client *c = ctx;
	struct server *s = c->server;
	struct splitfd_error err = { 0 };

	if (s->protocol->handle(s->service, c->socket, &err) < 0 && err.errnum != ECANCELED)
		fprintf(stderr, "splitfd serve: a client of user %u: %s\n", c->uid, err.text);
	free(c);
	client_gone(s);
	return NULL;
}

static bool may_call(const struct server *s, uid_t uid)
{
	if (s->access->any || uid == 0 || uid == geteuid())
		return true;
	for (size_t i = 0; i < s->access->n_uids; i++) {
		if (s->access->uids[i] == uid)
			return true;
	}
	return false;
}

/* Takes the socket, always. Where it fails there was no thread or memory for it. */
static int start_client(struct server *s, int socket)
{
	sfd_cleanup_fd int owned = socket;
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t size = sizeof(peer);
	struct client *c;
	pthread_t thread;
	int r;

	if (getsockopt(owned, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return -errno;
	if (!may_call(s, peer.uid)) {
		fprintf(stderr, "splitfd serve: user %u may not call; --allow-uid lets others in\n",
			peer.uid);
		if (s->protocol->refuse != NULL)
			s->protocol->refuse(owned);
		return 0;
	}
	c = malloc(sizeof(*c));
	if (c == NULL)
		return -ENOMEM;
	*c = (struct client){ s, sfd_take_fd(&owned), peer.uid };
	pthread_mutex_lock(&s->lock);
	s->n_clients++;
	pthread_mutex_unlock(&s->lock);
	r = pthread_create(&thread, NULL, client_thread, c);
	if (r != 0) {
		sfd_close(c->socket);
		free(c);
		client_gone(s);
		return -r;
	}
	pthread_detach(thread);
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

static void drain(int event_fd)
{
	uint64_t count;
	ssize_t r = read(event_fd, &count, sizeof(count));

	(void)r; /* non-blocking: nothing to read is nothing to do */
}

/* One round: a new client, a client less, or the end. */
static int look(struct server *s, bool full, struct splitfd_error *err)
{
	struct pollfd p[2 + SFD_SERVE_SOCKETS_MAX];
	const struct sfd_serve_sockets *sockets = s->sockets;

	p[0] = (struct pollfd){ .fd = s->settings->cancel_fd, .events = POLLIN };
	p[1] = (struct pollfd){ .fd = s->changed_fd, .events = POLLIN };
	for (size_t i = 0; i < sockets->n; i++)
		p[2 + i] = (struct pollfd){
			.fd = full || !sockets->items[i].listening ? -1 : sockets->items[i].fd,
			.events = POLLIN
		};
	if (poll(p, 2 + sockets->n, -1) < 0)
		return errno == EINTR ? 0 : splitfd_error_sys(err, errno, "cannot wait");
	if (p[1].revents != 0)
		drain(s->changed_fd);
	for (size_t i = 0; i < sockets->n && !sfd_flag_is_set(s->settings->cancel); i++) {
		if (p[2 + i].revents != 0 && n_clients(s) < s->access->max_clients)
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
		size_t n = n_clients(s);

		if (!listening && n == 0)
			return 0;
		r = look(s, n >= s->access->max_clients, err);
	}
	return r;
}

/* True when all have gone. */
static bool wait_for_clients(struct server *s)
{
	for (int waited = 0; n_clients(s) > 0; waited += PAUSE_MS) {
		if (waited >= LAST_MS)
			return false;
		if (sfd_wait_fd(s->changed_fd, POLLIN, PAUSE_MS) > 0)
			drain(s->changed_fd);
	}
	return true;
}

static void server_free(struct server *s)
{
	if (s->service != NULL)
		s->protocol->close(s->service);
	sfd_close(s->changed_fd);
	pthread_mutex_destroy(&s->lock);
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
	*s = (struct server){ .protocol = protocol,
		.settings = settings,
		.access = access,
		.sockets = sockets,
		.changed_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	(void)pthread_mutex_init(&s->lock, NULL);
	if (s->changed_fd < 0)
		r = splitfd_error_sys(err, errno, "cannot make an eventfd");
	else
		r = protocol->open(settings, &s->service, err);
	if (r >= 0)
		r = run(s, err);
	/* Whoever still works has the server in use. */
	if (!wait_for_clients(s))
		return splitfd_error_set(
			err, SPLITFD_ERROR_FAILED, EBUSY, "a client's call did not end in time");
	server_free(s);
	return r;
}
