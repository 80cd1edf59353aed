/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/serve/serve-clients.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/clock.h"
#include "splitfdstream/base/ring.h"

#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* A client that has just been accepted, or served, gets the time to say what it wants. */
#define GRACE_MS 100
/* One that is served, or whose thread has yet to begin, is likely to wait again within that. */
#define BUSY_MS 1000
/* Connections that are looked at in one go. */
#define EVENTS 16

struct sfd_client {
	struct sfd_clients *all;
	struct sfd_client *next, **prev; /* NULL both: the connection has ended */
	int socket;
	uint64_t id; /* in the epoll instance, which may speak of a socket that is closed */
	struct sfd_stop_event stop;
	uid_t uid;
	size_t n_layers;
	bool waits;
	bool shut;     /* it was asked to go */
	int64_t since; /* when it began to wait, or to be served */
};

struct sfd_clients {
	size_t max;
	int changed_fd, hangup_fd; /* an eventfd, an epoll instance */
	uint64_t last_id;
	pthread_mutex_t lock; /* for all of the below, and for every client */
	struct sfd_client *first;
	size_t n;
	bool wanted; /* somebody waits for a place that nobody could leave */
};

static void tell(struct sfd_clients *all)
{
	/* Only a full counter can fail, and that is readable too. */
	sfd_ring(all->changed_fd);
}

int sfd_clients_new(size_t max, struct sfd_clients **ret, struct splitfd_error *err)
{
	struct sfd_clients *all = calloc(1, sizeof(*all));

	if (all == NULL)
		return splitfd_error_oom(err);
	all->max = max;
	all->changed_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	all->hangup_fd = epoll_create1(EPOLL_CLOEXEC);
	if (all->changed_fd < 0 || all->hangup_fd < 0) {
		int e = errno;

		sfd_close(all->changed_fd);
		sfd_close(all->hangup_fd);
		free(all);
		return splitfd_error_sys(err, e, "cannot make a descriptor");
	}
	(void)pthread_mutex_init(&all->lock, NULL);
	*ret = all;
	return 0;
}

struct sfd_clients *sfd_clients_free(struct sfd_clients *all)
{
	if (all == NULL)
		return NULL;
	sfd_close(all->changed_fd);
	sfd_close(all->hangup_fd);
	pthread_mutex_destroy(&all->lock);
	free(all);
	return NULL;
}

size_t sfd_clients_count(struct sfd_clients *all)
{
	size_t n;

	pthread_mutex_lock(&all->lock);
	n = all->n;
	pthread_mutex_unlock(&all->lock);
	return n;
}

int sfd_clients_changed_fd(const struct sfd_clients *all)
{
	return all->changed_fd;
}

void sfd_clients_drain(struct sfd_clients *all)
{
	eventfd_t count;

	/* Non-blocking: nothing to read is nothing to do. */
	(void)eventfd_read(all->changed_fd, &count);
}

int sfd_clients_hangup_fd(const struct sfd_clients *all)
{
	return all->hangup_fd;
}

/* Under the lock. */
static void stop_one(struct sfd_clients *all, uint64_t id)
{
	for (struct sfd_client *c = all->first; c != NULL; c = c->next) {
		if (c->id == id)
			sfd_stop_event_now(&c->stop);
	}
}

void sfd_clients_hung_up(struct sfd_clients *all)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(all->hangup_fd, events, EVENTS, 0);

	pthread_mutex_lock(&all->lock);
	for (int i = 0; i < n; i++)
		stop_one(all, events[i].data.u64);
	pthread_mutex_unlock(&all->lock);
}

void sfd_clients_stop(struct sfd_clients *all)
{
	pthread_mutex_lock(&all->lock);
	for (struct sfd_client *c = all->first; c != NULL; c = c->next)
		sfd_stop_event_now(&c->stop);
	pthread_mutex_unlock(&all->lock);
}

/* The service has yet to take what it sent. */
static bool has_sent(const struct sfd_client *c)
{
	struct pollfd p = { .fd = c->socket, .events = POLLIN };

	return poll(&p, 1, 0) != 0;
}

static bool rather(const struct sfd_client *a, const struct sfd_client *b)
{
	if (b == NULL || (a->n_layers == 0) != (b->n_layers == 0))
		return b == NULL || a->n_layers == 0;
	return a->since < b->since;
}

