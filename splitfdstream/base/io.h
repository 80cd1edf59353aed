/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_BASE_IO_H
#define SPLITFD_BASE_IO_H

/*
 * The read and write loops of the project. Nobody else calls read(2) or write(2) in a loop.
 * EINTR is retried everywhere; EAGAIN on a non-blocking descriptor waits with poll(2).
 * All return -errno without a text: the caller knows what the bytes are.
 */

#include "splitfdstream/base/error.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Up to n bytes; less only at end of file. Returns the count. */
ssize_t sfd_read_upto(int fd, void *buffer, size_t n);

/* One read: at least 1 byte, 0 at end of file. Returns the count. */
ssize_t sfd_read_some(int fd, void *buffer, size_t n);

/* Exactly n bytes from `offset`, or an error; early end of file is -ENODATA. */
int sfd_pread_full(int fd, void *buffer, size_t n, uint64_t offset);

/* All n bytes. A closed pipe is -EPIPE (the caller ignores SIGPIPE). */
int sfd_write_all(int fd, const void *buffer, size_t n);

/* All n bytes at `offset`. */
int sfd_pwrite_all(int fd, const void *buffer, size_t n, uint64_t offset);

/* The whole of an open regular file, from its start, into new memory, with a NUL behind it that
 * *ret_size does not count. More than `max` bytes is -EFBIG. *ret_data is the caller's to free. */
int sfd_read_file_fd(int fd, size_t max, char **ret_data, size_t *ret_size);

/* Waits until fd is ready for `events` (POLLIN, POLLOUT). timeout_ms < 0 waits for ever. Returns
 * 1 when ready (or hung up: the next call on it tells), 0 on timeout, -errno. */
int sfd_wait_fd(int fd, short events, int timeout_ms);

/* The same, but -ECANCELED as soon as cancel_fd (0 or less: none) is readable, also where fd is
 * ready, too. */
int sfd_wait_or_cancel(int fd, short events, int cancel_fd, int timeout_ms);

#endif
