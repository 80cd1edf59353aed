/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/containers-storage/layer-files.h"
#include "splitfdstream/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define CONFINED (RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV)

/* A file of this size may be stored without a block (in its inode), a larger one is a metacopy stub
 * or a hole then. */
#define INLINE_SIZE 65536

struct layer_files {
	struct splitfd_files base;
	int dirs[SFD_LAYER_DIRS_MAX];
	struct sfd_layer_lowers *lowers;
	char *what;
};

/* One look-up on its way through the directories. */
struct lookup {
	const struct layer_files *files;
	const char *name;
	uint64_t size;
	bool metacopy; /* a stub was seen and passed over */
	bool plain;    /* found without following a symlink */
	int fd;
};

SFD_DEFINE_CLEANUP(files_cleanup, struct splitfd_files, splitfd_files_unref);

int sfd_layer_clean_name(const char *name, size_t len, char *clean)
{
	size_t out = 0, i = 0;

	if (memchr(name, '\0', len) != NULL)
		return -EINVAL;
	while (i < len) {
		const char *slash = memchr(name + i, '/', len - i);
		size_t part = slash != NULL ? (size_t)(slash - name) - i : len - i;

		if (part == 2 && memcmp(name + i, "..", 2) == 0) {
			while (out > 0 && clean[--out] != '/')
				;
		} else if (part > 0 && !(part == 1 && name[i] == '.')) {
			if (out + (out > 0) + part > SPLITFD_NAME_MAX)
				return -ENAMETOOLONG;
			if (out > 0)
				clean[out++] = '/';
			memcpy(clean + out, name + i, part);
			out += part;
		}
		i += part + 1;
	}
	clean[out] = '\0';
	return out > 0 ? (int)out : -EINVAL;
}

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

static int check(const struct lookup *l, int fd, struct stat *st, struct splitfd_error *err)
{
	if (fstat(fd, st) < 0)
		return splitfd_error_sys(
			err, errno, "%s: %s: cannot examine", l->files->what, l->name);
	if (!S_ISREG(st->st_mode))
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EINVAL,
			"%s: %s: is %s in the store, not the file that the layer has",
			l->files->what, l->name, type_text(st->st_mode));
	if ((uint64_t)st->st_size != l->size)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EINVAL,
			"%s: %s: has %lld bytes in the store, %llu in the layer: it was changed",
			l->files->what, l->name, (long long)st->st_size,
			(unsigned long long)l->size);
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

/* Tries one directory. 1: l->fd is the file. 0: not there. */
static int try_dir(struct lookup *l, int dir, struct splitfd_error *err)
{
	sfd_cleanup_fd int path_fd = open_path(dir, l->name, &l->plain);
	sfd_cleanup_fd int fd = -EBADF;
	struct stat st;
	int r;

	/* ELOOP: symlinks that lead nowhere inside of the layer. */
	if (path_fd == -ENOENT || path_fd == -ENOTDIR || path_fd == -ELOOP)
		return 0;
	if (path_fd < 0)
		return splitfd_error_sys(err, -path_fd, "%s: %s: cannot open%s", l->files->what,
			l->name,
			path_fd == -EACCES ? " (a rootless store is read under podman unshare)"
					   : "");
	r = check(l, path_fd, &st, err);
	if (r < 0)
		return r;
	fd = sfd_reopen(path_fd, O_RDONLY | O_NOCTTY);
	if (fd < 0)
		return splitfd_error_sys(err, -fd, "%s: %s: cannot open for reading%s",
			l->files->what, l->name,
			fd == -EACCES ? " (a rootless store is read under podman unshare)" : "");
	if (is_metacopy(fd, &st)) {
		l->metacopy = true;
		return 0;
	}
	l->fd = sfd_take_fd(&fd);
	return 1;
}

