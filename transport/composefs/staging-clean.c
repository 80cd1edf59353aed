/* SPDX-License-Identifier: Apache-2.0 */
/* Removing staging directories: one's own at the end, and those of processes that were killed. */
#include "transport/composefs/beneath.h"
#include "transport/composefs/repository-private.h"
#include "transport/composefs/staging-private.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* Staging, batch, xx, and what was moved out of the way of an object. */
#define DEPTH_MAX 8

static int open_below(int dir, const char *name)
{
	return sfd_openat2(dir, name, O_RDONLY | O_DIRECTORY, 0,
		RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV);
}

static int remove_below(int dir, const char *name, int depth)
{
	sfd_cleanup_dir DIR *entries = NULL;
	const struct dirent *entry;
	int fd, r = 0;

	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	fd = depth < DEPTH_MAX ? open_below(dir, name) : -ELOOP;
	if (fd < 0)
		return fd;
	entries = fdopendir(fd);
	if (entries == NULL) {
		r = -errno;
		sfd_close(fd);
		return r;
	}
	for (errno = 0; r == 0 && (entry = readdir(entries)) != NULL; errno = 0) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = remove_below(fd, entry->d_name, depth + 1);
	}
	if (r == 0 && errno != 0)
		r = -errno;
	if (r == 0 && unlinkat(dir, name, AT_REMOVEDIR) < 0)
		r = -errno;
	return r;
}

int sfd_staging_remove(int dir, const char *name)
{
	return remove_below(dir, name, 0);
}

/* A directory that nobody has locked belongs to nobody. */
static void clean_one(int root, const char *name)
{
	sfd_cleanup_fd int fd = open_below(root, name);

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
		(void)sfd_staging_remove(root, name);
}

void sfd_staging_clean(struct splitfd_repository *repository)
{
	sfd_cleanup_dir DIR *entries = NULL;
	const struct dirent *entry;
	int fd = sfd_beneath_open(repository->fd, ".", O_RDONLY | O_DIRECTORY, 0);

	if (fd < 0)
		return;
	entries = fdopendir(fd);
	if (entries == NULL) {
		sfd_close(fd);
		return;
	}
	while ((entry = readdir(entries)) != NULL) {
		if (strncmp(entry->d_name, SFD_STAGING_PREFIX, strlen(SFD_STAGING_PREFIX)) == 0)
			clean_one(fd, entry->d_name);
	}
}
