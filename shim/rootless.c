/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/rootless.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

int sfd_rootless_store_open(const struct splitfd_store_options *options, struct splitfd_store **ret,
	struct splitfd_error *err)
{
	struct splitfd_store_options with_helper = *options;
	char program[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);

	if (n < 0)
		return splitfd_error_sys(err, errno, "cannot tell where this program lies");
	program[n] = '\0';
	with_helper.rootless_helper = program;
	return splitfd_store_open(&with_helper, ret, err);
}
