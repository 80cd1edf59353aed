/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_PROXY_SESSION_H
#define SPLITFD_SHIM_PROXY_SESSION_H

/*
 * One client of the image proxy: its images, its pipes, the real skopeo behind it.
 */

#include "shim/proxy/proxy-native.h"
#include "shim/proxy/proxy-pipe.h"
#include "splitfdstream/base/buffer.h"
#include "transport/skopeo/proxy-client.h"

#include <cjson/cJSON.h>

/* The version that is announced by default: all its methods are there. */
#define SFD_PROXY_PROTOCOL "0.2.8"
/* The largest request; a longer one is answered with an error. */
#define SFD_PROXY_REQUEST_MAX ((size_t)32 * 1024)
/* Replies of more bytes than clients' buffers hold are refused. */
#define SFD_PROXY_REPLY_MAX ((size_t)32 * 1024)

struct sfd_proxy_settings {
	int socket;	      /* connected to the client; borrowed */
	int cancel_fd;	      /* an eventfd that ends the session's work; borrowed */
	const char *announce; /* the protocol's version */
	const char *skopeo;   /* the real one; NULL: found when it is needed */
	const char *policy;   /* --policy; NULL: the system's */
	bool insecure_policy; /* accept every image */
	const char *conflict; /* what Initialize is refused with; NULL: it is not */
	long lock_timeout;    /* seconds that another process may hold a lock; 0: the default */
	int stall_ms;	      /* how long anybody may be silent in the middle of something */
	const char *const *arguments; /* for the real skopeo; NULL-terminated */
};

struct sfd_proxy_image {
	uint64_t id;
	struct sfd_native *native; /* or NULL: it is skopeo's */
	uint64_t foreign_id;
	unsigned int generation; /* of the skopeo that knows it */
	char *manifest;		 /* skopeo's, where it was needed: NUL-terminated */
	bool converted;		 /* it is not the original */
};

struct sfd_proxy_session {
	const struct sfd_proxy_settings *settings;
	bool initialized;
	struct sfd_pipes *pipes;
	struct sfd_proxy_image *images; /* by ascending id */
	size_t n_images, cap_images;
	uint64_t last_image;
	struct sfd_proxy *skopeo;
	unsigned int generation;
	struct sfd_varlink_sockets *varlink; /* NULL: not asked for yet */
	int received_fd; /* what came with the request; -EBADF when taken or none */
};

struct sfd_proxy_answer {
	struct sfd_buffer value; /* JSON; empty: null */
	uint32_t pipeid;
	int fds[2];
	size_t n_fds;
	bool failed; /* with skopeo's own words: */
	char *error;
	char code[16];
};

/* Argument i as the whole number that Go's proxy would take it for. */
int sfd_proxy_arg_number(const cJSON *args, int i, uint64_t *ret, struct splitfd_error *err);

/* The image that the first argument numbers. The texts of errors are those of Go's proxy. */
int sfd_proxy_arg_image(struct sfd_proxy_session *s, const cJSON *args,
	struct sfd_proxy_image **ret, struct splitfd_error *err);

/* A new image; *ret is borrowed until the next one is added. */
int sfd_proxy_add_image(
	struct sfd_proxy_session *s, struct sfd_proxy_image **ret, struct splitfd_error *err);
void sfd_proxy_remove_image(struct sfd_proxy_session *s, struct sfd_proxy_image *image);
void sfd_proxy_drop_images(struct sfd_proxy_session *s);

/* proxy-forward.c: the real skopeo. `args` without the image's ID. */
int sfd_forward_open(struct sfd_proxy_session *s, const char *reference, bool optional,
	uint64_t *ret_foreign_id, struct sfd_proxy_answer *answer, struct splitfd_error *err);
int sfd_forward_image(struct sfd_proxy_session *s, struct sfd_proxy_image *image,
	const char *method, const cJSON *args, struct sfd_proxy_answer *answer,
	struct splitfd_error *err);
int sfd_forward_finish(struct sfd_proxy_session *s, const struct sfd_foreign_pipe *pipe,
	struct sfd_proxy_answer *answer, struct splitfd_error *err);
/* Asks skopeo, which enforces the policy, for the image, and compares what it opened with ours. */
int sfd_forward_check(struct sfd_proxy_session *s, const char *reference,
	const struct sfd_native *native, struct sfd_proxy_answer *answer,
	struct splitfd_error *err);

/* A request of the client is there, or nobody has to look after skopeo while it is waited for. */
int sfd_forward_wait_request(struct sfd_proxy_session *s, struct splitfd_error *err);

/* proxy-supply.c: what an old skopeo lacks, made of what it has. */
int sfd_supply_layer_info(struct sfd_proxy_session *s, struct sfd_proxy_image *image, bool piped,
	struct sfd_proxy_answer *answer, struct splitfd_error *err);
int sfd_supply_raw_blob(struct sfd_proxy_session *s, struct sfd_proxy_image *image,
	const char *digest, struct sfd_proxy_answer *answer, struct splitfd_error *err);
/* And what every skopeo lacks: a raw blob that stops because it has ended has an error. */
int sfd_supply_raw_errors(
	struct sfd_proxy_session *s, struct sfd_proxy_answer *answer, struct splitfd_error *err);

/* proxy-splitfd.c */
int sfd_proxy_get_layer_splitfd(struct sfd_proxy_session *s, const cJSON *args,
	struct sfd_proxy_answer *answer, struct splitfd_error *err);

/* proxy-varlink.c */
int sfd_proxy_open_varlink_socket(struct sfd_proxy_session *s, const cJSON *args,
	struct sfd_proxy_answer *answer, struct splitfd_error *err);

/* A document as the answer's pipe. */
int sfd_proxy_answer_bytes(struct sfd_proxy_session *s, const void *data, size_t n,
	struct sfd_proxy_answer *answer, struct splitfd_error *err);

#endif
