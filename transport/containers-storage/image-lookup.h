/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_CONTAINERS_STORAGE_IMAGE_LOOKUP_H
#define SPLITFD_CONTAINERS_STORAGE_IMAGE_LOOKUP_H

/*
 * The two ways to find an image that image-ref.h describes.
 */

#include "transport/containers-storage/image-match.h"

int sfd_lookup_podman(const struct sfd_image_db *db, const char *name, struct sfd_image_found *ret,
	struct splitfd_error *err);
int sfd_lookup_transport(const struct sfd_image_db *db, const char *name,
	struct sfd_image_found *ret, struct splitfd_error *err);

#endif
