/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/object-clone.h"
#include "splitfdstream/base/fd.h"
#include "splitfdstream/base/flag.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/base/removed.h"
#include "transport/composefs/object-check.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define FILE_SYSTEMS_MAX 16
#define COPY_STEP	 ((size_t)64 * 1024 * 1024)
#define BUFFER_SIZE	 ((size_t)128 * 1024)

/* What was learnt of a source file system. */
struct source_fs {
	dev_t dev;
	enum sfd_guardable guardable;
	bool cannot; /* share extents with the repository */
};

struct sfd_cloner {
	struct splitfd_repository *repository;
	enum splitfd_reflink reflink;
	bool foreign;
	const volatile int *cancel;
	pthread_mutex_t lock;
	struct source_fs known[FILE_SYSTEMS_MAX];
	size_t n_known;
};

struct sfd_cloner *sfd_cloner_new(struct splitfd_repository *repository,
	enum splitfd_reflink reflink, bool foreign, const volatile int *cancel)
{
	struct sfd_cloner *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->repository = repository;
	c->reflink = reflink;
	c->foreign = foreign;
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

/* Locked. NULL where nothing is known. */
static struct source_fs *find_fs(struct sfd_cloner *c, dev_t dev)
{
	for (size_t i = 0; i < c->n_known; i++) {
		if (c->known[i].dev == dev)
			return &c->known[i];
	}
	return NULL;
}

/* A copy of what is known of the content's file system; looks where nothing is. */
static struct source_fs learn_fs(struct sfd_cloner *c, int fd, dev_t dev)
{
	struct source_fs fs = { .dev = dev }, *found;

	pthread_mutex_lock(&c->lock);
	found = find_fs(c, dev);
	if (found != NULL)
		fs = *found;
	pthread_mutex_unlock(&c->lock);
	if (found != NULL)
		return fs;
	fs.guardable = sfd_guardable(fd);
	pthread_mutex_lock(&c->lock);
	if (find_fs(c, dev) == NULL && c->n_known < FILE_SYSTEMS_MAX)
		c->known[c->n_known++] = fs;
	pthread_mutex_unlock(&c->lock);
	return fs;
}

static void remember_unable(struct sfd_cloner *c, dev_t dev)
{
	struct source_fs *found;

	pthread_mutex_lock(&c->lock);
	found = find_fs(c, dev);
	if (found != NULL)
		found->cannot = true;
	pthread_mutex_unlock(&c->lock);
}

void sfd_cloner_guard(
	struct sfd_cloner *c, struct sfd_content *content, bool shared, bool in_memory)
{
	struct source_fs fs = learn_fs(c, content->fd, content->st.st_dev);
	bool lease = !c->foreign && fs.guardable == SFD_GUARDABLE_FULLY;

	content->guard = SFD_GUARD_NONE;
	if (fs.guardable == SFD_GUARDABLE_NOT ||
		(in_memory && (c->reflink == SPLITFD_REFLINK_NEVER || fs.cannot)))
		return;
	if (lease && shared) {
		/* Not to wait for who holds a lease for writing. */
		int own = sfd_reopen(content->fd, O_RDONLY | O_NONBLOCK | O_NOCTTY);

		lease = own >= 0;
		if (lease) {
			sfd_close(content->fd);
			content->fd = own;
		}
	}
	content->guard = sfd_guard_take(content->fd, fs.guardable, lease);
}

/* 1: cloned. 0: these file systems, or this file, cannot. -errno. */
static int try_clone(struct sfd_cloner *c, int from, dev_t dev, int to, struct splitfd_error *err)
{
	int r;

	if (c->reflink == SPLITFD_REFLINK_NEVER || from < 0 ||
		(c->reflink != SPLITFD_REFLINK_ALWAYS && learn_fs(c, from, dev).cannot))
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

	/* copy_file_range(2) may share extents. */
	if (c->reflink == SPLITFD_REFLINK_NEVER)
		return copy_through(c, from, to, 0, size);
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

static int changed(const struct sfd_content *content, struct splitfd_error *err)
{
	return sfd_file_changed(content->fd, &content->st, "changed while it was read", err);
}

/* Clones or copies all of the source. */
static int fill_from_source(struct sfd_cloner *c, const struct sfd_content *content, int to,
	enum sfd_object_how *ret_how, struct splitfd_error *err)
{
	int r = try_clone(c, content->fd, content->st.st_dev, to, err);

	if (r < 0)
		return r;
	*ret_how = r == 1 ? SFD_OBJECT_REFLINKED : SFD_OBJECT_COPIED;
	if (r == 0)
		r = copy_all(c, content->fd, to, content->size);
	if (r == -ENODATA)
		return sfd_file_changed(
			content->fd, &content->st, "became shorter while it was read", err);
	if (r == -ECANCELED)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, ECANCELED, "interrupted");
	return r < 0 ? splitfd_error_sys(err, -r, "cannot copy the file") : 0;
}

/* The lease is held, and the size and the time are those from before: a truncation through an
 * overlay mount asks for no lease. */
static bool is_unchanged(const struct sfd_content *content)
{
	const struct stat *st = &content->st;
	struct stat now;

	return sfd_guard_holds(content->fd, content->guard) && fstat(content->fd, &now) == 0 &&
	       now.st_size == st->st_size && now.st_mtim.tv_sec == st->st_mtim.tv_sec &&
	       now.st_mtim.tv_nsec == st->st_mtim.tv_nsec;
}

/* 1: the file has these bytes and no more. 0; -errno. */
static int has_bytes(int file, const uint8_t *data, size_t n)
{
	sfd_cleanup_free uint8_t *buffer = malloc(BUFFER_SIZE);
	sfd_cleanup_fd int fd = sfd_reopen(file, O_RDONLY);
	struct stat st;

	if (buffer == NULL)
		return -ENOMEM;
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size != n)
		return 0;
	for (size_t at = 0; at < n;) {
		size_t piece = n - at < BUFFER_SIZE ? n - at : BUFFER_SIZE;
		int r = sfd_pread_full(fd, buffer, piece, at);

		if (r < 0)
			return r;
		if (memcmp(buffer, data + at, piece) != 0)
			return 0;
		at += piece;
	}
	return 1;
}

