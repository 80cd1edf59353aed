/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/base/unnamed-file.h"
#include "splitfdstream/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PREFIX	".tmp-object-"
#define LETTERS 12
#define TRIES	16

/* Between the two calls the file has a name, but nothing in it. */
static int open_and_unlink(int dirfd)
{
	char name[sizeof(PREFIX) + LETTERS] = PREFIX;

	for (int i = 0; i < TRIES; i++) {
		int fd, r = sfd_random_name(name + sizeof(PREFIX) - 1, LETTERS);

		if (r < 0)
			return r;
		fd = openat(dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd >= 0 && unlinkat(dirfd, name, 0) < 0) {
			r = -errno;
			(void)close(fd);
			return r;
		}
		if (fd >= 0)
			return fd;
		if (errno != EEXIST && errno != EINTR)
			return -errno;
	}
	return -EEXIST;
}

int sfd_unnamed_file(int dirfd)
{
	int fd;

	if (dirfd < 0) {
		fd = memfd_create("splitfd", MFD_CLOEXEC);
		return fd < 0 ? -errno : fd;
	}
	do
		fd = openat(dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	while (fd < 0 && errno == EINTR);
	if (fd >= 0)
		return fd;
	return errno == EOPNOTSUPP || errno == EISDIR ? open_and_unlink(dirfd) : -errno;
}

int sfd_unnamed_dir(void)
{
	const char *dir = secure_getenv("TMPDIR");
	int fd = open(
		dir != NULL && dir[0] == '/' ? dir : "/var/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}
