/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_WIRE_BUFFER_H
#define SPLITFD_WIRE_BUFFER_H

/*
 * The two writers' common ground: bytes and descriptors on their way to an output, and an error
 * that sticks.
 */

#include "splitfdstream/chunk.h"
#include "splitfdstream/wire.h"

#define SFD_WIRE_SIZE ((size_t)64 * 1024)

/* The kernel's limit for one message (SCM_MAX_FD). */
#define SFD_WIRE_FDS 253

struct sfd_wire {
	struct splitfd_output *output;
	int failed; /* 0 or -errno: sticks */
	struct splitfd_error error;
	size_t n_fds;
	int fds[SFD_WIRE_FDS]; /* owned until sent */
	size_t len;
	uint8_t buffer[SFD_WIRE_SIZE];
};

/* Appends n bytes; sends what is there when the buffer is full. */
int sfd_wire_bytes(struct sfd_wire *w, const void *data, size_t n, struct splitfd_error *err);

/* Queues a descriptor (always taken); sends first where the batch is full. */
int sfd_wire_fd(struct sfd_wire *w, int fd, struct splitfd_error *err);

/* Reads exactly the chunk's content of an open file and appends it; checks its size (again) and,
 * where the chunk tells, its CRC-64. fd stays the caller's. */
int sfd_wire_content(
	struct sfd_wire *w, int fd, const struct splitfd_chunk *chunk, struct splitfd_error *err);

/* Closes what was not sent and frees the output. */
void sfd_wire_done(struct sfd_wire *w);

/* A writer: what differs between the formats, and the rest, which does not. The format's own struct
 * starts with it. */
struct sfd_wire_sink {
	struct splitfd_sink base;
	/* Writes what goes before n (1 to SPLITFD_INLINE_MAX) bytes. `content`: they are one
	 * file's. */
	int (*put_header)(
		struct sfd_wire_sink *s, bool content, uint32_t n, struct splitfd_error *err);
	/* A FILE chunk; takes its descriptor. */
	int (*put_file)(
		struct sfd_wire_sink *s, struct splitfd_chunk *chunk, struct splitfd_error *err);
	struct sfd_wire wire;
};

/* put and finish of a sink's operations: an error sticks. */
int sfd_wire_sink_put(
	struct splitfd_sink *sink, struct splitfd_chunk *chunk, struct splitfd_error *err);
int sfd_wire_sink_finish(struct splitfd_sink *sink, struct splitfd_error *err);

#endif