/* Whether a clone has the bytes in memory: by the guard, or, where it is to be a clone and nothing
 * else, by looking. 1, 0 (and the file is empty again), -errno. */
static int check_clone(
	struct sfd_cloner *c, const struct sfd_content *content, int to, struct splitfd_error *err)
{
	int r = is_unchanged(content) ? 1 : 0;

	if (r == 0 && c->reflink == SPLITFD_REFLINK_ALWAYS) {
		r = has_bytes(to, content->data, content->size);
		if (r < 0)
			return splitfd_error_sys(err, -r, "cannot read the clone");
		return r == 0 ? changed(content, err) : 1;
	}
	if (r == 0 && ftruncate(to, 0) < 0)
		return splitfd_error_sys(err, errno, "cannot write the object");
	return r;
}

/* The bytes in memory are those that were hashed. */
static int fill_from_memory(struct sfd_cloner *c, const struct sfd_content *content, int to,
	enum sfd_object_how *ret_how, struct splitfd_error *err)
{
	int r = 0;

	if (content->guard != SFD_GUARD_NONE || c->reflink == SPLITFD_REFLINK_ALWAYS)
		r = try_clone(c, content->fd, content->st.st_dev, to, err);
	if (r == 1)
		r = check_clone(c, content, to, err);
	if (r < 0)
		return r;
	*ret_how = r == 1 ? SFD_OBJECT_REFLINKED : SFD_OBJECT_COPIED;
	if (r == 0)
		r = sfd_write_all(to, content->data, content->size);
	return r < 0 ? splitfd_error_sys(err, -r, "cannot write the object") : 0;
}

static int fill(struct sfd_cloner *c, const struct sfd_content *content, int to,
	enum sfd_object_how *ret_how, struct splitfd_error *err)
{
	int r;

	if (content->data != NULL)
		return fill_from_memory(c, content, to, ret_how, err);
	r = fill_from_source(c, content, to, ret_how, err);
	if (r == 0 && !is_unchanged(content))
		r = SFD_CLONER_AGAIN;
	return r;
}

int sfd_cloner_put(struct sfd_cloner *c, const struct splitfd_digest *digest,
	const struct sfd_content *content, enum sfd_object_how *ret_how, struct splitfd_error *err)
{
	sfd_cleanup_staged struct sfd_staged staged = SFD_STAGED_INIT;
	enum sfd_object_how how = SFD_OBJECT_PRESENT;
	int r = sfd_object_check(c->repository, digest, content->size, err);

	if (r == 0)
		r = sfd_object_begin(c->repository, digest, &staged, err);
	if (r == 0) {
		r = fill(c, content, staged.fd, &how, err);
		if (r != 0)
			return r;
		r = sfd_object_commit(c->repository, digest, &staged, err);
	}
	if (r < 0)
		return r;
	*ret_how = r == 1 ? SFD_OBJECT_PRESENT : how;
	return 0;
}

int sfd_cloner_take(struct sfd_cloner *c, const struct sfd_content *content,
	struct sfd_taken *taken, struct splitfd_error *err)
{
	struct stat st, now;
	int r = sfd_object_begin(c->repository, NULL, &taken->staged, err);

	if (r == 0)
		r = fill_from_source(c, content, taken->staged.fd, &taken->how, err);
	if (r < 0)
		return r;
	taken->fd = sfd_reopen(taken->staged.fd, O_RDONLY);
	if (taken->fd < 0)
		return splitfd_error_sys(err, -taken->fd, "cannot open an object in the making");
	if (fstat(taken->fd, &st) < 0 || fstat(content->fd, &now) < 0)
		return splitfd_error_sys(err, errno, "cannot examine what was cloned or copied");
	taken->size = content->size;
	return (uint64_t)st.st_size == content->size && (uint64_t)now.st_size == content->size
		       ? 0
		       : changed(content, err);
}

int sfd_cloner_put_taken(struct sfd_cloner *c, const struct splitfd_digest *digest,
	struct sfd_taken *taken, enum sfd_object_how *ret_how, struct splitfd_error *err)
{
	int r = sfd_object_check(c->repository, digest, taken->size, err);

	if (r == 0)
		r = sfd_object_commit(c->repository, digest, &taken->staged, err);
	if (r < 0)
		return r;
	*ret_how = r == 1 ? SFD_OBJECT_PRESENT : taken->how;
	return 0;
}

void sfd_taken_done(struct sfd_taken *taken)
{
	sfd_staged_done(&taken->staged);
	taken->fd = sfd_close(taken->fd);
}
