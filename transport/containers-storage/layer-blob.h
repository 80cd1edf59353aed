/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_CONTAINERS_STORAGE_LAYER_BLOB_H
#define SPLITFD_CONTAINERS_STORAGE_LAYER_BLOB_H

/*
 * A layer of an additional layer store (a file system of a daemon's, such as that of the stargz
 * snapshotter): its directory has a file `additionallayer` with the absolute path of the layer
 * there, whose file `blob` is the layer as a registry has it. Container-libs reads that, too.
 */

#include "transport/containers-storage/layer.h"

/* The blob of the layer with that directory, for reading; -ENOENT, and no text, where it is no
 * layer of such a store. */
int sfd_layer_blob_open(int layer_dir, struct splitfd_error *err);

/* The layer as a source: desc->layout is SFD_LAYER_BLOB, its tar_split_fd is taken. What the blob
 * gives must have the layer's size and diff_id, where they are known; else the end is an error. */
int sfd_layer_blob_source(
	struct sfd_layer_desc *desc, struct splitfd_source **ret, struct splitfd_error *err);

#endif
