/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_SANDBOX_CALLS_H
#define SPLITFD_SHIM_SANDBOX_CALLS_H

#include <stdbool.h>

/* Takes system calls away from the process, by libseccomp: they fail with EPERM. NO_NEW_PRIVS is
 * set. False, and nothing happens, where the build or the machine is without libseccomp, or the
 * kernel without seccomp. */
bool sfd_sandbox_calls(void);

#endif
