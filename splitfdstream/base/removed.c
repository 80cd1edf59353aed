/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/base/removed.h"
#include "splitfdstream/base/clock.h"

#include <errno.h>
#include <time.h>

#define PAUSE_NS 20000000L

int sfd_layer_removed(struct splitfd_error *err)
{
	return splitfd_error_set(err, SPLITFD_ERROR_NOT_FOUND, ESTALE, SFD_LAYER_REMOVED);
}

int sfd_file_changed(int fd, const struct stat *before, const char *what, struct splitfd_error *err)
{
	struct stat now;

	/* A memfd never had a name. */
	if (before->st_nlink > 0 && fstat(fd, &now) == 0 && now.st_nlink == 0)
		return sfd_layer_removed(err);
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, ESTALE, "the file %s", what);
}

bool sfd_dir_removed(int dir, int wait_ms)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };
	int64_t end = sfd_now_ms() + wait_ms;

	for (;;) {
		struct stat st;

		if (fstat(dir, &st) == 0 && st.st_nlink == 0)
			return true;
		if (sfd_now_ms() >= end)
			return false;
		(void)nanosleep(&pause, NULL);
	}
}
