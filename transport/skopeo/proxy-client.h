/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SKOPEO_PROXY_CLIENT_H
#define SPLITFD_SKOPEO_PROXY_CLIENT_H

/*
 * A running `skopeo experimental-image-proxy` and calls to it. Source of the protocol: skopeo's
 * manual and container-libs' json-proxy (0.2.x), as observed.
 */

#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/error.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A peer that neither answers nor moves any byte for this long is given up. */
#define SFD_PROXY_STALL_MS (300 * 1000)

struct sfd_proxy_options {
	const char *program;	      /* as sfd_find_skopeo gives it */
	const char *const *arguments; /* behind `experimental-image-proxy`; NULL-terminated or NULL
				       */
	int stall_ms;		      /* 0: SFD_PROXY_STALL_MS */
	const volatile int *cancel;   /* is looked at: once set, it is as if hung up; NULL: none */
	int cancel_fd; /* the same once it is readable, which ends waiting; 0: none */
};

struct sfd_proxy;

/* Starts the program with one end of a socket pair as its standard input, its standard output
 * closed, its standard error ours, and calls Initialize. *ret is the caller's. */
int sfd_proxy_start(
	const struct sfd_proxy_options *options, struct sfd_proxy **ret, struct splitfd_error *err);
/* One more user of it: each calls sfd_proxy_stop, and only the last has any effect. */
struct sfd_proxy *sfd_proxy_ref(struct sfd_proxy *proxy);

/* Has all images closed, because an old skopeo leaves what it has unpacked of an archive otherwise,
 * and closes the socket; a program that has not ended within two seconds is killed. NULL is
 * allowed. Returns NULL. */
struct sfd_proxy *sfd_proxy_stop(struct sfd_proxy *proxy);

/* Nothing more is wanted of the program: calls fail, and all waiting for it or for its pipes ends.
 * Any thread. */
void sfd_proxy_hang_up(struct sfd_proxy *proxy);
/* Readable from then on, and once options->cancel_fd is: for whoever waits for a pipe of the
 * program. Borrowed. */
int sfd_proxy_stop_fd(const struct sfd_proxy *proxy);
/* -ECANCELED from then on, and once options->cancel is set or options->cancel_fd readable; else 0.
 */
int sfd_proxy_check_ending(const struct sfd_proxy *proxy, struct splitfd_error *err);

/* The longest silence. */
int sfd_proxy_stall_ms(const struct sfd_proxy *proxy);

/* The protocol version that it announced, as major.minor.patch in one number: 0.2.8 is 208. */
unsigned int sfd_proxy_version(const struct sfd_proxy *proxy);

/* True after a call that had no reply: the proxy is useless. */
bool sfd_proxy_broken(struct sfd_proxy *proxy);

/* When the program was seen to move bytes. Starts as zeros. */
struct sfd_proxy_watch {
	uint64_t moved;
	int64_t since;
};

/* For who waits for a pipe of the program while nobody waits for a reply: to be called now and
 * then. A program that has moved no byte for the stall time is ended, and then, or where it is
 * useless already, the error says why; else 0. */
int sfd_proxy_look_moving(
	struct sfd_proxy *proxy, struct sfd_proxy_watch *watch, struct splitfd_error *err);

/* -errno where the program was ended, or has itself: asked by who finds a pipe of it closed. Does
 * not wait for calls. */
int sfd_proxy_check_running(struct sfd_proxy *proxy, struct splitfd_error *err);

/* -errno and how it ended where the program is gone or ends within wait_ms; 0 where it runs on. */
int sfd_proxy_look_alive(struct sfd_proxy *proxy, int wait_ms, struct splitfd_error *err);

/* What is read while a reply is waited for. */
struct sfd_proxy_beside {
	int fd; /* negative: nothing any more */
	/* Called when fd is readable or hung up; what it returns below 0 ends the call. */
	int (*ready)(struct sfd_proxy_beside *beside, struct splitfd_error *err);
};

struct sfd_proxy_reply {
	bool success;
	cJSON *value; /* in the tree of `json`, or NULL */
	uint32_t pipeid;
	const char *code;  /* in `json`; "" where the server gives none */
	const char *error; /* in `json`; "" on success */
	int fds[2];	   /* n_fds of them, the caller's until taken */
	size_t n_fds;
	cJSON *json;
};

/* One call: `args` is a JSON array's text. The reply's shape is checked, its success is not: that
 * is the caller's. Returns 0, or -errno where there is no reply: the program went away, is silent
 * while it moves no byte for the stall time (it is killed then), or sent nonsense; the proxy is
 * useless afterwards. *watch_fd hanging up, where >= 0, ends the wait with -ECANCELED, as do
 * hanging up and cancelling. Calls of several threads are taken one after the other. */
int sfd_proxy_call(struct sfd_proxy *proxy, const char *method, const char *args, int watch_fd,
	struct sfd_proxy_reply *ret, struct splitfd_error *err);

/* The same; `beside`, where it is not NULL, is read meanwhile. */
int sfd_proxy_call_beside(struct sfd_proxy *proxy, const char *method, const char *args,
	struct sfd_proxy_beside *beside, struct sfd_proxy_reply *ret, struct splitfd_error *err);

/* Turns a reply without success into an error of the kind that its text has, -EPIPE where it says
 * that we have closed a pipe; 0 otherwise. */
int sfd_proxy_check(
	const struct sfd_proxy_reply *reply, const char *method, struct splitfd_error *err);
/* The same of a method that opens the image `reference`. */
int sfd_proxy_check_open(const struct sfd_proxy_reply *reply, const char *method,
	const char *reference, struct splitfd_error *err);

/* Closes what was not taken, frees the JSON. */
void sfd_proxy_reply_done(struct sfd_proxy_reply *reply);

SFD_DEFINE_CLEANUP(sfd_cleanup_proxy_, struct sfd_proxy, sfd_proxy_stop);
#define sfd_cleanup_proxy sfd_cleanup(sfd_cleanup_proxy_)

#endif
