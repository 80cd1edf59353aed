/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_BASE_SANDBOX_CALLS_H
#define SPLITFD_BASE_SANDBOX_CALLS_H

/* Takes system calls away from the calling thread and all that it starts: they fail with EPERM.
 * NO_NEW_PRIVS is set. Where the kernel has no seccomp, or the machine's calls are not known here,
 * nothing happens. Format: classic BPF over struct seccomp_data, seccomp(2). */
void sfd_sandbox_calls(void);

#endif
