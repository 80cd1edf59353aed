/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_BASE_FLAG_H
#define SPLITFD_BASE_FLAG_H

/*
 * A number that one thread or signal handler sets once and others look at: "end now". Nothing else
 * is made visible by it.
 */

#include <stdbool.h>
#include <stddef.h>

/* False for NULL. */
static inline bool sfd_flag_is_set(const volatile int *flag)
{
	return flag != NULL && __atomic_load_n(flag, __ATOMIC_RELAXED) != 0;
}

static inline void sfd_flag_set(volatile int *flag, int value)
{
	__atomic_store_n(flag, value, __ATOMIC_RELAXED);
}

#endif
