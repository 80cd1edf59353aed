/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COPY_H
#define SPLITFD_COPY_H

/*
 * Pull an image into a composefs repository, and push one into a composefs service: what the
 * commands `splitfd pull` and `splitfd push` do, for programs that link the library.
 *
 * Calls are independent of each other: several may run at once in one process, each on a thread of
 * its own, and into one repository. A call makes threads, and starts skopeo for the transports that
 * skopeo reads. It may start a process of its own to parse untrusted data (this release parses in
 * the caller's process, and confines nothing): callers must not rely on the number of their
 * children, and must not wait for children that they did not start. Callbacks always run in the
 * caller's process, and what they are passed is all there is to read: it never refers to memory of
 * whoever parses.
 *
 * Nothing is printed, no signal's handler is changed, and the process keeps its privileges and
 * limits.
 *
 * Structs grow at their end. Callers set `size`, as in
 *
 *	struct splitfd_pull_options options = { .size = sizeof(options), .image = …, … };
 *
 * and zero what they do not use. A library that does not know a member that is set refuses the call
 * (USAGE, -E2BIG).
 */

#include "splitfdstream/base/error.h"
#include "transport/composefs/object-digest.h"
#include "transport/composefs/repository.h"
#include "transport/containers-storage/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Ends calls from elsewhere. One may serve several calls. */
struct splitfd_stop;

int splitfd_stop_new(struct splitfd_stop **ret, struct splitfd_error *err);
/* The calls that have it end as soon as they can, with -ECANCELED; so do later ones. Any thread, or
 * a signal's handler. */
void splitfd_stop_now(struct splitfd_stop *stop);
/* After the calls that have it. NULL is allowed. Returns NULL. */
struct splitfd_stop *splitfd_stop_free(struct splitfd_stop *stop);

enum splitfd_progress_kind {
	SPLITFD_PROGRESS_IMAGE = 0, /* the image has `total` layers; before all others */
	SPLITFD_PROGRESS_PRESENT,   /* the layer is at its destination already */
	SPLITFD_PROGRESS_STARTED,   /* the layer is being read */
	SPLITFD_PROGRESS_READ,	    /* `bytes` of it were read; about each MiB, and at its end */
	SPLITFD_PROGRESS_STORED,    /* it is complete; visible once the call returns 0 */
	SPLITFD_PROGRESS_NOTE,	    /* `text`, a note for people, without a newline */
};

struct splitfd_progress {
	size_t size; /* of this struct, as the library knows it */
	enum splitfd_progress_kind kind;
	size_t layer;	  /* its index, 0 is the base */
	const char *text; /* the layer's diff_id, "sha256:HEX"; the text of a note */
	uint64_t bytes;	  /* of its tar */
	uint64_t total;	  /* UINT64_MAX where it is not known */
};

/* Called by any thread, also by the library's own, but never twice at once for one call. All is
 * borrowed until it returns. It must not call back into the same pull or push, except for
 * splitfd_stop_now(). */
typedef void (*splitfd_progress_cb)(void *ctx, const struct splitfd_progress *progress);

/* Strings and structs are borrowed for the call. What may be NULL or 0 says what that means. */
struct splitfd_pull_options {
	size_t size;		/* sizeof(struct splitfd_pull_options) */
	const char *image;	/* as on the command line of `splitfd pull`: a reference of
				   containers-storage, varlink:SOCKET#IMAGE, jsonrpc:SOCKET#IMAGE, or one
				   of skopeo's transports */
	const char *repository; /* the path of an existing repository */
	const char *tag;	/* NULL: `image` */
	const struct splitfd_store_options *store; /* of containers-storage; NULL: zeros. Its
						      cancel_fd does not count: `stop`; its
						      lock_timeout and lock_notice are also
						      for the repository's lock */
	enum splitfd_reflink reflink;
	unsigned int jobs;    /* worker threads, at most SPLITFD_JOBS_MAX; 0: one for each CPU, at
				 most 12 */
	bool no_tag;	      /* store the image without a tag */
	bool no_image;	      /* do not make the EROFS image */
	bool verify_diff_ids; /* check the SHA-256 of all layers, also of those that only root and
				 the caller can write */
	const char *skopeo;   /* reads the image instead of the library; NULL: the library, and
				 skopeo found by SPLITFD_SKOPEO and PATH for other transports */
	const char *const *skopeo_arguments; /* "--authfile=FILE", …, NULL-terminated; NULL: none */
	unsigned int timeout;	      /* seconds that a service or skopeo may be silent; 0: 300 */
	splitfd_progress_cb progress; /* NULL: none */
	void *progress_ctx;
	struct splitfd_stop *stop; /* NULL: nothing ends the call */
};

struct splitfd_pull_result {
	size_t size; /* sizeof(struct splitfd_pull_result), set by the caller */
	char manifest_digest[72], config_digest[72]; /* "sha256:HEX", of what was stored */
	struct splitfd_digest manifest, config;	     /* fs-verity, of their streams */
	bool has_image;
	struct splitfd_digest image; /* fs-verity, of the EROFS image */
	char why_no_image[1024];     /* where one was wanted and cannot be made; else "" */
	struct splitfd_import_stats stats;
};

/* 0, or -errno with the reason in err: then nothing of the image is visible. *ret may be NULL. */
int splitfd_pull(const struct splitfd_pull_options *options, struct splitfd_pull_result *ret,
	struct splitfd_error *err);

struct splitfd_push_options {
	size_t size;		/* sizeof(struct splitfd_push_options) */
	const char *image;	/* a reference of containers-storage, or composefs:NAME */
	const char *service;	/* the service's Unix socket */
	const char *repository; /* the path of the repository that the service opens */
	const char *tag;	/* NULL: `image` */
	const struct splitfd_store_options *store; /* as of a pull */
	const char *from_repository;  /* the path of the repository of composefs:NAME */
	bool zerocopy;		      /* fail rather than copy a file */
	unsigned int timeout;	      /* seconds that the service may be silent; 0: 300 */
	splitfd_progress_cb progress; /* NULL: none */
	void *progress_ctx;
	struct splitfd_stop *stop; /* NULL: nothing ends the call */
};

struct splitfd_push_result {
	size_t size; /* sizeof(struct splitfd_push_result), set by the caller */
	char manifest_digest[72], config_digest[72];
	uint64_t layers_sent, layers_present;
	uint64_t bytes, bytes_streamed; /* of the layers' tars; of these, not opened by name */
	uint64_t objects_reflinked, objects_hardlinked, objects_copied, objects_present;
};

/* 0, or -errno with the reason in err: then the tag is as it was. *ret may be NULL. */
int splitfd_push(const struct splitfd_push_options *options, struct splitfd_push_result *ret,
	struct splitfd_error *err);

#ifdef __cplusplus
}
#endif

#endif
