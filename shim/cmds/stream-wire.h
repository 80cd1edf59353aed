/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_STREAM_WIRE_H
#define SPLITFD_SHIM_STREAM_WIRE_H

/*
 * `splitfd stream` for wire streams (splitfdstream, splitdirfdstream) in a file, as a producer
 * wrote them: the bytes alone, without the descriptors that went along.
 */

#include "shim/cmds/stream-cmd.h"

/* True where the request's name is a file ("-" is standard input) and not a repository's stream: it
 * starts with "/", "./" or "../", or --format was given. */
bool sfd_stream_is_wire(const struct sfd_stream_request *q);

/* Each chunk as it is framed: offset in the file, kind, size; of a reference, the descriptor, or
 * directory, name and size. */
int sfd_wire_dump(const struct sfd_stream_request *q, struct splitfd_error *err);
/* The bytes that the stream stands for; the first reference to a file is an error. */
int sfd_wire_cat(const struct sfd_stream_request *q, struct splitfd_error *err);
/* Framing, limits, names, the order of the descriptors; what is wrong is told with its offset. */
int sfd_wire_check(const struct sfd_stream_request *q, struct splitfd_error *err);

#endif
