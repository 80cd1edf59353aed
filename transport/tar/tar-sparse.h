/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_TAR_SPARSE_H
#define SPLITFD_TAR_SPARSE_H

/*
 * A sparse file as it is on a disk, from what a tar holds of it. Source of the formats: GNU tar's
 * manual, "Storing Sparse Files"; what is damaged is what Go's archive/tar refuses.
 */

#include "splitfdstream/base/error.h"
#include "transport/tar/tar-entry.h"

#include <sys/types.h>

struct sfd_tar_expansion {
	/* The next n bytes of the content in the tar; less is an error. 0 or -errno with a text. */
	int (*read)(void *ctx, void *buffer, size_t n, struct splitfd_error *err);
	/* The next n bytes of the file; NULL: zeros. */
	int (*write)(void *ctx, const void *data, uint64_t n, struct splitfd_error *err);
	void *ctx;
};

/* Reads all of the content, writes all of the file. -EINVAL (kind REFUSED) where the map in front
 * of the content is damaged. */
int sfd_tar_sparse_expand(const struct sfd_tar_entry *e, const struct sfd_tar_expansion *x,
	struct splitfd_error *err);

#endif
