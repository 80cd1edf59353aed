/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/containers-storage/layer-open.h"
#include "splitfdstream/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define CONFINED (RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV)

/* A file of this size may be stored without a block (in its inode), a larger one is a metacopy stub
 * or a hole then. */
#define INLINE_SIZE 65536

/* Opens below dir as O_PATH. Symlinks are followed only where a parent is one, and then inside of
 * the directory: extraction went the same way. */
static int open_path(int dir, const char *name, bool *ret_plain)
{
	const uint64_t flags = O_PATH | O_NOFOLLOW;
	int fd = sfd_openat2(dir, name, flags, 0, CONFINED | RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);

	*ret_plain = fd >= 0;
	if (fd == -ELOOP)
		fd = sfd_openat2(dir, name, flags, 0, CONFINED | RESOLVE_IN_ROOT);
	return fd;
}

static const char *type_text(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "a directory";
	case S_IFLNK:
		return "a symlink";
	case S_IFIFO:
		return "a FIFO";
	case S_IFSOCK:
		return "a socket";
	default:
		return "a device";
	}
}

static int check(
	int fd, const char *name, uint64_t size, struct stat *st, struct splitfd_error *err)
{
	if (fstat(fd, st) < 0)
		return splitfd_error_sys(err, errno, "%s: cannot examine", name);
	if (!S_ISREG(st->st_mode))
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EINVAL,
			"%s: is %s in the store, not the file that the layer has", name,
			type_text(st->st_mode));
	if ((uint64_t)st->st_size != size)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EINVAL,
			"%s: has %lld bytes in the store, %llu in the layer: it was changed", name,
			(long long)st->st_size, (unsigned long long)size);
	return 0;
}

/* An overlay stub: the right size, no data. Reads as zeros. */
static bool is_metacopy(int fd, const struct stat *st)
{
	if (st->st_blocks > 0 || st->st_size <= INLINE_SIZE)
		return false;
	return fgetxattr(fd, "trusted.overlay.metacopy", NULL, 0) >= 0 ||
	       fgetxattr(fd, "user.overlay.metacopy", NULL, 0) >= 0;
}

int sfd_layer_open(int dir, const char *name, uint64_t size, int *ret_fd, bool *ret_plain,
	struct splitfd_error *err)
{
	bool plain;
	sfd_cleanup_fd int path_fd = open_path(dir, name, &plain);
	sfd_cleanup_fd int fd = -EBADF;
	struct stat st;
	int r;

	/* ELOOP: symlinks that lead nowhere inside of the layer. */
	if (path_fd == -ENOENT || path_fd == -ENOTDIR || path_fd == -ELOOP)
		return SFD_LAYER_ABSENT;
	if (path_fd < 0)
		return splitfd_error_sys(err, -path_fd, "%s: cannot open", name);
	r = check(path_fd, name, size, &st, err);
	if (r < 0)
		return r;
	fd = sfd_reopen(path_fd, O_RDONLY | O_NOCTTY);
	if (fd < 0)
		return splitfd_error_sys(err, -fd, "%s: cannot open for reading", name);
	if (is_metacopy(fd, &st))
		return SFD_LAYER_STUB;
	*ret_fd = sfd_take_fd(&fd);
	if (ret_plain != NULL)
		*ret_plain = plain;
	return SFD_LAYER_FOUND;
}
