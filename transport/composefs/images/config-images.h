/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_CONFIG_IMAGES_H
#define SPLITFD_COMPOSEFS_CONFIG_IMAGES_H

/*
 * A config's references to what was made of its layers: EROFS images, and objects that these have
 * beside the layers'.
 */

#include "transport/composefs/stream/splitstream.h"

#define SFD_IMAGE_REF	      "composefs.image" /* begins the name of each image's reference */
#define SFD_IMAGE_OBJECTS_REF "splitfd.objects"

bool sfd_is_image_ref(const char *name);

/* Do they still hold where the layers are those of `now` (diff_ids and streams; the last of a name
 * counts)? 1; 0 where a layer's stream has another content than the one that the config refers to.
 * An old stream that cannot be read any more is taken for the same layer. -errno where that cannot
 * be found out. */
int sfd_image_refs_hold(struct splitfd_repository *repository, const struct sfd_splitstream *config,
	const struct sfd_splitstream_ref *now, size_t n_now, struct splitfd_error *err);

/* An error of a stream that is damaged or gone, not of the machine. */
bool sfd_is_stream_damage(int r, const struct splitfd_error *why);

/* The row of that name, or NULL. */
const struct splitfd_digest *sfd_ref_find(
	const struct sfd_splitstream_ref *rows, size_t n, const char *name);

#endif
