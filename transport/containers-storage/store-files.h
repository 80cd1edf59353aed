/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_CONTAINERS_STORAGE_STORE_FILES_H
#define SPLITFD_CONTAINERS_STORAGE_STORE_FILES_H

/*
 * Names beneath a store: resolved by openat2, without symbolic links, never out of the store.
 * Nothing but regular files is opened for reading, nothing but directories as a place.
 */

#include "splitfdstream/base/error.h"

#include <stdbool.h>
#include <stddef.h>

/* An O_PATH directory descriptor of the absolute `path` (symbolic links are followed: the
 * administrator owns it), or -errno. */
int sfd_store_open_root(const char *path);

/* An O_PATH directory descriptor of `path` beneath dirfd, or -errno. Mounts may be crossed only
 * with `cross_mounts` (overlay/ is bind-mounted on itself while the store is in use). */
int sfd_store_open_dir(int dirfd, const char *path, bool cross_mounts);

/* A descriptor for reading of the regular file `path` beneath dirfd, or -errno; -EINVAL where it
 * is something else, which is not opened. */
int sfd_store_open_file(int dirfd, const char *path);

/* The whole file beneath dirfd, as sfd_read_file_fd(). */
int sfd_store_read_file(int dirfd, const char *path, size_t max, char **ret_data, size_t *ret_size);

/* True for 64 lower-case hex digits and nothing else: an image's or a layer's ID. Nothing else ever
 * becomes part of a path. */
bool sfd_store_id_valid(const char *id);

/* True for the 26 characters (A-Z, 2-7) of a name in overlay/l/. */
bool sfd_store_link_valid(const char *link, size_t n);

/* The file name of a big-data key: the key itself where it holds only a-z, 0-9 and dots, else '='
 * and base64. -ENAMETOOLONG; -EINVAL where the name would hold a slash or be no file's name. */
int sfd_store_big_data_name(const char *key, char *name, size_t size);

#endif
