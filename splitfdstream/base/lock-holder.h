/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_BASE_LOCK_HOLDER_H
#define SPLITFD_BASE_LOCK_HOLDER_H

/*
 * Who holds a file's exclusive lock, by /proc/locks.
 */

#include <stdbool.h>

#define SFD_LOCK_HOLDER_SIZE 96

/* "process 123 (podman)", where /proc says so; else "another process". `is_flock`: flock(2)'s
 * locks, else those of records. */
void sfd_lock_holder(int fd, bool is_flock, char ret[SFD_LOCK_HOLDER_SIZE]);

#endif
