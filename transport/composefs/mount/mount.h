/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_MOUNT_H
#define SPLITFD_COMPOSEFS_MOUNT_H

/*
 * An EROFS image and the objects as one file system: overlay over the image, with objects/ as its
 * data-only layer. Needs the mount API of Linux 5.2 and overlay's data-only layers of 6.5; what
 * older kernels than 6.15 cannot do (images mounted from files, layers that are not attached) is
 * done by a loop device and a temporary mount point.
 */

#include "transport/composefs/repository.h"

struct sfd_mount_options {
	const char *upper, *work; /* directories of a writable layer, or NULL */
	bool read_write;	  /* with upper and work only */
	bool suid, dev;		  /* set-user-id programs and device files work */
	bool old_kernel;	  /* do as on kernels before 6.12 (for tests) */
};

/* Mounts the image object `image` of the repository on the directory `target`. Needs
 * CAP_SYS_ADMIN. */
int sfd_mount_image(struct splitfd_repository *repository, const struct splitfd_digest *image,
	const char *target, const struct sfd_mount_options *options, struct splitfd_error *err);

/* Unmounts what sfd_mount_image (or cfsctl) has mounted on `target`. REFUSED where something else
 * is mounted there, NOT_FOUND where nothing is. */
int sfd_umount_image(const char *target, struct splitfd_error *err);

#endif
