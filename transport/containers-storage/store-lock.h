/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_CONTAINERS_STORAGE_STORE_LOCK_H
#define SPLITFD_CONTAINERS_STORAGE_STORE_LOCK_H

/*
 * Container-libs' own locks: fcntl record locks on images.lock and layers.lock (not flock, which
 * does not interact with them). Every podman, buildah and skopeo command takes these exclusively
 * while it opens the store, so a shared lock is held for milliseconds: read records, open
 * descriptors, unlock.
 *
 * Order when several are held: the layers locks (primary, image store, additional stores), then
 * the images locks in the same order. A remover holds layers and waits for images, so whoever
 * holds an images lock must not wait for a layers lock.
 */

#include "splitfdstream/base/lock-wait.h"
#include "transport/containers-storage/store.h"

/* Waits for the shared lock of the file `path` beneath dirfd ("overlay-layers/layers.lock") and
 * returns its descriptor; closing it unlocks. An open file description lock (F_OFD_SETLK), so it
 * is not lost when another descriptor of the file is closed, and two threads do not share one.
 * Opened O_RDONLY: nothing is created. -ENOENT without a text where there is no such file (a store
 * on read-only media has none; nobody else could be locked out then). `place` is what the file lies
 * below, for errors; `options` says who ends the wait, and when. */
int sfd_store_lock_shared(int dirfd, const char *path, const char *place,
	const struct sfd_lock_options *options, struct splitfd_error *err);

/* Of a store, with what ends its wait (0: nothing). */
struct sfd_lock_options sfd_store_lock_options(
	const struct splitfd_store_options *options, int cancel_fd);

#endif