/* Under the lock. Milliseconds until it is worth to try again, -1 for when something changes. */
static int make_room(struct sfd_clients *all)
{
	struct sfd_client *c, *best = NULL;
	int64_t now = sfd_now_ms();
	int wait_ms = -1;

	for (c = all->first; c != NULL; c = c->next) {
		int left = (int)(c->since + (c->waits ? GRACE_MS : BUSY_MS) - now);

		if (c->shut && c->waits)
			return -1; /* it is on its way out */
		if (c->shut)
			continue;
		if (left <= 0 && c->waits && has_sent(c))
			left = GRACE_MS; /* its thread has yet to see it */
		if (left > 0)
			wait_ms = wait_ms < 0 || left < wait_ms ? left : wait_ms;
		else if (c->waits && rather(c, best))
			best = c;
	}
	/* One with a layer under way does not go before one that will be there in a moment. */
	if (best == NULL || (best->n_layers > 0 && wait_ms >= 0))
		return wait_ms;
	best->shut = true;
	(void)shutdown(best->socket, SHUT_RD);
	fprintf(stderr,
		"splitfd serve: a client of user %u, silent for %lld s, made room for another\n",
		best->uid, (long long)(now - best->since) / 1000);
	return -1;
}

bool sfd_clients_place(struct sfd_clients *all, int *ret_ms)
{
	bool place;

	pthread_mutex_lock(&all->lock);
	place = all->n < all->max;
	all->wanted = !place;
	*ret_ms = place ? -1 : make_room(all);
	pthread_mutex_unlock(&all->lock);
	return place;
}

static void client_free(struct sfd_client *c)
{
	sfd_stop_event_done(&c->stop);
	free(c);
}

int sfd_client_new(struct sfd_clients *all, int socket, uid_t uid, struct sfd_client **ret)
{
	struct sfd_client *c = calloc(1, sizeof(*c));

	/* Only EPOLLHUP, which needs not be asked for; each once. */
	struct epoll_event event = { .events = EPOLLET };
	int r;

	if (c == NULL)
		return -ENOMEM;
	*c = (struct sfd_client){ .all = all, .socket = socket, .uid = uid, .since = sfd_now_ms() };
	r = sfd_stop_event_init(&c->stop, NULL);
	if (r < 0) {
		free(c);
		return r;
	}
	pthread_mutex_lock(&all->lock);
	c->id = event.data.u64 = ++all->last_id;
	if (epoll_ctl(all->hangup_fd, EPOLL_CTL_ADD, socket, &event) < 0) {
		r = -errno;
		pthread_mutex_unlock(&all->lock);
		client_free(c);
		return r;
	}
	c->next = all->first;
	c->prev = &all->first;
	if (c->next != NULL)
		c->next->prev = &c->next;
	all->first = c;
	all->n++;
	pthread_mutex_unlock(&all->lock);
	*ret = c;
	return 0;
}

struct sfd_client *sfd_client_gone(struct sfd_client *c)
{
	struct sfd_clients *all = c->all;

	pthread_mutex_lock(&all->lock);
	*c->prev = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	c->prev = NULL;
	c->next = NULL;
	all->n--;
	if (c->n_layers == 0)
		client_free(c);
	tell(all);
	pthread_mutex_unlock(&all->lock);
	return NULL;
}

void sfd_client_waits(struct sfd_client *c, bool waits)
{
	if (c == NULL)
		return;
	pthread_mutex_lock(&c->all->lock);
	c->waits = waits;
	c->since = sfd_now_ms();
	/* One that can be asked now, or one that was asked and has something to do first. */
	if (c->all->wanted && waits != c->shut)
		tell(c->all);
	pthread_mutex_unlock(&c->all->lock);
}

const struct sfd_stop_event *sfd_client_stop(const struct sfd_client *c)
{
	return &c->stop;
}

struct sfd_client *sfd_client_layer(struct sfd_client *c)
{
	if (c == NULL)
		return NULL;
	pthread_mutex_lock(&c->all->lock);
	c->n_layers++;
	pthread_mutex_unlock(&c->all->lock);
	return c;
}

void sfd_client_layer_done(struct sfd_client *c)
{
	pthread_mutex_t *lock;

	if (c == NULL)
		return;
	lock = &c->all->lock;
	pthread_mutex_lock(lock);
	if (--c->n_layers == 0 && c->prev == NULL)
		client_free(c);
	pthread_mutex_unlock(lock);
}
