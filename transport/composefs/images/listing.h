/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_LISTING_H
#define SPLITFD_COMPOSEFS_LISTING_H

/*
 * What is in a repository, as cfsctl shows it.
 */

#include "transport/composefs/images/oci-read.h"

struct sfd_image_row {
	char *name;
	char *manifest_digest;
	char *architecture, *os; /* "" where the config has none, or for an artifact */
	char *created;		 /* NULL where the config has none */
	bool container;
	size_t n_layers, n_referrers;
};

struct sfd_image_list {
	struct sfd_image_row *rows; /* sorted by name */
	size_t n;
};

/* All tagged images. One that is damaged is passed to `skipped` (may be NULL) and left out; what
 * the system denies (EIO, ENOMEM) is an error. Tags that do not point at a manifest are left out.
 */
int sfd_images_list(struct splitfd_repository *repository,
	void (*skipped)(void *ctx, const char *name, const struct splitfd_error *why), void *ctx,
	struct sfd_image_list *ret, struct splitfd_error *err);
void sfd_images_done(struct sfd_image_list *list);

struct sfd_layer_row {
	char *diff_id;
	struct splitfd_digest verity; /* of the stream */
	uint64_t size;		      /* of the tar */
	uint64_t external_objects;    /* distinct */
	uint64_t external_size;	      /* with repeats */
	uint64_t inline_size;
	uint64_t entries; /* of the tar */
	bool is_tar;	  /* else it is none, and `entries` is what came before that showed */
};

/* Facts of one stored layer. NOT_FOUND where it is not there. */
int sfd_layer_read(struct splitfd_repository *repository, const char *diff_id,
	struct sfd_layer_row *ret, struct splitfd_error *err);

/* The diff_ids of all layers in streams/, sorted; *ret is for sfd_layer_ids_free. */
int sfd_layer_ids(struct splitfd_repository *repository, char ***ret, size_t *ret_n,
	struct splitfd_error *err);
void sfd_layer_ids_free(char **ids, size_t n);

#endif
