/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/temp-file.h"
#include "splitfdstream/base/text.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEMP_PREFIX  ".tmp-object-"
#define TEMP_LETTERS 12
#define TEMP_TRIES   16

static int open_named(int dirfd, mode_t mode, struct sfd_temp *t)
{
	for (int i = 0; i < TEMP_TRIES; i++) {
		int r;

		memcpy(t->name, TEMP_PREFIX, sizeof(TEMP_PREFIX));
		r = sfd_random_name(t->name + sizeof(TEMP_PREFIX) - 1, TEMP_LETTERS);
		if (r < 0)
			return r;
		t->fd = openat(dirfd, t->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
		if (t->fd >= 0)
			return 0;
		t->name[0] = '\0';
		if (errno != EEXIST && errno != EINTR)
			return -errno;
	}
	return -EEXIST;
}

int sfd_temp_open(int dirfd, const char *near, mode_t mode, struct sfd_temp *t)
{
	*t = SFD_TEMP_INIT;
	t->dirfd = dirfd;
	do
		t->fd = openat(dirfd, near, O_WRONLY | O_TMPFILE | O_CLOEXEC, mode);
	while (t->fd < 0 && errno == EINTR);
	if (t->fd >= 0)
		return 0;
	if (errno != EOPNOTSUPP && errno != EISDIR)
		return -errno;
	return open_named(dirfd, mode, t);
}

int sfd_temp_seal(struct sfd_temp *t)
{
	int fd = sfd_reopen(t->fd, O_RDONLY);

	if (fd < 0)
		return fd;
	sfd_close(t->fd);
	t->fd = fd;
	return 0;
}

/* By the descriptor alone where this process may; else by its name in /proc. */
static int link_unnamed(struct sfd_temp *t, const char *name)
{
	char path[32];

	if (linkat(t->fd, "", t->dirfd, name, AT_EMPTY_PATH) == 0)
		return 0;
	if (errno != ENOENT && errno != EPERM)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", t->fd);
	return linkat(AT_FDCWD, path, t->dirfd, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

static int link_named(struct sfd_temp *t, const char *name)
{
	if (renameat2(t->dirfd, t->name, t->dirfd, name, RENAME_NOREPLACE) == 0) {
		t->name[0] = '\0';
		return 0;
	}
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	/* The file system knows no NOREPLACE; the temporary name is removed at the end. */
	return linkat(t->dirfd, t->name, t->dirfd, name, 0) < 0 ? -errno : 0;
}

int sfd_temp_link(struct sfd_temp *t, const char *name)
{
	return t->name[0] != '\0' ? link_named(t, name) : link_unnamed(t, name);
}

void sfd_temp_done(struct sfd_temp *t)
{
	if (t->name[0] != '\0') {
		int saved_errno = errno;

		(void)unlinkat(t->dirfd, t->name, 0);
		errno = saved_errno;
	}
	t->name[0] = '\0';
	t->fd = sfd_close(t->fd);
}
