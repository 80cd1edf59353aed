/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/base/lock-wait.h"
#include "splitfdstream/base/text.h"
#include "transport/composefs/beneath.h"
#include "transport/composefs/kernel-verity.h"
#include "transport/composefs/object-check.h"
#include "transport/composefs/repository-meta.h"
#include "transport/composefs/repository-private.h"
#include "transport/composefs/staging.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

SFD_DEFINE_CLEANUP(cleanup_repository, struct splitfd_repository, splitfd_repository_close);

/* The lock that cfsctl's gc takes exclusively: nothing of ours is collected while we work. */
static int open_locked(struct splitfd_repository *repository, const struct sfd_lock_options *lock,
	struct splitfd_error *err)
{
	const char *path = repository->path;
	sfd_cleanup_free char *what = sfd_asprintf("the repository '%s'", path);

	if (what == NULL)
		return splitfd_error_oom(err);

	repository->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (repository->fd < 0 && errno == ENOENT)
		return splitfd_error_set(err, SPLITFD_ERROR_NOT_FOUND, ENOENT,
			"there is no repository at '%s'; 'splitfd init --repo %s' makes one", path,
			path);
	if (repository->fd < 0)
		return splitfd_error_sys(err, errno, "cannot open the repository '%s'", path);
	return sfd_lock_wait(repository->fd, SFD_LOCK_FLOCK, what, lock, err);
}

static int no_meta(const struct splitfd_repository *repository, struct splitfd_error *err)
{
	const char *path = repository->path;

	if (faccessat(repository->fd, "objects", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, ENOENT,
			"the repository '%s' has objects, but no " SFD_META_NAME
			": an older cfsctl made it; 'cfsctl --repo %s fsck' with a newer one "
			"upgrades it",
			path, path);
	return splitfd_error_set(err, SPLITFD_ERROR_NOT_FOUND, ENOENT,
		"'%s' is not a composefs repository (it has no " SFD_META_NAME
		"); 'splitfd init --repo %s' makes it one",
		path, path);
}

/* meta.json: what it says, and whether fs-verity is on it. */
static int read_meta(
	struct splitfd_repository *repository, struct sfd_meta *meta, struct splitfd_error *err)
{
	sfd_cleanup_fd int fd = -EBADF;
	sfd_cleanup_free char *text = NULL;
	struct splitfd_digest digest;
	size_t n;
	int r;

	if (sfd_meta_is_lost(repository->fd))
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, ENODATA,
			"%s/" SFD_META_NAME " is empty or has lost its fs-verity data, as after a "
			"power cut; 'splitfd init --repo %s' makes it again",
			repository->path, repository->path);
	fd = sfd_beneath_open(repository->fd, SFD_META_NAME, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	if (fd == -ENOENT)
		return no_meta(repository, err);
	if (fd < 0)
		return sfd_beneath_failed(
			repository->fd, repository->path, "open", SFD_META_NAME, fd, err);
	r = sfd_check_regular(fd, UINT64_MAX, SFD_META_NAME, NULL, err);
	if (r < 0)
		return r;
	r = sfd_read_file_fd(fd, SFD_META_MAX, &text, &n);
	if (r < 0)
		return splitfd_error_sys(
			err, -r, "cannot read %s/" SFD_META_NAME, repository->path);
	r = sfd_kernel_verity_measure(fd, 0, &digest);
	if (r < 0)
		return splitfd_error_sys(err, -r,
			"cannot find out whether %s/" SFD_META_NAME " has fs-verity",
			repository->path);
	repository->secure = r == 1;
	r = sfd_meta_parse(text, n, meta, err);
	return r < 0 ? splitfd_error_wrap(err, r, "repository '%s'", repository->path) : 0;
}

static int check_writable(struct splitfd_repository *repository, const struct sfd_meta *meta,
	struct splitfd_error *err)
{
	if (meta->read_only_feature[0] != '\0')
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EOPNOTSUPP,
			"the repository '%s' has the feature '%s', which this program does not "
			"know: it may be read, but not written",
			repository->path, meta->read_only_feature);
	if (faccessat(repository->fd, ".", W_OK | X_OK, AT_EACCESS) < 0)
		return splitfd_error_sys(
			err, errno, "the repository '%s' cannot be written", repository->path);
	return 0;
}

static int open_meta(struct splitfd_repository *repository, struct splitfd_error *err)
{
	struct sfd_meta meta;
	int r;

	r = read_meta(repository, &meta, err);
	if (r < 0)
		return r;
	repository->algorithm = meta.algorithm;
	repository->erofs_default = meta.erofs_default;
	memcpy(repository->erofs_extra, meta.erofs_extra, sizeof(meta.erofs_extra));
	repository->n_erofs_extra = meta.n_erofs_extra;
	return repository->write ? check_writable(repository, &meta, err) : 0;
}

struct splitfd_repository *sfd_repository_new(void)
{
	struct splitfd_repository *repository = calloc(1, sizeof(*repository));

	if (repository == NULL)
		return NULL;
	repository->fd = repository->objects_fd = -EBADF;
	for (size_t i = 0; i < SFD_N_OBJECT_DIRS; i++)
		repository->dir_fds[i] = -EBADF;
	repository->dirs_kept = sfd_object_dirs_kept();
	pthread_mutex_init(&repository->lock, NULL);
	return repository;
}

