/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_BASE_LOCK_WAIT_H
#define SPLITFD_BASE_LOCK_WAIT_H

/*
 * Waiting for a file lock that another process holds, until somebody cancels.
 */

#include <stdbool.h>

/* Takes the lock of fd; with `wait` it may block, else a held lock is -1 with EAGAIN, EWOULDBLOCK
 * or EACCES. */
typedef int sfd_lock_fn(int fd, bool wait);

/* 0, -ECANCELED as soon as cancel_fd is readable, -errno. Without a cancel_fd (0) it blocks in the
 * system call, and a signal ends that with -EINTR. */
int sfd_lock_wait(sfd_lock_fn *lock, int fd, int cancel_fd);

#endif
