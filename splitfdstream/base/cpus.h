/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_BASE_CPUS_H
#define SPLITFD_BASE_CPUS_H

#include <sched.h>

/* The CPUs that this thread may run on; at least 1, also where the kernel does not tell. */
static inline unsigned int sfd_count_cpus(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

	return n < 1 ? 1 : (unsigned int)n;
}

#endif
