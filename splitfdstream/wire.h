/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_WIRE_H
#define SPLITFD_WIRE_H

/*
 * What a wire format is read from and written to: bytes, and the descriptors that travel with
 * them. The formats' readers and writers know nothing of pipes and sockets; transport/rpc/fdpass.h
 * has the inputs and outputs that pass descriptors over Unix sockets, this file those of a plain
 * descriptor (with, for reading, an array of descriptors that came by another way).
 */

#include "splitfdstream/base/error.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct splitfd_input;

struct splitfd_input_ops {
	/* Up to n bytes (n > 0), at least one; 0 at the end of the stream; -errno with a text. */
	ssize_t (*read)(
		struct splitfd_input *input, void *buffer, size_t n, struct splitfd_error *err);
	/* The descriptor with this index, the caller's from now on. An index that was never sent is
	 * an error of kind REFUSED. NULL: none can travel with this input. */
	int (*get_fd)(struct splitfd_input *input, uint64_t index, int *ret_fd,
		struct splitfd_error *err);
	/* The stream ended. Fails where a descriptor had been sent that nothing referred to.
	 * NULL: nothing to check. */
	int (*end)(struct splitfd_input *input, struct splitfd_error *err);
	void (*free)(struct splitfd_input *input);
};

struct splitfd_input {
	const struct splitfd_input_ops *ops;
	/* Readable as soon as waiting for the peer shall end (-ECANCELED); 0: none. Whoever has
	 * made an input that waits may set it; borrowed. */
	int cancel_fd;
};

/* NULL is allowed. Returns NULL. */
struct splitfd_input *splitfd_input_free(struct splitfd_input *input);

/* Reads from fd (pipe, file, socket without descriptors); always takes it and the n_fds descriptors
 * of `fds` (which may be NULL), also on failure. A descriptor of the array may be referred to any
 * number of times. timeout_ms is the longest silence of the peer, < 0 for ever: -ETIMEDOUT of kind
 * PEER behind it. */
int splitfd_input_new(int fd, const int *fds, size_t n_fds, int timeout_ms,
	struct splitfd_input **ret, struct splitfd_error *err);

/* Reads from `size` bytes in memory, borrowed until the input is freed, with the same rules. For
 * tests and small streams. */
int splitfd_input_memory_new(const void *data, size_t size, const int *fds, size_t n_fds,
	struct splitfd_input **ret, struct splitfd_error *err);

struct splitfd_output;

struct splitfd_output_ops {
	/* Sends n_fds descriptors (borrowed, at most fd_batch), then all n bytes (n may be 0): who
	 * reads a byte has, or can get, every descriptor sent before it. */
	int (*write)(struct splitfd_output *output, const void *data, size_t n, const int *fds,
		size_t n_fds, struct splitfd_error *err);
	void (*free)(struct splitfd_output *output);
};

struct splitfd_output {
	const struct splitfd_output_ops *ops;
	size_t fd_batch; /* most descriptors of one write; 0: none can travel */
	int cancel_fd;	 /* as that of an input, where there is a limit of time */
};

/* NULL is allowed. Returns NULL. */
struct splitfd_output *splitfd_output_free(struct splitfd_output *output);

/* Writes to fd (pipe, file, socket); always takes it. No descriptors. timeout_ms is the longest
 * time that the peer may take nothing, < 0 for ever; then it is -ETIMEDOUT, and -EPIPE where the
 * peer has gone, both of kind PEER; a program that wants to see this one ignores SIGPIPE. */
int splitfd_output_new(
	int fd, int timeout_ms, struct splitfd_output **ret, struct splitfd_error *err);

#ifdef __cplusplus
}
#endif

#endif
