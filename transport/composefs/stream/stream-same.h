/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_STREAM_SAME_H
#define SPLITFD_COMPOSEFS_STREAM_SAME_H

#include "splitfdstream/digest.h"
#include "transport/composefs/repository.h"

/* Have two splitstreams the same content: the same inline bytes and the same objects between them?
 * Their files may differ, as another libzstd compresses otherwise. 1; 0; -errno where one of them
 * cannot be read, and `err` says why. */
int sfd_streams_are_same(struct splitfd_repository *repository, const struct splitfd_digest *one,
	const struct splitfd_digest *other, struct splitfd_error *err);

#endif
