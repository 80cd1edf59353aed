/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/common/sandbox-capabilities.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's numbers end somewhere below. */
#define CAPABILITIES_MAX 64

bool sfd_sandbox_capabilities(uint64_t keep)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	/* For programs, which no call can start any more where there is seccomp. Without
	 * CAP_SETPCAP the bounding set stays, and NO_NEW_PRIVS has to do. */
	for (unsigned long i = 0; i < CAPABILITIES_MAX; i++) {
		if ((keep & SFD_CAPABILITY(i)) == 0)
			(void)prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
	}
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_capget, &header, data) < 0)
		return false;
	for (unsigned int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		data[i].permitted &= (uint32_t)(keep >> (32 * i));
		data[i].effective &= data[i].permitted;
		data[i].inheritable = 0;
	}
	return syscall(SYS_capset, &header, data) == 0;
}
