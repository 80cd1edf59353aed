/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/common/rootless.h"
#include "shim/common/cancel.h"

#include <string.h>
#include <unistd.h>

/* A program that was replaced while it runs: the new one lies at the same place. */
#define DELETED " (deleted)"

const char *sfd_rootless_helper(char program[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", program, PATH_MAX - 1);
	size_t tail = strlen(DELETED);

	if (n < 0)
		return NULL;
	program[n] = '\0';
	if ((size_t)n > tail && strcmp(program + n - tail, DELETED) == 0)
		program[(size_t)n - tail] = '\0';
	return program;
}

int sfd_rootless_store_open(const struct splitfd_store_options *options, struct splitfd_store **ret,
	struct splitfd_error *err)
{
	struct splitfd_store_options with_helper = *options;
	char program[PATH_MAX];

	if (with_helper.cancel_fd <= 0)
		with_helper.cancel_fd = sfd_cancel_fd();
	with_helper.rootless_helper = sfd_rootless_helper(program);
	return splitfd_store_open(&with_helper, ret, err);
}