/* The kernel's table of descriptors gets its size for the kept directories at once, here, where
 * there is mostly one thread. Where there are several, each step of its growth waits until all CPUs
 * have done something else: milliseconds. */
static void make_room(const struct splitfd_repository *repository)
{
	size_t n = SFD_N_OBJECT_DIRS + 64;

	if (repository->dirs_kept < n)
		n = repository->dirs_kept;
	if (n > 0)
		sfd_close(fcntl(repository->fd, F_DUPFD_CLOEXEC, (int)n - 1));
}

int splitfd_repository_open(
	const char *path, bool write, struct splitfd_repository **ret, struct splitfd_error *err)
{
	return sfd_repository_open(path, write, NULL, ret, err);
}

int sfd_repository_open(const char *path, bool write, const struct sfd_lock_options *lock,
	struct splitfd_repository **ret, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_repository) struct splitfd_repository *repository =
		sfd_repository_new();
	int r;

	if (repository == NULL)
		return splitfd_error_oom(err);
	repository->write = write;
	repository->path = strdup(path);
	if (repository->path == NULL)
		return splitfd_error_oom(err);
	r = open_locked(repository, lock, err);
	if (r == 0)
		r = open_meta(repository, err);
	if (r < 0)
		return r;
	r = sfd_repository_objects(repository, false, err);
	if (r < 0 && r != -ENOENT)
		return r;
	make_room(repository);
	if (write)
		sfd_staging_clean(repository);
	*ret = sfd_take_ptr(&repository);
	return 0;
}

struct splitfd_repository *splitfd_repository_close(struct splitfd_repository *repository)
{
	if (repository == NULL)
		return NULL;
	sfd_staging_free(repository->staging);
	for (size_t i = 0; i < SFD_N_OBJECT_DIRS; i++)
		sfd_close(repository->dir_fds[i]);
	sfd_close(repository->objects_fd);
	sfd_close(repository->fd);
	pthread_mutex_destroy(&repository->lock);
	free(repository->path);
	free(repository);
	return NULL;
}

void splitfd_repository_distrust(struct splitfd_repository *repository)
{
	repository->distrust = true;
}

unsigned int splitfd_repository_replaced(const struct splitfd_repository *repository)
{
	return __atomic_load_n(&repository->replaced, __ATOMIC_RELAXED);
}

enum splitfd_algorithm splitfd_repository_algorithm(const struct splitfd_repository *repository)
{
	return repository->algorithm;
}

bool splitfd_repository_secure(const struct splitfd_repository *repository)
{
	return repository->secure;
}

static int open_objects(
	struct splitfd_repository *repository, bool create, struct splitfd_error *err)
{
	int fd;

	if (create && mkdirat(repository->fd, "objects", 0755) < 0 && errno != EEXIST)
		return splitfd_error_sys(err, errno, "cannot make %s/objects", repository->path);
	fd = sfd_beneath_open(repository->fd, "objects", O_PATH | O_DIRECTORY, 0);
	if (fd < 0 && !(fd == -ENOENT && !create))
		sfd_beneath_failed(repository->fd, repository->path, "open", "objects", fd, err);
	return fd;
}

int sfd_repository_objects(
	struct splitfd_repository *repository, bool create, struct splitfd_error *err)
{
	int fd = __atomic_load_n(&repository->objects_fd, __ATOMIC_ACQUIRE);

	if (fd >= 0)
		return fd;
	pthread_mutex_lock(&repository->lock);
	fd = repository->objects_fd;
	if (fd < 0) {
		fd = open_objects(repository, create, err);
		if (fd >= 0)
			__atomic_store_n(&repository->objects_fd, fd, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&repository->lock);
	return fd;
}

int sfd_repository_lost(const struct splitfd_repository *repository, struct splitfd_error *err)
{
	return splitfd_error_set(err, SPLITFD_ERROR_FAILED, EIO,
		"the disk of the repository '%s' failed to store new objects; nothing of this run "
		"was named",
		repository->path);
}

unsigned int sfd_repository_losses(const struct splitfd_repository *repository)
{
	return __atomic_load_n(&repository->losses, __ATOMIC_ACQUIRE);
}

int sfd_repository_sync(struct splitfd_repository *repository, struct splitfd_error *err)
{
	int errnum;

	if (syncfs(repository->fd) == 0)
		return 0;
	errnum = errno;
	__atomic_add_fetch(&repository->losses, 1, __ATOMIC_RELEASE);
	return splitfd_error_sys(
		err, errnum, "cannot write the repository '%s' to the disk", repository->path);
}

enum sfd_hasher_kind sfd_repository_hasher(struct splitfd_repository *repository)
{
	int kind = __atomic_load_n(&repository->hasher, __ATOMIC_RELAXED);

	if (kind == SFD_HASHER_BEST) {
		kind = (int)sfd_hasher_choose(repository->algorithm);
		__atomic_store_n(&repository->hasher, kind, __ATOMIC_RELAXED);
	}
	return (enum sfd_hasher_kind)kind;
}
