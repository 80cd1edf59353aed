/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_BASE_SHORTAGE_H
#define SPLITFD_BASE_SHORTAGE_H

#include <errno.h>
#include <stdbool.h>

/* -errno of a process or machine that has no more of something, whatever it was about to look at:
 * it says nothing about data. */
static inline bool sfd_is_shortage(int r)
{
	return r == -ENOMEM || r == -EMFILE || r == -ENFILE || r == -EAGAIN;
}

#endif
