/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_CONTAINERS_STORAGE_LAYER_FILES_H
#define SPLITFD_CONTAINERS_STORAGE_LAYER_FILES_H

/*
 * The files of a layer on disk, opened by name without leaving the layer's directories.
 * layer-open.h says how; what this process may not open, the opener of the layer opens.
 */

#include "splitfdstream/chunk.h"
#include "transport/containers-storage/layer.h"
#include "transport/containers-storage/tar-split/member-name.h"

/* Takes the directories, the lowers, the opener and the store out of *desc; what it did not take
 * when it fails is still there. `what` names the layer in errors and is copied. *ret is the
 * caller's (one reference). */
int sfd_layer_files_new(struct sfd_layer_desc *desc, const char *what, struct splitfd_files **ret,
	struct splitfd_error *err);

#endif
