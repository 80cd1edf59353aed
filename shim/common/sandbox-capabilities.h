/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_SANDBOX_CAPABILITIES_H
#define SPLITFD_SHIM_SANDBOX_CAPABILITIES_H

#include <stdbool.h>
#include <stdint.h>

#define SFD_CAPABILITY(n) (UINT64_C(1) << (n))

/* Keeps of the calling thread's capabilities those in `keep`, and none for programs that it may
 * start. Takes no memory. False where nothing could be given up; a user without capabilities has
 * nothing to give up. */
bool sfd_sandbox_capabilities(uint64_t keep);

#endif
