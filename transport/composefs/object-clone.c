/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/object-clone.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/base/flag.h"

#include <linux/fs.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define DEVICES_MAX 16
#define COPY_STEP   ((size_t)64 * 1024 * 1024)
#define BUFFER_SIZE ((size_t)128 * 1024)

struct sfd_cloner {
	struct splitfd_repository *repository;
	enum splitfd_reflink reflink;
	const volatile int *cancel;
	pthread_mutex_t lock;
	dev_t cannot[DEVICES_MAX]; /* sources that do not share extents with the repository */
	size_t n_cannot;
};

struct sfd_cloner *sfd_cloner_new(struct splitfd_repository *repository,
	enum splitfd_reflink reflink, const volatile int *cancel)
{
	struct sfd_cloner *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->repository = repository;
	c->reflink = reflink;
	c->cancel = cancel;
	pthread_mutex_init(&c->lock, NULL);
	return c;
}

struct sfd_cloner *sfd_cloner_free(struct sfd_cloner *c)
{
	if (c != NULL)
		pthread_mutex_destroy(&c->lock);
	free(c);
	return NULL;
}

int sfd_check_unchanged(int fd, const struct stat *st, struct splitfd_error *err)
{
	struct stat now;

	if (fstat(fd, &now) < 0)
		return splitfd_error_sys(err, errno, "cannot examine the file again");
	if (now.st_size != st->st_size || now.st_ctim.tv_sec != st->st_ctim.tv_sec ||
		now.st_ctim.tv_nsec != st->st_ctim.tv_nsec ||
		now.st_mtim.tv_sec != st->st_mtim.tv_sec ||
		now.st_mtim.tv_nsec != st->st_mtim.tv_nsec)
		return splitfd_error_set(
			err, SPLITFD_ERROR_REFUSED, ESTALE, "the file changed while it was read");
	return 0;
}

static bool known_unable(struct sfd_cloner *c, dev_t dev)
{
	bool found = false;

	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < c->n_cannot && !found; i++)
		found = c->cannot[i] == dev;
	pthread_mutex_unlock(&c->lock);
	return found;
}

static void remember_unable(struct sfd_cloner *c, dev_t dev)
{
	pthread_mutex_lock(&c->lock);
	if (c->n_cannot < DEVICES_MAX)
		c->cannot[c->n_cannot++] = dev;
	pthread_mutex_unlock(&c->lock);
}

/* 1: cloned. 0: these file systems, or this file, cannot. -errno. */
static int try_clone(struct sfd_cloner *c, int from, dev_t dev, int to, struct splitfd_error *err)
{
	int r;

	if (c->reflink == SPLITFD_REFLINK_NEVER || from < 0 ||
		(c->reflink != SPLITFD_REFLINK_ALWAYS && known_unable(c, dev)))
		return 0;
	do
		r = ioctl(to, FICLONE, from);
	while (r < 0 && errno == EINTR && !sfd_flag_is_set(c->cancel));
	if (r == 0)
		return 1;
	r = errno;
	/* EINVAL is about this one file (btrfs: one of the two has no checksums). */
	if (r != EOPNOTSUPP && r != EXDEV && r != ENOTTY && r != EINVAL)
		return splitfd_error_sys(err, r, "cannot clone the file");
	if (c->reflink == SPLITFD_REFLINK_ALWAYS)
		return splitfd_error_sys(err, r,
			"the file cannot share its extents with the repository; put both on one "
			"file system with reflinks (XFS, btrfs), or use --reflink=auto");
	if (r != EINVAL)
		remember_unable(c, dev);
	return 0;
}

static int cancelled(const struct sfd_cloner *c)
{
	return sfd_flag_is_set(c->cancel) ? -ECANCELED : 0;
}

/* The rest by reading and writing. */
static int copy_through(struct sfd_cloner *c, int from, int to, uint64_t at, uint64_t size)
{
	sfd_cleanup_free uint8_t *buffer = malloc(BUFFER_SIZE);
	int r = 0;

	if (buffer == NULL)
		return -ENOMEM;
	while (r == 0 && at < size) {
		size_t n = size - at < BUFFER_SIZE ? (size_t)(size - at) : BUFFER_SIZE;

		r = sfd_pread_full(from, buffer, n, at);
		if (r == 0)
			r = sfd_pwrite_all(to, buffer, n, at);
		if (r == 0)
			r = cancelled(c);
		at += n;
	}
	return r;
}

static int copy_all(struct sfd_cloner *c, int from, int to, uint64_t size)
{
	uint64_t at = 0;

	while (at < size) {
		off_t in = (off_t)at, out = (off_t)at;
		size_t step = size - at < COPY_STEP ? (size_t)(size - at) : COPY_STEP;
		ssize_t n = copy_file_range(from, &in, to, &out, step, 0);

		if (n == 0)
			return -ENODATA;
		if (n < 0 && errno == EINTR && cancelled(c) == 0)
			continue;
		if (n < 0 && (errno == EOPNOTSUPP || errno == EXDEV || errno == EINVAL ||
				     errno == ENOSYS || errno == ENOTTY))
			return copy_through(c, from, to, at, size);
		if (n < 0)
			return -errno;
		at += (uint64_t)n;
		if (cancelled(c) < 0)
			return -ECANCELED;
	}
	return 0;
}

/* Bytes that are in memory are the very ones that were hashed: nothing to check after. */
static int fill(struct sfd_cloner *c, const struct sfd_content *content, int to,
	enum sfd_object_how *ret_how, struct splitfd_error *err)
{
	int r = try_clone(c, content->fd, content->st.st_dev, to, err);

	if (r < 0)
		return r;
	*ret_how = r == 1 ? SFD_OBJECT_REFLINKED : SFD_OBJECT_COPIED;
	if (r == 0 && content->data != NULL) {
		r = sfd_write_all(to, content->data, content->size);
		return r < 0 ? splitfd_error_sys(err, -r, "cannot write the object") : 0;
	}
	if (r == 0)
		r = copy_all(c, content->fd, to, content->size);
	if (r == -ENODATA)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, ESTALE,
			"the file became shorter while it was copied");
	if (r == -ECANCELED)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, ECANCELED, "interrupted");
	if (r < 0)
		return splitfd_error_sys(err, -r, "cannot copy the file");
	return sfd_check_unchanged(content->fd, &content->st, err);
}

int sfd_cloner_put(struct sfd_cloner *c, const struct splitfd_digest *digest,
	const struct sfd_content *content, enum sfd_object_how *ret_how, struct splitfd_error *err)
{
	sfd_cleanup_temp struct sfd_temp temp = SFD_TEMP_INIT;
	enum sfd_object_how how = SFD_OBJECT_PRESENT;
	int r = 0;

	if (!sfd_object_dir_is_new(c->repository, digest))
		r = sfd_object_exists(c->repository, digest, err);
	if (r < 0)
		return r;
	if (r == 0) {
		r = sfd_object_begin(c->repository, digest, &temp, err);
		if (r == 0)
			r = fill(c, content, temp.fd, &how, err);
		if (r == 0)
			r = sfd_object_commit(c->repository, digest, &temp, err);
		if (r < 0)
			return r;
	}
	*ret_how = r == 1 ? SFD_OBJECT_PRESENT : how;
	return 0;
}
