/* SPDX-License-Identifier: Apache-2.0 */
/* Makes a repository: the directory, and meta.json with fs-verity. */
#include "splitfdstream/base/io.h"
#include "transport/composefs/algorithm.h"
#include "transport/composefs/kernel-verity.h"
#include "transport/composefs/repository-meta.h"
#include "transport/composefs/repository-private.h"
#include "transport/composefs/temp-file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* The kernel refuses hash blocks that are larger than the file system's. */
static bool has_small_blocks(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_bsize > 0 && fs.f_bsize < 4096;
}

static int enable_verity(struct sfd_temp *temp, const struct sfd_meta *meta, const char *path,
	struct splitfd_error *err)
{
	int r = sfd_temp_seal(temp);

	if (r == 0)
		r = sfd_kernel_verity_enable(temp->fd, meta->algorithm);
	if (r == -EOPNOTSUPP)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, EOPNOTSUPP,
			"the file system of '%s' has no fs-verity; use one that has (ext4 or btrfs "
			"with the feature 'verity'), or 'init --insecure'",
			path);
	if (r == -EINVAL && has_small_blocks(temp->fd))
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, EINVAL,
			"the file system of '%s' needs blocks of 4096 bytes for fs-verity; make it "
			"with such blocks ('mkfs.ext4 -b 4096 -O verity'), or 'init --insecure'",
			path);
	return r < 0 ? splitfd_error_sys(
			       err, -r, "cannot enable fs-verity on %s/" SFD_META_NAME, path)
		     : 0;
}

/* 0; -EEXIST without a text where there is a meta.json already. */
static int write_meta(int dirfd, const struct sfd_meta *meta, bool secure, const char *path,
	struct splitfd_error *err)
{
	sfd_cleanup_temp struct sfd_temp temp = SFD_TEMP_INIT;
	char text[SFD_META_TEXT_SIZE];
	size_t n = sfd_meta_format(meta, text);
	int r;

	r = sfd_temp_open(dirfd, ".", 0644, &temp);
	if (r == 0)
		r = sfd_write_all(temp.fd, text, n);
	if (r == 0 && fsync(temp.fd) < 0)
		r = -errno;
	if (r < 0)
		return splitfd_error_sys(err, -r, "cannot write %s/" SFD_META_NAME, path);
	if (secure) {
		r = enable_verity(&temp, meta, path, err);
		if (r < 0)
			return r;
	}
	r = sfd_temp_link(&temp, SFD_META_NAME);
	if (r < 0 && r != -EEXIST)
		splitfd_error_sys(err, -r, "cannot make %s/" SFD_META_NAME, path);
	/* Of a file that got fs-verity, btrfs makes neither fsync(2) of it nor of its directory
	 * durable. */
	if (r == 0 && syncfs(dirfd) < 0)
		return splitfd_error_sys(err, errno, "cannot write '%s' to the disk", path);
	return r;
}

/* meta.json is there: are these its settings? */
static int check_same(const char *path, const struct sfd_meta *meta,
	const struct splitfd_init_options *options, struct splitfd_error *err)
{
	const struct sfd_lock_options lock = { .timeout_ms = options->lock_timeout };
	struct splitfd_repository *repository;
	bool secure = !options->insecure;
	int r;

	r = sfd_repository_open(path, false, &lock, &repository, err);
	if (r < 0)
		return r;
	if (repository->algorithm != meta->algorithm ||
		repository->erofs_default != meta->erofs_default || (secure && !repository->secure))
		r = splitfd_error_set(err, SPLITFD_ERROR_FAILED, EEXIST,
			"the repository '%s' is there already with other settings (%s, EROFS "
			"format V%d, %s); asked for were %s, V%d, %s",
			path, sfd_algorithm_name(repository->algorithm), repository->erofs_default,
			repository->secure ? "secure" : "insecure",
			sfd_algorithm_name(meta->algorithm), meta->erofs_default,
			secure ? "secure" : "insecure");
	splitfd_repository_close(repository);
	return r;
}

/* A power cut can leave a meta.json without a byte, or without its fs-verity data. It says nothing,
 * so it makes room; of two that see this, one removes it. */
