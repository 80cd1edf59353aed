/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/common/sandbox-calls.h"

#if SFD_WITH_SECCOMP

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool load(const struct sock_fprog *program, unsigned int flags)
{
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, program) == 0;
}

bool sfd_sandbox_calls(void)
{
	/* The kernel only reads it. */
	const struct sock_fprog program = {
		.len = (unsigned short)(sfd_seccomp_filter_size / sizeof(struct sock_filter)),
		.filter = (struct sock_filter *)(uintptr_t)sfd_seccomp_filter,
	};

	/* Kernels before 5.16 would slow everything down for what only runs code of others. */
	return load(&program, SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_SPEC_ALLOW) ||
	       load(&program, SECCOMP_FILTER_FLAG_TSYNC);
}

#else

bool sfd_sandbox_calls(void)
{
	return false;
}

#endif
