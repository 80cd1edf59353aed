/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_CONTAINERS_STORAGE_OPENER_H
#define SPLITFD_CONTAINERS_STORAGE_OPENER_H

/*
 * The files of a user's own store that the user cannot open.
 *
 * Without root, podman unpacks a layer in a user namespace: a file of uid 7 of the image belongs to
 * one of the user's subordinate ids, and with mode 0600, 0000 or below a directory of mode 0700 it
 * cannot be opened outside of that namespace. `podman unshare` runs a program inside of it. So a
 * process of this same program there opens such files, by the code that the reader uses itself
 * (layer-open.h), and passes the descriptors. It is started when the first such file is met, serves
 * nothing but layers of the store that it was started for, and ends with the reader.
 */

#include "splitfdstream/base/error.h"

#include <stddef.h>
#include <stdint.h>

struct sfd_opener;

/* Most directories of layers that one store has: one for each of its places. */
#define SFD_OPENER_DIRS_MAX 16

/* An opener for layers in the n directories at dirs (O_PATH: overlay/, or vfs/dir/), which it
 * always takes. A layer's directory lies `depth` below one of them: 2 for overlay/ID/diff, 1 for
 * vfs/dir/ID. `program` is this program's path, copied. Nothing is started yet. *ret is the
 * caller's (one reference). */
int sfd_opener_new(const char *program, const int *dirs, size_t n, unsigned int depth,
	int cancel_fd, struct sfd_opener **ret, struct splitfd_error *err);

/* NULL is allowed in both. ref returns the opener. unref returns NULL; with the last reference the
 * process ends and is waited for. */
struct sfd_opener *sfd_opener_ref(struct sfd_opener *opener);
struct sfd_opener *sfd_opener_unref(struct sfd_opener *opener);

/* As sfd_layer_open(), in the namespace. `dir` is a layer's directory (O_PATH, borrowed). Called by
 * several threads at once; their requests are under way together. Where no process can be started
 * the error says what has to be set up, and every further call gives the same error. */
int sfd_opener_open(struct sfd_opener *opener, int dir, const char *name, uint64_t size,
	int *ret_fd, struct splitfd_error *err);

#endif
