/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/object-store.h"
#include "splitfdstream/base/io.h"
#include "transport/composefs/beneath.h"
#include "transport/composefs/kernel-verity.h"
#include "transport/composefs/object-check.h"
#include "transport/composefs/repository-private.h"
#include "transport/composefs/verity.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int fail(struct splitfd_error *err, int r, const char *what, const char *path)
{
	return splitfd_error_sys(err, -r, "cannot %s object %s", what, path);
}

/* In a secure repository the kernel vouches for an object. */
static int check_measured(struct splitfd_repository *repository, int fd,
	const struct splitfd_digest *digest, const char *path, struct splitfd_error *err)
{
	struct splitfd_digest measured;
	int r = sfd_kernel_verity_measure(fd, repository->algorithm, &measured);

	if (r < 0 && r != -EPROTO)
		return fail(err, r, "measure", path);
	if (r == 0)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"object %s has no fs-verity, but the repository is a secure one", path);
	if (r < 0 || !splitfd_digest_equal(&measured, digest))
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"the kernel's fs-verity digest of object %s is not its name", path);
	return 0;
}

/* The descriptor, -ENOENT, or another -errno; a text only where objects/ cannot be opened. */
static int open_object(
	struct splitfd_repository *repository, const char *path, struct splitfd_error *err)
{
	struct sfd_staging *staging = __atomic_load_n(&repository->staging, __ATOMIC_ACQUIRE);
	int fd = -ENOENT, dir;

	if (staging != NULL)
		fd = sfd_staging_open(staging, path);
	if (fd != -ENOENT)
		return fd;
	dir = sfd_repository_objects(repository, false, err);
	return dir < 0 ? dir : sfd_beneath_open(dir, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
}

static int open_failed(const struct splitfd_repository *repository, const char *path, int r,
	struct splitfd_error *err)
{
	char name[sizeof("objects/") + SFD_OBJECT_PATH_SIZE] = "objects/";

	if (r != -ELOOP)
		return fail(err, r, "open", path);
	memcpy(name + strlen(name), path, strlen(path) + 1);
	return sfd_beneath_failed(repository->fd, repository->path, "open", name, r, err);
}

int sfd_object_open(struct splitfd_repository *repository, const struct splitfd_digest *digest,
	int *ret_fd, uint64_t *ret_size, struct splitfd_error *err)
{
	sfd_cleanup_fd int fd = -EBADF;
	char path[SFD_OBJECT_PATH_SIZE];
	int r;

	sfd_object_path(digest, path);
	fd = open_object(repository, path, err);
	if (fd == -ENOENT)
		return splitfd_error_set(err, SPLITFD_ERROR_NOT_FOUND, ENOENT,
			"object %s is missing in the repository '%s'", path, repository->path);
	if (fd < 0)
		return open_failed(repository, path, fd, err);
	r = sfd_check_regular(fd, UINT64_MAX, path, ret_size, err);
	if (r == 0 && repository->secure)
		r = check_measured(repository, fd, digest, path, err);
	if (r < 0)
		return r;
	*ret_fd = sfd_take_fd(&fd);
	return 0;
}

int sfd_object_read(struct splitfd_repository *repository, const struct splitfd_digest *digest,
	size_t max, char **ret_data, size_t *ret_size, struct splitfd_error *err)
{
	sfd_cleanup_fd int fd = -EBADF;
	char path[SFD_OBJECT_PATH_SIZE];
	int r;

	r = sfd_object_open(repository, digest, &fd, NULL, err);
	if (r < 0)
		return r;
	r = sfd_read_file_fd(fd, max, ret_data, ret_size);
	sfd_object_path(digest, path);
	return r < 0 ? fail(err, r, "read", path) : 0;
}

/* Made with the first object. */
static int get_staging(
	struct splitfd_repository *repository, struct sfd_staging **ret, struct splitfd_error *err)
{
	int r = 0;

	*ret = __atomic_load_n(&repository->staging, __ATOMIC_ACQUIRE);
	if (*ret != NULL)
		return 0;
	pthread_mutex_lock(&repository->lock);
	if (repository->staging == NULL) {
		r = sfd_staging_new(repository, ret, err);
		if (r == 0)
			__atomic_store_n(&repository->staging, *ret, __ATOMIC_RELEASE);
	}
	*ret = repository->staging;
	pthread_mutex_unlock(&repository->lock);
	return r;
}

int sfd_object_begin(struct splitfd_repository *repository, const struct splitfd_digest *digest,
	struct sfd_staged *ret, struct splitfd_error *err)
{
	struct sfd_staging *staging;
	int r;

