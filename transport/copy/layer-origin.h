/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COPY_LAYER_ORIGIN_H
#define SPLITFD_COPY_LAYER_ORIGIN_H

/*
 * Where get-layer's layers come from, by the image's name:
 *
 *	containers-storage:REFERENCE, or a bare REFERENCE	podman's store
 *	composefs:NAME						an image of a composefs repository
 *	tar:-							one tar on standard input
 */

#include "splitfdstream/base/stop-event.h"
#include "splitfdstream/chunk.h"
#include "transport/composefs/images/oci-read.h"
#include "transport/copy/needs.h"

struct sfd_origin_options {
	struct splitfd_store_options store; /* whose lock_timeout is also the repository's */
	const char *repository;		    /* the path, where sfd_origin_is_stored() */
	int timeout_ms;			    /* tar:- */
	/* Called as soon as the store, repository or tar is open; it needs no more than these, and
	 * to write below the directory `objects` (negative: none). */
	sfd_confine_fn *confine;
	int objects;
	const struct sfd_stop_event *stop; /* what ends it; NULL: nothing */
};

struct sfd_origin {
	struct splitfd_store *store;
	struct splitfd_image *image;
	struct splitfd_repository *repository;
	struct sfd_oci_stored stored;
	bool tar;
	char tar_diff_id[72]; /* that the tar must have; "": any */
	int timeout_ms, cancel_fd;
	size_t n_layers;
};

/* "composefs:NAME", of a repository. */
bool sfd_origin_is_stored(const char *image);

/* Finds the image. *ret is for sfd_origin_done in any case. */
int sfd_origin_open(struct sfd_origin_options *options, const char *image, struct sfd_origin *ret,
	struct splitfd_error *err);
void sfd_origin_done(struct sfd_origin *o);

/* The layer by diff_id, the manifest's digest of it, or decimal index (0 is the base). A diff_id of
 * tar:- is noted: only whoever reads the tar can check it. */
int sfd_origin_find(
	struct sfd_origin *o, const char *layer, size_t *ret, struct splitfd_error *err);

/* "sha256:HEX", borrowed; NULL where it is not known (tar:- by its number). */
const char *sfd_origin_diff_id(const struct sfd_origin *o, size_t i);

/* The layer as a source; *ret is the caller's, to be freed before the origin. */
int sfd_origin_layer(
	struct sfd_origin *o, size_t i, struct splitfd_source **ret, struct splitfd_error *err);

#endif
