/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_LAYER_OBJECTS_H
#define SPLITFD_SHIM_LAYER_OBJECTS_H

/*
 * A layer into an objects directory that its owner passed along: `get-layer --objects` and the
 * option `objects` of GetLayerSplitfd.
 */

#include "splitfdstream/chunk.h"
#include "transport/composefs/repository.h"

/* Stores the layer's files and its splitstream, all of it on the disk at the end. Takes `objects`,
 * always. diff_id: what the layer has to be (its sha256 is checked); NULL: not known. *cancel as in
 * splitfd_pump. *ret_fd is the splitstream, open for reading, *ret_size its size. */
int sfd_store_layer(int objects, enum splitfd_algorithm algorithm, const char *diff_id,
	struct splitfd_source *source, const volatile int *cancel, int *ret_fd, uint64_t *ret_size,
	struct splitfd_error *err);

/* "sha512", "sha256"; NULL: sha512. False for any other. */
bool sfd_parse_algorithm(const char *text, enum splitfd_algorithm *ret);

#endif
