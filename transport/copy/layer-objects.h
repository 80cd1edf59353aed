/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COPY_LAYER_OBJECTS_H
#define SPLITFD_COPY_LAYER_OBJECTS_H

/*
 * A layer into an objects directory that its owner passed along: `get-layer --objects` and the
 * option `objects` of GetLayerSplitfd.
 */

#include "splitfdstream/reconstruct.h"
#include "transport/composefs/repository.h"

/* Stores the layer's files and its splitstream; when all of it is on the disk, gives the
 * splitstream to `bytes`. Takes `objects`, always. diff_id: what the layer has to be (its sha256 is
 * checked); NULL: not known. *cancel as in splitfd_pump. */
int sfd_store_layer(int objects, enum splitfd_algorithm algorithm, const char *diff_id,
	struct splitfd_source *source, const volatile int *cancel, splitfd_bytes_fn *bytes,
	void *ctx, struct splitfd_error *err);

#endif
