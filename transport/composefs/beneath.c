/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/beneath.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define RESOLVE_PLAIN (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)

/* A tag leads to a manifest's name, and that to an object. */
#define LINKS_MAX 8

int sfd_beneath_open(int root, const char *path, uint64_t flags, uint64_t mode)
{
	return sfd_openat2(root, path, flags, mode, RESOLVE_PLAIN);
}

int sfd_beneath_open_regular(int root, const char *path)
{
	return sfd_open_regular(root, path, RESOLVE_PLAIN);
}

/* The last component itself, whatever it is. */
static int open_name(int root, const char *path)
{
	return sfd_beneath_open(root, path, O_PATH | O_NOFOLLOW, 0);
}

int sfd_beneath_parent(int root, const char *path, const char **ret_base)
{
	const char *slash = strrchr(path, '/');
	char parent[PATH_MAX];

	*ret_base = slash != NULL ? slash + 1 : path;
	if (slash == NULL)
		return sfd_beneath_open(root, ".", O_PATH | O_DIRECTORY, 0);
	if ((size_t)(slash - path) >= sizeof(parent))
		return -ENAMETOOLONG;
	memcpy(parent, path, (size_t)(slash - path));
	parent[slash - path] = '\0';
	return sfd_beneath_open(root, parent, O_PATH | O_DIRECTORY, 0);
}

int sfd_beneath_stat(int root, const char *path, struct stat *ret)
{
	sfd_cleanup_fd int fd = open_name(root, path);

	if (fd < 0)
		return fd;
	return fstat(fd, ret) < 0 ? -errno : 0;
}

/* Of the symbolic link `fd` itself. */
static ssize_t read_link(int fd, char *target, size_t size)
{
	ssize_t n = readlinkat(fd, "", target, size);

	/* With an empty path that is what the kernel calls anything else. */
	if (n < 0)
		return errno == ENOENT ? -EINVAL : -errno;
	if ((size_t)n >= size)
		return -ENAMETOOLONG;
	target[n] = '\0';
	return n;
}

ssize_t sfd_beneath_readlink(int root, const char *path, char *target, size_t size)
{
	sfd_cleanup_fd int fd = open_name(root, path);

	return fd < 0 ? fd : read_link(fd, target, size);
}

int sfd_beneath_make_parents(int root, const char *path)
{
	char parent[PATH_MAX];

	for (const char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		sfd_cleanup_fd int dir = -EBADF;
		const char *base;

		if ((size_t)(slash - path) >= sizeof(parent))
			return -ENAMETOOLONG;
		memcpy(parent, path, (size_t)(slash - path));
		parent[slash - path] = '\0';
		dir = sfd_beneath_parent(root, parent, &base);
		if (dir < 0)
			return dir;
		if (mkdirat(dir, base, 0755) < 0 && errno != EEXIST)
			return -errno;
	}
	return 0;
}

int sfd_beneath_unlink(int root, const char *path)
{
	const char *base;
	sfd_cleanup_fd int dir = sfd_beneath_parent(root, path, &base);

	if (dir < 0)
		return dir;
	return unlinkat(dir, base, 0) < 0 ? -errno : 0;
}

/* The target of a link at `path` as a path below the root, in place. */
static int join(char path[PATH_MAX], const char *target)
{
	char *slash = strrchr(path, '/');
	size_t at = slash != NULL ? (size_t)(slash + 1 - path) : 0, n = strlen(target);

	if (target[0] == '/')
		return -EXDEV;
	if (n >= PATH_MAX - at)
		return -ENAMETOOLONG;
	memcpy(path + at, target, n + 1);
	return 0;
}

int sfd_beneath_follow(int root, const char *path)
{
	char now[PATH_MAX], target[PATH_MAX];

	if (strlen(path) >= sizeof(now))
		return -ENAMETOOLONG;
	memcpy(now, path, strlen(path) + 1);
	for (int i = 0; i < LINKS_MAX; i++) {
		sfd_cleanup_fd int fd = open_name(root, now);
		struct stat st;
		ssize_t r;

		if (fd < 0)
			return fd;
		if (fstat(fd, &st) < 0)
			return -errno;
		if (!S_ISLNK(st.st_mode))
			return sfd_take_fd(&fd);
		r = read_link(fd, target, sizeof(target));
		if (r >= 0)
			r = join(now, target);
		if (r < 0)
			return (int)r;
	}
	return -ELOOP;
}

/* The length of the shortest part of `path` that is a symbolic link; 0 where there is none. */
static size_t find_link(int root, const char *path)
{
	char part[PATH_MAX];
	size_t n = 0;

	do {
		struct stat st;

		n += strcspn(path + n, "/");
		if (n >= sizeof(part))
			return 0;
		memcpy(part, path, n);
		part[n] = '\0';
		if (sfd_beneath_stat(root, part, &st) < 0)
			return 0;
		if (S_ISLNK(st.st_mode))
			return n;
	} while (path[n++] == '/');
	return 0;
}

int sfd_beneath_failed(int root, const char *name, const char *what, const char *path, int r,
	struct splitfd_error *err)
{
	/* ENOTDIR is what O_DIRECTORY with O_NOFOLLOW says of a link. */
	size_t n = r == -ELOOP || r == -ENOTDIR ? find_link(root, path) : 0;

	if (n == 0)
		return splitfd_error_sys(err, -r, "cannot %s %s/%s", what, name, path);
	(void)splitfd_error_set(err, SPLITFD_ERROR_REFUSED, -r,
		"cannot %s %s/%s: %s/%.*s is a symbolic link, and none is followed within a "
		"repository",
		what, name, path, name, (int)n, path);
	return r;
}
