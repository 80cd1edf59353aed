/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_CONTAINERS_STORAGE_TOC_H
#define SPLITFD_CONTAINERS_STORAGE_TOC_H

/*
 * The table of contents of a zstd:chunked layer: which content a name has. Layers of a store with
 * use_composefs, and flat ones, keep their files by the sha256 of the content, diff/HH/REST. Source
 * of the format: container-libs' storage library, pkg/chunked.
 */

#include "splitfdstream/base/error.h"

#include <stddef.h>

struct sfd_toc;

/* "HH/", 62 hex digits, NUL. */
#define SFD_TOC_PATH_SIZE 66

/* Reads the JSON, which stays the caller's. `what` names the layer in errors. *ret is the
 * caller's. */
int sfd_toc_new(const char *json, size_t size, const char *what, struct sfd_toc **ret,
	struct splitfd_error *err);

/* The path of the content of the regular file `name`, cleaned as sfd_layer_clean_name does. -ENOENT
 * without a text where the table has no such file. */
int sfd_toc_find(const struct sfd_toc *toc, const char *name, char path[SFD_TOC_PATH_SIZE]);

/* NULL is allowed. Returns NULL. */
struct sfd_toc *sfd_toc_free(struct sfd_toc *toc);

#endif
