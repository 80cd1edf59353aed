/* SPDX-License-Identifier: Apache-2.0 */
/* The names in streams/ and images/, and the references below refs/. */
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"
#include "transport/composefs/beneath.h"
#include "transport/composefs/fsck/fsck-private.h"
#include "transport/composefs/repository-private.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_DEPTH 32

/* One folder of names. */
struct folder {
	struct sfd_fsck *f;
	bool streams;
	struct sfd_fsck_count *count;
};

static const char *type_name(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "RegularFile";
	case S_IFIFO:
		return "Fifo";
	case S_IFSOCK:
		return "Socket";
	case S_IFCHR:
		return "CharacterDevice";
	case S_IFBLK:
		return "BlockDevice";
	default:
		return "Unknown";
	}
}

static int wrong(struct folder *d, const char *kind, const char *path, const char *detail)
{
	return sfd_fsck_add(d->f, &d->f->report->errors, "%s: %s%s%s", kind, path,
		detail[0] != '\0' ? ": " : "", detail);
}

static int broken(struct folder *d, const char *path)
{
	d->f->report->broken_links++;
	return wrong(d, "broken-symlink", path, "");
}

/* What a link leads to, open for reading; -EINVAL for what is not a regular file. */
static int open_target(const struct folder *d, const char *path)
{
	sfd_cleanup_fd int fd = sfd_beneath_follow(d->f->repository->fd, path);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? sfd_reopen(fd, O_RDONLY) : -EINVAL;
}

/* A name that is not in refs/. */
static int check_name(struct folder *d, int dir, const char *path, const char *name)
{
	struct stat st;
	int fd;

	d->count->checked++;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return wrong(d, "stat-failed", path, strerror(errno));
	if (!S_ISLNK(st.st_mode)) {
		d->count->corrupted++;
		return wrong(d, "entry-not-symlink", path, "");
	}
	fd = open_target(d, path);
	if (fd == -ENOENT) {
		d->count->corrupted++;
		return broken(d, path);
	}
	if (fd < 0) {
		sfd_cleanup_fd int target = sfd_beneath_follow(d->f->repository->fd, path);

		d->count->corrupted++;
		return wrong(d, d->streams ? "stream-open-failed" : "image-open-failed", path,
			sfd_fsck_open_reason(target, "", AT_EMPTY_PATH, -fd));
	}
	return d->streams ? sfd_fsck_stream(d->f, name, fd) : sfd_fsck_image(d->f, name, fd);
}

static int check_dir(struct folder *d, const char *path, int depth, struct splitfd_error *err);

static int check_ref(struct folder *d, int dir, const char *path, const char *name, int depth,
	struct splitfd_error *err)
{
	sfd_cleanup_fd int target = -EBADF;
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return wrong(d, "stat-failed", path, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return check_dir(d, path, depth + 1, err);
	if (!S_ISLNK(st.st_mode))
		return wrong(d, "unexpected-file-type", path, type_name(st.st_mode));
	target = sfd_beneath_follow(d->f->repository->fd, path);
	if (target >= 0)
		return 0;
	return target == -ENOENT ? broken(d, path)
				 : wrong(d, "stat-failed", path, sfd_fsck_reason(target));
}

static int check_entry(struct folder *d, int dir, const char *folder, const char *name, int depth,
	struct splitfd_error *err)
{
	sfd_cleanup_free char *path = sfd_asprintf("%s/%s", folder, name);

	if (path == NULL)
		return splitfd_error_oom(err);
	if (depth > 0)
		return check_ref(d, dir, path, name, depth, err);
	if (strcmp(name, "refs") == 0)
		return 0;
	return check_name(d, dir, path, name);
}

/* Depth 0 is streams/ or images/ itself; below it are references. */
static int check_dir(struct folder *d, const char *path, int depth, struct splitfd_error *err)
{
	int fd = sfd_beneath_open(d->f->repository->fd, path, O_RDONLY | O_DIRECTORY, 0);
	sfd_cleanup_dir DIR *dir = NULL;
	const struct dirent *entry;
	int r = 0;

	if (fd == -ENOENT)
		return 0;
	if (fd == -ELOOP)
		return wrong(d, "unexpected-file-type", path, "SymbolicLink");
	if (fd < 0)
		return splitfd_error_sys(err, -fd, "cannot read %s", path);
	dir = fdopendir(fd);
	if (dir == NULL || depth > MAX_DEPTH) {
		r = splitfd_error_sys(err, dir == NULL ? errno : ELOOP, "cannot read %s", path);
		if (dir == NULL)
			sfd_close(fd);
		return r;
	}
	for (errno = 0; r == 0 && (entry = readdir(dir)) != NULL; errno = 0) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		r = sfd_fsck_cancelled(d->f, err);
		if (r == 0)
			r = check_entry(d, fd, path, entry->d_name, depth, err);
	}
	return r == 0 && errno != 0 ? splitfd_error_sys(err, errno, "cannot read %s", path) : r;
}

int sfd_fsck_names(struct sfd_fsck *f, const char *category, struct splitfd_error *err)
{
	bool streams = strcmp(category, "streams") == 0;
	struct folder d = { f, streams, streams ? &f->report->streams : &f->report->images };
	size_t first = f->report->errors.n;
	char refs[32];
	int r = check_dir(&d, category, 0, err);

	snprintf(refs, sizeof(refs), "%s/refs", category);
	if (r == 0)
		r = check_dir(&d, refs, 1, err);
	sfd_fsck_sort(&f->report->errors, first);
	return r;
}
