/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COPY_PULL_IMAGE_H
#define SPLITFD_COPY_PULL_IMAGE_H

/*
 * The EROFS images of a pull: one for each format that the repository asks for.
 */

#include "transport/copy/image-readings.h"
#include "transport/composefs/images/names.h"
#include "transport/composefs/repository.h"
#include "transport/composefs/tree/tree.h"

/* "composefs.image", "composefs.image.v1", and the boot variants of both. */
#define SFD_PULL_IMAGES_MAX 6

struct sfd_pull_images {
	struct {
		char name[64]; /* of the reference on the config's stream */
		struct splitfd_digest digest;
	} rows[SFD_PULL_IMAGES_MAX];
	size_t n;
	struct splitfd_digest main; /* the image of the repository's default format */
	bool has_main;
};

/* Whether the image is in the repository already, whole: the config's stream refers to an image of
 * each wanted format that is there, and to these layers by their digests `layers`; these layers are
 * whole, as the caller knows. Then *ret has the references, and no layer has to be read again. */
bool sfd_pull_find_images(struct splitfd_repository *repository, const char *config,
	size_t config_size, const char *const *diff_ids, const struct splitfd_digest *layers,
	size_t n_layers, struct sfd_pull_images *ret);

/* Stores the images of a finished tree as objects, and adds images/HEX to `names`. */
int sfd_pull_make_images(struct splitfd_repository *repository, const struct sfd_tree *tree,
	struct sfd_names *names, struct sfd_pull_images *ret, struct splitfd_error *err);

/* The same of layers that are in the repository, where they may be read in two ways
 * (image-readings.h); *ret also refers to the objects that the image needs besides. */
int sfd_pull_make_images_of_readings(const struct sfd_readings *readings, const char *why,
	struct sfd_names *names, struct sfd_pull_images *ret, struct splitfd_error *err);

#endif
