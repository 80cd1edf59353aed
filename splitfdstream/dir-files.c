/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/dir-files.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/fd.h"
#include "splitfdstream/base/removed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A removal that has begun is mostly done with the directory by then. */
#define REMOVAL_MS 1000

struct dir_files {
	struct splitfd_files base;
	int dir;
};

const char *sfd_dir_name_fault(const char *name, size_t n)
{
	const char *end = name + n;

	if (n == 0)
		return "is empty";
	if (n > SPLITFD_NAME_MAX)
		return "is longer than 4096 bytes";
	if (memchr(name, '\0', n) != NULL)
		return "holds a NUL byte";
	if (name[0] == '/')
		return "is absolute";
	while (name < end) {
		const char *slash = memchr(name, '/', (size_t)(end - name));
		const char *stop = slash != NULL ? slash : end;

		if (stop - name == 2 && name[0] == '.' && name[1] == '.')
			return "has a component '..'";
		name = stop + 1;
	}
	return NULL;
}

static int open_path(int dir, const char *name, int *ret_dir)
{
	const uint64_t flags = O_PATH | O_NOFOLLOW;
	const uint64_t confined = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
	int fd = sfd_openat2(dir, name, flags, 0, confined | RESOLVE_NO_SYMLINKS);

	*ret_dir = 0;
	if (fd != -ELOOP)
		return fd;
	*ret_dir = -1;
	return sfd_openat2(dir, name, flags, 0, confined);
}

/* The type is known before the file is opened for reading: a FIFO or a device is never opened. */
static int dir_files_open(struct splitfd_files *files, const char *name, uint64_t size, int *ret_fd,
	int *ret_dir, struct splitfd_error *err)
{
	struct dir_files *df = (struct dir_files *)files;
	const char *fault = sfd_dir_name_fault(name, strlen(name));
	sfd_cleanup_fd int path = -EBADF, fd = -EBADF;
	struct stat st;
	int dir, r;

	if (fault != NULL)
		return splitfd_error_set(
			err, SPLITFD_ERROR_REFUSED, EINVAL, "the name '%s' %s", name, fault);
	path = open_path(df->dir, name, &dir);
	if (path == -ENOENT && sfd_dir_removed(df->dir, REMOVAL_MS))
		return sfd_layer_removed(err);
	if (path == -EXDEV || path == -ELOOP)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, -path,
			"'%s' leads out of the directory that was passed for it", name);
	if (path < 0)
		return splitfd_error_sys(err, -path, "'%s'", name);
	if (fstat(path, &st) < 0)
		return splitfd_error_sys(err, errno, "'%s'", name);
	if (!S_ISREG(st.st_mode))
		return splitfd_error_set(
			err, SPLITFD_ERROR_REFUSED, EINVAL, "'%s' is not a regular file", name);
	fd = sfd_reopen(path, O_RDONLY);
	if (fd < 0)
		return splitfd_error_sys(err, -fd, "cannot open '%s'", name);
	r = sfd_check_regular(fd, size, name, NULL, err);
	if (r < 0)
		return r;
	if (ret_dir != NULL)
		*ret_dir = dir;
	*ret_fd = sfd_take_fd(&fd);
	return 0;
}

static bool dir_files_removed(struct splitfd_files *files)
{
	return sfd_dir_removed(((struct dir_files *)files)->dir, REMOVAL_MS);
}

static void dir_files_free(struct splitfd_files *files)
{
	struct dir_files *df = (struct dir_files *)files;

	sfd_close(df->dir);
	free(df);
}

int sfd_dir_files_new(int dir, struct splitfd_files **ret, struct splitfd_error *err)
{
	static const struct splitfd_files_ops ops = {
		.open = dir_files_open,
		.free = dir_files_free,
		.removed = dir_files_removed,
	};
	sfd_cleanup_fd int owned = dir;
	struct dir_files *df;
	int r = sfd_check_directory(owned, err);

	if (r < 0)
		return r;
	df = calloc(1, sizeof(*df));
	if (df == NULL)
		return splitfd_error_oom(err);
	df->dir = sfd_take_fd(&owned);
	df->base.ops = &ops;
	df->base.refs = 1;
	df->base.dirs = &df->dir;
	df->base.n_dirs = 1;
	*ret = &df->base;
	return 0;
}
