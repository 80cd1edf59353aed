/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_SANDBOX_CALLS_H
#define SPLITFD_SHIM_SANDBOX_CALLS_H

#include <stdbool.h>
#include <stddef.h>

/* The filter as struct sock_filter, made at build time by seccomp-filter.c. */
extern const unsigned char sfd_seccomp_filter[];
extern const size_t sfd_seccomp_filter_size;

/* Takes system calls away from the process: they fail with EPERM. NO_NEW_PRIVS is set. Takes no
 * memory. False, and nothing happens, where the build is without the filter, or the kernel without
 * seccomp. */
bool sfd_sandbox_calls(void);

#endif