static int drop_lost_meta(int dir, const char *path, struct splitfd_error *err)
{
	int r = 0;

	if (!sfd_meta_is_lost(dir))
		return 0;
	do
		r = flock(dir, LOCK_EX) < 0 ? -errno : 0;
	while (r == -EINTR);
	if (r < 0)
		return splitfd_error_sys(err, -r, "cannot lock the repository '%s'", path);
	if (sfd_meta_is_lost(dir) && unlinkat(dir, SFD_META_NAME, 0) < 0)
		r = splitfd_error_sys(
			err, errno, "cannot remove the spoilt %s/" SFD_META_NAME, path);
	(void)flock(dir, LOCK_UN);
	return r;
}

/* What was made, for who fails later: `path` cut after `first` characters, and all below it. */
struct made {
	const char *path;
	size_t first; /* SIZE_MAX: nothing */
};

static void unmake(const struct made *made)
{
	char part[PATH_MAX];
	size_t n = strlen(made->path);

	if (made->first == SIZE_MAX || n >= sizeof(part))
		return;
	memcpy(part, made->path, n + 1);
	while (n > made->first && part[n - 1] == '/')
		part[--n] = '\0';
	/* What somebody else has put there meanwhile stays, and so does all above it. */
	while (rmdir(part) == 0) {
		while (n > made->first && part[n - 1] != '/')
			n--;
		while (n > made->first && part[n - 1] == '/')
			n--;
		if (n < made->first || part[n] == '\0')
			return;
		part[n] = '\0';
	}
}

static int make_one(struct made *made, const char *path, mode_t mode)
{
	if (mkdir(path, mode) < 0)
		return -errno;
	if (made->first == SIZE_MAX)
		made->first = strlen(path);
	return 0;
}

/* The directories above, as cfsctl makes them: a user has no ~/.var at first. */
static int make_parents(struct made *made)
{
	const char *path = made->path;
	char part[PATH_MAX];
	size_t n = strlen(path);

	if (n >= sizeof(part))
		return -ENAMETOOLONG;
	for (size_t i = 1; i < n; i++) {
		int r;

		if (path[i] != '/' || path[i - 1] == '/')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		r = make_one(made, part, 0755);
		if (r < 0 && r != -EEXIST)
			return r;
	}
	return 0;
}

static int make_directory(struct made *made, int *ret_fd, struct splitfd_error *err)
{
	const char *path = made->path;
	int r = make_one(made, path, 0700);

	if (r == -ENOENT) {
		r = make_parents(made);
		if (r == 0)
			r = make_one(made, path, 0700);
	}
	if (r < 0 && r != -EEXIST)
		return splitfd_error_sys(err, -r, "cannot make the directory '%s'", path);
	*ret_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*ret_fd < 0)
		return splitfd_error_sys(err, errno, "cannot open the directory '%s'", path);
	return 0;
}

static int make(struct made *made, const struct sfd_meta *meta,
	const struct splitfd_init_options *options, struct splitfd_error *err)
{
	sfd_cleanup_fd int fd = -EBADF;
	int r = make_directory(made, &fd, err);

	if (r < 0)
		return r;
	r = drop_lost_meta(fd, made->path, err);
	if (r < 0)
		return r;
	/* Looked at first, so that a file system without O_TMPFILE is not written for nothing. */
	if (faccessat(fd, SFD_META_NAME, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return check_same(made->path, meta, options, err);
	r = write_meta(fd, meta, !options->insecure, made->path, err);
	return r == -EEXIST ? check_same(made->path, meta, options, err) : r;
}

int splitfd_repository_init(
	const char *path, const struct splitfd_init_options *options, struct splitfd_error *err)
{
	struct made made = { .path = path, .first = SIZE_MAX };
	struct sfd_meta meta = {
		.algorithm = options->algorithm != 0 ? options->algorithm : SPLITFD_SHA512,
		.erofs_default = options->erofs_default != 0 ? options->erofs_default : 1,
	};
	int r;

	if (!sfd_algorithm_known(meta.algorithm) || meta.erofs_default < 1 ||
		meta.erofs_default > 2)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"a repository has sha256 or sha512, and EROFS format 1 or 2");
	r = make(&made, &meta, options, err);
	if (r < 0)
		unmake(&made);
	return r;
}
