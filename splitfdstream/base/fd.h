/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_BASE_FD_H
#define SPLITFD_BASE_FD_H

/*
 * Descriptors: closing, giving away, opening by openat2, checking what one is.
 * "No descriptor" is -EBADF everywhere. All descriptors are CLOEXEC.
 */

#include "splitfdstream/base/error.h"

#include <linux/openat2.h>
#include <stdint.h>
#include <sys/types.h>

/* Closes fd if it is one; keeps errno; EINTR counts as closed. Returns -EBADF, so that
 * `fd = sfd_close(fd)` leaves nothing behind. */
int sfd_close(int fd);

/* Gives *fd away: returns it and leaves -EBADF behind. */
int sfd_take_fd(int *fd);

/* openat2(2) with O_CLOEXEC added. `resolve` is a set of RESOLVE_*; mode counts only with O_CREAT
 * or O_TMPFILE. Returns the descriptor or -errno (no text: the caller knows the name's meaning). */
int sfd_openat2(int dirfd, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve);

/* Opens a regular file for reading, by openat2(2). Its type is known before: opening a device can
 * act at once, and a FIFO would hold us. -EINVAL for what is no regular file, else as above. */
int sfd_open_regular(int dirfd, const char *path, uint64_t resolve);

/* Opens again, by /proc/self/fd, what an O_PATH descriptor refers to. Returns the new descriptor
 * (flags plus O_CLOEXEC) or -errno. The caller has checked the type before. */
int sfd_reopen(int fd, int flags);

/* Checks that fd is a regular file that may be read (not O_PATH, not write-only) and has exactly
 * `size` bytes; UINT64_MAX leaves the size unchecked. `what` names the file in the error
 * (kind REFUSED). Never reads. ret_size may be NULL. */
int sfd_check_regular(
	int fd, uint64_t size, const char *what, uint64_t *ret_size, struct splitfd_error *err);
/* Checks that fd is a directory: REFUSED, -ENOTDIR. */
int sfd_check_directory(int fd, struct splitfd_error *err);

/* Makes fd CLOEXEC and moves it above 2 where it is 0, 1 or 2. Takes fd. Returns it or -errno. */
int sfd_fd_sane(int fd);

/* Raises the limit of open descriptors to the hard one, which is what the administrator allows. */
void sfd_raise_fd_limit(void);

#endif
