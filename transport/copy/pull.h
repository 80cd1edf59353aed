/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COPY_PULL_H
#define SPLITFD_COPY_PULL_H

/*
 * A pull: layers from wherever they come into the repository, then the EROFS image, config,
 * manifest and tag, with one sync for all of it. The transports differ only in who feeds the
 * layers' sinks.
 *
 *	sfd_pull_new … sfd_pull_begin (manifest, config, diff_ids)
 *	for each layer i: sfd_pull_layer_sink; where it is not NULL, feed it from any thread
 *	sfd_pull_end, sfd_pull_get_result, sfd_pull_free
 *
 * sfd_pull_run (pull-transports.h) does all of it between sfd_pull_new and sfd_pull_get_result.
 */

#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/stop-event.h"
#include "transport/composefs/images/oci.h"
#include "transport/composefs/repository.h"
#include "transport/copy/image-readings.h"
#include "transport/copy/listener.h"
#include "transport/copy/needs.h"

struct sfd_pull_options {
	const char *reference;	/* as given: transport and all */
	const char *name;	/* the tag; NULL: the reference */
	const char *repository; /* its path */
	bool no_tag;		/* whatever `name` is */
	bool repair; /* what the repository has is not trusted: splitfd_repository_distrust */
	bool no_image;
	/* The layers' sha256: always, never, or (neither) where the source asks for it. */
	bool verify_diff_id, no_verify_diff_id;
	/* More descriptors than usual, where a service chooses how many a layer comes with. */
	bool raise_fd_limit;
	/* Called once, before untrusted data is read; NULL: not at all. The process can do no other
	 * pull if it drops its privileges then. */
	sfd_confine_fn *confine;
	enum sfd_tree_choice tree; /* where podman and cfsctl make two */
	enum splitfd_reflink reflink;
	long jobs;			    /* 0: number of CPUs */
	struct splitfd_store_options store; /* containers-storage; its lock_timeout and lock_notice
					       are also of the repository's lock */
	/* skopeo: arguments for the proxy ("--authfile=…"), NULL-terminated; NULL: none */
	const char *const *proxy_arguments;
	const char *skopeo;    /* --skopeo PATH; NULL: SPLITFD_SKOPEO, then PATH */
	const char *from_repo; /* that a varlink service shall open, or NULL */
	long timeout; /* seconds: the longest silence of a service or of skopeo; 0: for ever */
	const struct sfd_copy_listener *listener; /* NULL: nobody listens */
	const struct sfd_stop_event *stop;	  /* what ends it; NULL: nothing */
};

struct sfd_pull;

int sfd_pull_new(
	const struct sfd_pull_options *options, struct sfd_pull **ret, struct splitfd_error *err);
struct sfd_pull *sfd_pull_free(struct sfd_pull *pull);
const struct sfd_pull_options *sfd_pull_get_options(const struct sfd_pull *pull);
struct splitfd_repository *sfd_pull_repository(struct sfd_pull *pull);
/* Not 0: the pull shall end. */
const volatile int *sfd_pull_cancel_flag(const struct sfd_pull *pull);
/* Readable as soon as it is not 0, for who waits; 0: there is none. Borrowed. */
int sfd_pull_cancel_fd(const struct sfd_pull *pull);

/* What to say before the error of a layer that is not the one it should be; borrowed, for the
 * pull's life. */
void sfd_pull_blame(struct sfd_pull *pull, const char *text);
/* Before sfd_pull_begin(): every layer's sha256 is checked, whatever the options say. */
void sfd_pull_verify_diff_ids(struct sfd_pull *pull);
/* Before sfd_pull_begin(): others than root and this user can write what the layers are read from.
 * Their sha256 is checked unless the options say that it is not. */
void sfd_pull_other_writers(struct sfd_pull *pull);

/* What the image is. Everything is copied. The sha256 of the manifest and the config are made
 * here; the caller has checked them against what it asked for. The number of diff_ids must be that
 * of the config's rootfs. */
int sfd_pull_begin(struct sfd_pull *pull, const char *manifest, size_t manifest_size,
	const char *config, size_t config_size, const char *const *diff_ids, size_t n_layers,
	struct splitfd_error *err);

/* What layers go into, for what is none (an artifact's blobs). After sfd_pull_begin(). */
struct splitfd_import *sfd_pull_import(struct sfd_pull *pull);

/* A note for people, to the listener of the pull at `ctx`. */
void sfd_pull_note(void *ctx, const char *text);

/* The digest of the manifest that came, where another program has converted it on its way. */
void sfd_pull_original(struct sfd_pull *pull, const char *digest);

/* The size of layer i, where it is known before its sink is asked for: for the bar of the whole. */
void sfd_pull_layer_size(struct sfd_pull *pull, size_t i, uint64_t total);

/* *ret is the sink of layer i (0 is the base), borrowed: neither finish nor free it. NULL where the
 * layer is in the repository already, or is the same as an earlier one of this image. `total` is
 * its size in bytes for the progress bar, UINT64_MAX if not known. */
int sfd_pull_layer_sink(struct sfd_pull *pull, size_t i, uint64_t total, struct splitfd_sink **ret,
	struct splitfd_error *err);

/* All chunks of the source into layer i's sink, with the cancel flag looked at. The caller names
 * the layer in an error. */
int sfd_pull_feed(
	struct sfd_pull *pull, size_t i, struct splitfd_source *source, struct splitfd_error *err);

/* Finishes the layers, makes the image, syncs, and makes everything visible. */
int sfd_pull_end(struct sfd_pull *pull, struct splitfd_error *err);

/* After sfd_pull_end: what came of it. */
struct sfd_pull_result {
	struct sfd_oci_result oci;
	struct splitfd_import_stats stats;
	const char *original; /* the manifest's digest before its conversion; NULL: as it came */
	const struct splitfd_digest *image; /* the EROFS image; NULL: there is none */
	const char *why_no_image;	    /* NULL while there is one, or none is wanted */
	unsigned int replaced;		    /* damaged objects */
};
void sfd_pull_get_result(const struct sfd_pull *pull, struct sfd_pull_result *ret);

/*
 * The transports: each feeds all layers (begin to the last sink; not end). What another process
 * gives is not believed: the config must have the digest that the manifest gives, the manifest the
 * one in the reference, where it has one, and every layer the sha256 that is its diff_id.
 */

int sfd_pull_from_store(struct sfd_pull *pull, struct splitfd_error *err);

/* A composefs service, varlink:SOCKET#IMAGE: Inspect, then GetLayer for each layer that is missing.
 */
int sfd_pull_from_varlink(struct sfd_pull *pull, struct splitfd_error *err);

/* A service of container-libs' JSON-RPC dialect, jsonrpc:SOCKET#IMAGE. Files are imported as their
 * descriptors arrive. */
int sfd_pull_from_jsonrpc(struct sfd_pull *pull, struct splitfd_error *err);

SFD_DEFINE_CLEANUP(sfd_cleanup_pull_, struct sfd_pull, sfd_pull_free);
#define sfd_cleanup_pull sfd_cleanup(sfd_cleanup_pull_)

#endif
