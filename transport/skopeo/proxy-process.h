/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SKOPEO_PROXY_PROCESS_H
#define SPLITFD_SKOPEO_PROXY_PROCESS_H

/*
 * The process of a proxy: start, sign of life.
 */

#include "splitfdstream/base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Starts `program experimental-image-proxy ARGUMENTS…` with `socket` (borrowed) as standard input.
 * *ret_pid is for sfd_process_end(). */
int sfd_proxy_spawn(const char *program, const char *const *arguments, int socket, pid_t *ret_pid,
	struct splitfd_error *err);

/* Bytes that the process and its children have read and written so far, in any way; where the
 * kernel does not tell, the time that they ran; 0 where /proc does not tell at all. A number that
 * stays the same means that nothing moves. */
uint64_t sfd_proxy_bytes_moved(pid_t pid);

/* True where the process has ended, also while the kernel still closes its descriptors. */
bool sfd_proxy_exits(pid_t pid);

#endif
