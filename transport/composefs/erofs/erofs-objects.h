/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_EROFS_OBJECTS_H
#define SPLITFD_COMPOSEFS_EROFS_OBJECTS_H

/*
 * The objects that a composefs EROFS image refers to: the digest in trusted.overlay.metacopy of
 * every inode that can be reached from the root. Everything in the image is hostile. Source of the
 * format: the kernel's fs/erofs/erofs_fs.h; composefs 1.0.8.
 */

#include "transport/composefs/repository.h"

/* Larger images are not read. */
#define SFD_EROFS_IMAGE_MAX ((size_t)2 * 1024 * 1024 * 1024)

/* Calls `object` for each reference, the same digest perhaps several times; an error of it ends the
 * walk. -EBADMSG where the image is malformed. */
int sfd_erofs_objects(const uint8_t *image, size_t size, enum splitfd_algorithm algorithm,
	int (*object)(void *ctx, const struct splitfd_digest *digest, struct splitfd_error *err),
	void *ctx, struct splitfd_error *err);

#endif