/* Removal unlinks the directory, or moves it to a place for deletion first. */
static bool is_removed(int dir)
{
	char link[32], path[4096];
	struct stat st;
	ssize_t n;

	if (fstat(dir, &st) == 0 && st.st_nlink == 0)
		return true;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", dir);
	n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0)
		return false;
	path[n] = '\0';
	return strstr(path, "/tempdirs/temp-dir-") != NULL;
}

static int removed(const struct layer_files *files, struct splitfd_error *err)
{
	return splitfd_error_set(err, SPLITFD_ERROR_NOT_FOUND, ENOENT,
		"%s: was removed from the store while it was read", files->what);
}

static int missing(const struct lookup *l, struct splitfd_error *err)
{
	if (is_removed(l->files->dirs[0]))
		return removed(l->files, err);
	if (l->metacopy)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, ENODATA,
			"%s: %s: the store has a metacopy stub without data", l->files->what,
			l->name);
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, ENOENT,
		"%s: %s: is missing from the store: it was deleted, or the tar overwrote it "
		"under another name",
		l->files->what, l->name);
}

static int try_lowers(struct lookup *l, struct splitfd_error *err)
{
	struct sfd_layer_lowers *lowers = l->files->lowers;

	for (size_t i = 0; lowers != NULL && i < lowers->n; i++) {
		sfd_cleanup_fd int dir = lowers->open(lowers, i);
		int r;

		if (dir == -ENOENT)
			return removed(l->files, err);
		if (dir < 0)
			return splitfd_error_sys(
				err, -dir, "%s: cannot open lower layer %zu", l->files->what, i);
		r = try_dir(l, dir, err);
		if (r != 0)
			return r;
	}
	return 0;
}

static int files_open(struct splitfd_files *base, const char *name, uint64_t size, int *ret_fd,
	int *ret_dir, struct splitfd_error *err)
{
	const struct layer_files *files = (const struct layer_files *)base;
	char clean[SPLITFD_NAME_MAX + 1];
	struct lookup l = { .files = files, .name = clean, .size = size, .fd = -EBADF };
	int r, found = -1;

	r = sfd_layer_clean_name(name, strlen(name), clean);
	if (r < 0)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, -r,
			"%s: \"%.200s\": not a name that a file can have", files->what, name);
	r = 0;
	for (size_t i = 0; r == 0 && i < base->n_dirs; i++) {
		r = try_dir(&l, files->dirs[i], err);
		if (r > 0 && l.plain && strcmp(name, clean) == 0)
			found = (int)i;
	}
	if (r == 0)
		r = try_lowers(&l, err);
	if (r == 0)
		r = missing(&l, err);
	if (r < 0)
		return r;
	if (ret_dir != NULL)
		*ret_dir = found;
	*ret_fd = l.fd;
	return 0;
}

static void files_free(struct splitfd_files *base)
{
	struct layer_files *files = (struct layer_files *)base;

	for (size_t i = 0; i < SFD_LAYER_DIRS_MAX; i++)
		sfd_close(files->dirs[i]);
	if (files->lowers != NULL)
		files->lowers->free(files->lowers);
	free(files->what);
	free(files);
}

static const struct splitfd_files_ops files_ops = { files_open, files_free };

int sfd_layer_files_new(struct sfd_layer_desc *desc, const char *what, struct splitfd_files **ret,
	struct splitfd_error *err)
{
	struct layer_files *files = calloc(1, sizeof(*files));
	sfd_cleanup(files_cleanup) struct splitfd_files *owned = NULL;

	if (files == NULL)
		return splitfd_error_oom(err);
	files->base = (struct splitfd_files){ &files_ops, 1, files->dirs, desc->n_dirs };
	for (size_t i = 0; i < SFD_LAYER_DIRS_MAX; i++)
		files->dirs[i] = i < desc->n_dirs ? sfd_take_fd(&desc->dirs[i]) : -EBADF;
	files->lowers = sfd_take_ptr(&desc->lowers);
	owned = &files->base;
	files->what = strdup(what);
	if (files->what == NULL)
		return splitfd_error_oom(err);
	*ret = sfd_take_ptr(&owned);
	return 0;
}
