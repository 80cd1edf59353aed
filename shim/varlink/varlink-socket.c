/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/varlink/varlink-socket.h"
#include "splitfdstream/base/stop-event.h"
#include "shim/varlink/varlink-session.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"
#include "splitfdstream/base/thread.h"
#include "transport/containers-storage/store-private.h"

#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

/* Layers at a time, over all sockets of one owner. */
#define LAYERS_MAX 64

struct served {
	struct sfd_varlink_sockets *all;
	struct sfd_serve_settings settings;
	struct splitfd_store *store; /* or */
	struct splitfd_image *image;
	int socket;
	bool used, ended; /* ended: under the lock */
	struct sfd_thread thread;
};

struct sfd_varlink_sockets {
	int timeout_ms;
	struct sfd_stop_event stop;
	pthread_mutex_t lock;
	struct sfd_varlink_shared shared; /* without workers: nothing is imported */
	struct served served[SFD_VARLINK_SOCKETS_MAX];
};

int sfd_varlink_parse_spec(const char *spec, struct splitfd_store_options *options, char **ret_text,
	struct splitfd_error *err)
{
	sfd_cleanup_free char *reference = NULL;
	size_t len = strlen(spec);
	const char *rest;

	*ret_text = NULL;
	if (len == 0)
		return 0;
	if (spec[0] != '[' || spec[len - 1] != ']')
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"a store is \"[driver@graphroot+runroot:options]\" or \"\", not '%s'",
			spec);
	/* The parser of references wants something behind the specifier. */
	reference = sfd_asprintf("containers-storage:%sany", spec);
	if (reference == NULL)
		return splitfd_error_oom(err);
	return splitfd_store_parse_reference(reference, options, ret_text, &rest, err);
}

static void *serve_thread(void *ctx)
{
	struct served *s = ctx;
	struct splitfd_error err = { 0 };
	int socket = sfd_take_fd(&s->socket);

	if (sfd_varlink_serve(&s->settings, &s->all->shared, true, s->store, s->image, socket, NULL,
		    &err) < 0 &&
		err.errnum != ECANCELED)
		fprintf(stderr, "splitfd: a client on a varlink socket: %s\n", err.text);
	pthread_mutex_lock(&s->all->lock);
	s->ended = true;
	pthread_mutex_unlock(&s->all->lock);
	return NULL;
}

static void clean(struct served *s)
{
	splitfd_image_close(s->image);
	sfd_close(s->socket);
	splitfd_store_close(s->store);
	*s = (struct served){ .socket = -EBADF };
}

/* A free place; what has ended is one too. NULL where there is none. */
static struct served *find_place(struct sfd_varlink_sockets *all)
{
	for (size_t i = 0; i < SFD_VARLINK_SOCKETS_MAX; i++) {
		struct served *s = &all->served[i];
		bool ended;

		pthread_mutex_lock(&all->lock);
		ended = s->ended;
		pthread_mutex_unlock(&all->lock);
		if (s->used && ended) {
			sfd_thread_join(&s->thread);
			clean(s);
		}
		if (!s->used)
			return s;
	}
	return NULL;
}

static int start(
	struct sfd_varlink_sockets *all, struct served *s, int *ret_fd, struct splitfd_error *err)
{
	sfd_cleanup_fd int theirs = -EBADF;
	int pair[2], r;

	s->all = all;
	s->settings.timeout_ms = all->timeout_ms;
	s->settings.max_layers = LAYERS_MAX;
	s->settings.cancel_fd = all->stop.fd;
	s->settings.cancel = &all->stop.flag;
	if (s->store != NULL)
		s->store->lock.cancel_fd = all->stop.fd;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return splitfd_error_sys(err, errno, "cannot make a socket");
	s->socket = pair[0];
	theirs = pair[1];
	r = sfd_thread_start(&s->thread, SFD_STACK_LARGE, serve_thread, s);
	if (r < 0)
		return splitfd_error_sys(err, -r, "cannot start a thread");
	s->used = true;
	*ret_fd = sfd_take_fd(&theirs);
	return 0;
}

int sfd_varlink_sockets_open(struct sfd_varlink_sockets *sockets, struct splitfd_store *store,
	struct splitfd_image *image, int *ret_fd, struct splitfd_error *err)
{
	struct served *s = find_place(sockets);
	int r;

	if (s == NULL) {
		splitfd_image_close(image);
		splitfd_store_close(store);
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, EMFILE,
			"there are %d varlink sockets already; close one", SFD_VARLINK_SOCKETS_MAX);
	}
	s->store = store;
	s->image = image;
	r = start(sockets, s, ret_fd, err);
	if (r < 0)
		clean(s);
	return r;
}

int sfd_varlink_sockets_new(
	int timeout_ms, struct sfd_varlink_sockets **ret, struct splitfd_error *err)
{
	struct sfd_senders_options options = { .max = LAYERS_MAX, .timeout_ms = timeout_ms };
	struct sfd_varlink_sockets *all = calloc(1, sizeof(*all));
	int r;

	if (all == NULL)
		return splitfd_error_oom(err);
	all->timeout_ms = timeout_ms;
	(void)pthread_mutex_init(&all->lock, NULL);
	for (size_t i = 0; i < SFD_VARLINK_SOCKETS_MAX; i++)
		all->served[i].socket = -EBADF;
	r = sfd_stop_event_init(&all->stop, err);
	options.cancel_fd = all->stop.fd;
	if (r == 0)
		r = sfd_senders_new(&options, &all->shared.senders, err);
	if (r < 0) {
		sfd_varlink_sockets_free(all);
		return r;
	}
	*ret = all;
	return 0;
}

struct sfd_varlink_sockets *sfd_varlink_sockets_free(struct sfd_varlink_sockets *sockets)
{
	if (sockets == NULL)
		return NULL;
	sfd_stop_event_now(&sockets->stop);
	for (size_t i = 0; i < SFD_VARLINK_SOCKETS_MAX; i++) {
		if (sockets->served[i].used)
			sfd_thread_join(&sockets->served[i].thread);
		clean(&sockets->served[i]);
	}
	sfd_senders_free(sockets->shared.senders);
	sfd_stop_event_done(&sockets->stop);
	pthread_mutex_destroy(&sockets->lock);
	free(sockets);
	return NULL;
}