	*ret = SFD_STAGED_INIT;
	r = get_staging(repository, &staging, err);
	return r < 0 ? r : sfd_staging_begin(staging, digest, ret, err);
}

/* fs-verity wants that nobody has the file open for writing. */
static int seal(struct splitfd_repository *repository, const struct splitfd_digest *digest,
	struct sfd_staged *staged, struct splitfd_error *err)
{
	char path[SFD_OBJECT_PATH_SIZE];
	int fd = sfd_reopen(staged->fd, O_RDONLY), r;

	sfd_object_path(digest, path);
	if (fd < 0)
		return fail(err, fd, "open", path);
	sfd_close(staged->fd);
	staged->fd = fd;
	r = sfd_kernel_verity_enable(fd, repository->algorithm);
	if (r < 0)
		return fail(err, r, "enable fs-verity on", path);
	return check_measured(repository, fd, digest, path, err);
}

int sfd_object_commit(struct splitfd_repository *repository, const struct splitfd_digest *digest,
	struct sfd_staged *staged, struct splitfd_error *err)
{
	int r = repository->secure ? seal(repository, digest, staged, err) : 0;

	return r < 0 ? r : sfd_staging_commit(repository->staging, digest, staged, err);
}

int sfd_objects_publish(struct splitfd_repository *repository, struct splitfd_error *err)
{
	struct sfd_staging *staging = __atomic_load_n(&repository->staging, __ATOMIC_ACQUIRE);

	return staging == NULL ? 0 : sfd_staging_publish(staging, err);
}

int sfd_objects_temporary_dir(struct splitfd_repository *repository, struct splitfd_error *err)
{
	struct sfd_staging *staging;
	int r = get_staging(repository, &staging, err);

	return r < 0 ? r : sfd_staging_fd(staging);
}

/* Moved away first, so that what is looked at is what is removed. */
void sfd_object_drop_damaged(
	struct splitfd_repository *repository, const struct splitfd_digest *digest)
{
	sfd_cleanup_fd int fd = -EBADF, dir = -EBADF;
	struct splitfd_digest found = { 0 };
	char path[SFD_OBJECT_PATH_SIZE];
	const char *name;
	int objects = sfd_repository_objects(repository, false, NULL);
	int away = sfd_objects_temporary_dir(repository, NULL);

	sfd_object_path(digest, path);
	if (objects < 0 || away < 0 || sfd_object_verify(repository, digest, NULL) != 0)
		return;
	dir = sfd_beneath_parent(objects, path, &name);
	if (dir < 0 || renameat2(dir, name, away, name, RENAME_NOREPLACE) < 0)
		return;
	fd = sfd_beneath_open_regular(away, name);
	if (fd >= 0 && sfd_object_hash(repository, fd, &found) == 0 &&
		splitfd_digest_equal(&found, digest))
		(void)renameat2(away, name, dir, name, RENAME_NOREPLACE);
}

/* Such objects are few, and all the others depend on them: what is there is read. */
int sfd_object_put_bytes(struct splitfd_repository *repository, const void *data, size_t n,
	struct splitfd_digest *ret, enum sfd_object_how *ret_how, struct splitfd_error *err)
{
	sfd_cleanup_staged struct sfd_staged staged = SFD_STAGED_INIT;
	char path[SFD_OBJECT_PATH_SIZE];
	struct splitfd_digest digest;
	int r;

	r = sfd_verity_bytes(repository->algorithm, data, n, &digest);
	if (r < 0)
		return splitfd_error_sys(err, -r, "cannot hash an object of %zu bytes", n);
	r = sfd_object_verify(repository, &digest, err);
	if (r == 0) {
		r = sfd_object_begin(repository, &digest, &staged, err);
		if (r == 0) {
			r = sfd_write_all(staged.fd, data, n);
			sfd_object_path(&digest, path);
			r = r < 0 ? fail(err, r, "write", path)
				  : sfd_object_commit(repository, &digest, &staged, err);
		}
	}
	if (r < 0)
		return r;
	*ret_how = r == 1 ? SFD_OBJECT_PRESENT : SFD_OBJECT_COPIED;
	*ret = digest;
	return 0;
}
