/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_IMAGE_REFS_H
#define SPLITFD_COMPOSEFS_IMAGE_REFS_H

/*
 * EROFS images by name: images/HEX, and references to them, images/refs/NAME, which may lie in
 * folders below refs/.
 */

#include "transport/composefs/digest-table.h"

struct sfd_image_ref {
	char *name;   /* below images/refs/ */
	char *target; /* of the link, as it is */
};

/* All references, sorted by name; none where there is no such folder. What is no link is left out.
 * *ret is for sfd_image_refs_free. */
int sfd_image_refs_list(struct splitfd_repository *repository, struct sfd_image_ref **ret,
	size_t *ret_n, struct splitfd_error *err);
void sfd_image_refs_free(struct sfd_image_ref *refs, size_t n);

/* The objects that an image refers to, each once, into *ret, an initialized table. `name` is the
 * image's digest, a reference, or a path below images/. NOT_FOUND where there is none. */
int sfd_image_objects(struct splitfd_repository *repository, const char *name,
	struct sfd_digest_table *ret, struct splitfd_error *err);

#endif
