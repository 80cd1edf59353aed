/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SKOPEO_PROXY_CLIENT_PRIVATE_H
#define SPLITFD_SKOPEO_PROXY_CLIENT_PRIVATE_H

/*
 * The inside of a proxy's client: its life (proxy-start.c) and its calls (proxy-call.c).
 */

#include "transport/skopeo/proxy-client.h"

#include <pthread.h>
#include <stdatomic.h>

/* Servers do not bound their replies; a list of layers is the longest. */
#define SFD_PROXY_REPLY_SIZE ((size_t)1024 * 1024)
/* How often a silent program is looked at. */
#define SFD_PROXY_LOOK_MS 500
/* The same for a program that is to end. */
#define SFD_PROXY_END_MS 2000

struct sfd_proxy {
	atomic_uint refs;
	atomic_int pid; /* 0: it has ended */
	int socket;
	int stall_ms;
	const volatile int *cancel; /* or NULL */
	int cancel_fd;
	int hung_up_fd; /* an eventfd */
	int stop_fd;	/* an epoll of these two */
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

bool sfd_proxy_is_ending(const struct sfd_proxy *proxy);

/* True once no byte has moved for the stall time, or, where the program is to end, for a while. */
bool sfd_proxy_has_stalled(const struct sfd_proxy *proxy, struct sfd_proxy_watch *watch);

/* The reply to `method`, which is there or comes within the stall time. Locked. */
int sfd_proxy_receive(struct sfd_proxy *proxy, const char *method, const char *args,
	struct sfd_proxy_reply *ret, struct splitfd_error *err);

/* The error of a reply that is not one. */
int sfd_proxy_nonsense(const char *method, struct splitfd_error *err);

#endif
