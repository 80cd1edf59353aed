/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COPY_PULL_PRIVATE_H
#define SPLITFD_COPY_PULL_PRIVATE_H

/* The inside of struct sfd_pull, for pull-begin.c and pull-end.c. */

#include "transport/copy/pull-image.h"
#include "transport/copy/pull-tree.h"
#include "transport/copy/pull.h"
#include "transport/composefs/import/import.h"
#include "transport/composefs/tree/tree-layer.h"

struct sfd_pull_layer {
	char diff_id[72];
	struct splitfd_sink *sink;     /* NULL: present, or the same as an earlier one */
	struct sfd_tree_layer *record; /* for the tree; NULL: not wanted, or it has it already */
	struct splitfd_digest digest;  /* of the stream, where it is present */
	bool present;
	size_t first; /* the first layer of the image with this diff_id */
	uint64_t bytes, total;
	uint64_t told; /* of `bytes` */
};

struct sfd_pull {
	struct sfd_pull_options options;
	struct splitfd_repository *repository;
	struct splitfd_import *import;
	const volatile int *cancel;
	char *manifest, *config;
	size_t manifest_size, config_size;
	char original[72]; /* the digest of the manifest before its conversion; "": it had none */
	struct sfd_pull_layer *layers;
	struct sfd_pull_tree *tree; /* of the image; NULL where none is to be made */
	const char **diff_ids;
	size_t n_layers;
	struct sfd_pull_images images;
	const char *blame;	 /* see sfd_pull_blame(); NULL */
	bool always_verify;	 /* whatever the options say */
	bool other_writers;	 /* of the source */
	bool images_found;	 /* they were there already */
	char why_no_image[1024]; /* "" while there is an image, or none is wanted */
	struct sfd_oci_result result;
};

/* Reports an event of layer i to the listener, where there is one. */
void sfd_pull_notify(const struct sfd_pull *p, enum sfd_copy_event_kind kind, size_t i,
	uint64_t bytes, uint64_t total);
/* One without a layer: MESSAGE, STAGE, BEGIN, END. */
void sfd_pull_announce(
	const struct sfd_pull *p, enum sfd_copy_event_kind kind, const char *text, uint64_t total);
/* Whether the sha256 of the layers is checked. */
bool sfd_pull_verifies(const struct sfd_pull *p);
/* -ECANCELED once the pull is to end. */
int sfd_pull_interrupted(const struct sfd_pull *p, struct splitfd_error *err);

#endif
