/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_TESTS_NEGATIVE_H
#define SPLITFD_TESTS_NEGATIVE_H

/*
 * What clang's analyzer cannot see, for `make tidy`: these functions return an error's negative
 * code, so what their callers would have set is not used.
 */

#include "splitfdstream/base/error.h"

static inline int sfd_always_negative(int r)
{
	if (r >= 0)
		__builtin_unreachable();
	return r;
}

#define splitfd_error_set(...)	sfd_always_negative(splitfd_error_set(__VA_ARGS__))
#define splitfd_error_sys(...)	sfd_always_negative(splitfd_error_sys(__VA_ARGS__))
#define splitfd_error_wrap(...) sfd_always_negative(splitfd_error_wrap(__VA_ARGS__))
#define splitfd_error_copy(...) sfd_always_negative(splitfd_error_copy(__VA_ARGS__))
#define splitfd_error_oom(err)	sfd_always_negative(splitfd_error_oom(err))

#endif
