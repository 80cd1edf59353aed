/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/staging.h"
#include "splitfdstream/base/text.h"
#include "transport/composefs/beneath.h"
#include "transport/composefs/object-path.h"
#include "transport/composefs/repository-private.h"
#include "transport/composefs/staging-private.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define OBJECT_MODE 0644
#define MAKE_TRIES  16

SFD_DEFINE_CLEANUP(cleanup_staging, struct sfd_staging, sfd_staging_free);

/* Makes a directory and locks it. 1: another process took it for a left-over one meanwhile. */
static int try_make(struct sfd_staging *s)
{
	int root = s->repository->fd, r;
	struct stat ours, named;

	memcpy(s->name, SFD_STAGING_PREFIX, sizeof(SFD_STAGING_PREFIX));
	r = sfd_random_name(s->name + sizeof(SFD_STAGING_PREFIX) - 1, SFD_STAGING_LETTERS);
	if (r < 0)
		return r;
	if (mkdirat(root, s->name, 0700) < 0)
		return errno == EEXIST ? 1 : -errno;
	s->fd = sfd_beneath_open(root, s->name, O_RDONLY | O_DIRECTORY, 0);
	if (s->fd < 0)
		return s->fd == -ENOENT ? 1 : s->fd;
	if (flock(s->fd, LOCK_EX | LOCK_NB) == 0 && fstat(s->fd, &ours) == 0 &&
		fstatat(root, s->name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
		ours.st_ino == named.st_ino && ours.st_dev == named.st_dev)
		return 0;
	s->fd = sfd_close(s->fd);
	return 1;
}

int sfd_staging_new(
	struct splitfd_repository *repository, struct sfd_staging **ret, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_staging) struct sfd_staging *s = calloc(1, sizeof(*s));
	int r = 1;

	if (s == NULL)
		return splitfd_error_oom(err);
	s->repository = repository;
	s->fd = -EBADF;
	pthread_mutex_init(&s->lock, NULL);
	pthread_mutex_init(&s->publish, NULL);
	pthread_cond_init(&s->moved, NULL);
	for (int i = 0; r == 1 && i < MAKE_TRIES; i++)
		r = try_make(s);
	if (r != 0)
		return splitfd_error_sys(err, r < 0 ? -r : EEXIST,
			"cannot make the directory %s/%s for new objects", repository->path,
			s->name);
	*ret = sfd_take_ptr(&s);
	return 0;
}

struct sfd_batch *sfd_batch_free(struct sfd_batch *batch)
{
	if (batch != NULL)
		sfd_close(batch->fd);
	free(batch);
	return NULL;
}

struct sfd_staging *sfd_staging_free(struct sfd_staging *s)
{
	if (s == NULL)
		return NULL;
	sfd_batch_free(s->current);
	while (s->publishing != NULL) {
		struct sfd_batch *next = s->publishing->next;

		sfd_batch_free(s->publishing);
		s->publishing = next;
	}
	if (s->fd >= 0)
		(void)sfd_staging_remove(s->repository->fd, s->name);
	sfd_close(s->fd);
	pthread_cond_destroy(&s->moved);
	pthread_mutex_destroy(&s->publish);
	pthread_mutex_destroy(&s->lock);
	free(s);
	return NULL;
}

int sfd_staging_fd(const struct sfd_staging *s)
{
	return s->fd;
}

static int fail(const struct sfd_staging *s, int r, struct splitfd_error *err)
{
	return splitfd_error_sys(
		err, -r, "cannot make an object in %s/%s", s->repository->path, s->name);
}

/* The batch that takes new objects. Locked. 0 or -errno. */
static int current_batch(struct sfd_staging *s)
{
	struct sfd_batch *b;
	int r;

	if (s->current != NULL)
		return 0;
	b = calloc(1, sizeof(*b));
	if (b == NULL)
		return -ENOMEM;
	b->losses = sfd_repository_losses(s->repository);
	snprintf(b->name, sizeof(b->name), "%llu", (unsigned long long)s->counter++);
	if (mkdirat(s->fd, b->name, 0700) < 0) {
		r = -errno;
		free(b);
		return r;
	}
	b->fd = sfd_beneath_open(s->fd, b->name, O_RDONLY | O_DIRECTORY, 0);
	if (b->fd < 0) {
		r = b->fd;
		free(b);
		return r;
	}
	s->current = b;
	return 0;
}

/* xx of the batch; it becomes objects/xx. Locked. */
static int make_dir(struct sfd_batch *b, uint8_t first)
{
	char name[3];

	if (sfd_bit(b->have_dir, first))
		return 0;
	sfd_hex_encode(&first, 1, name);
	if (mkdirat(b->fd, name, 0755) < 0)
		return -errno;
	sfd_set_bit(b->have_dir, first);
	return 0;
}

static bool is_in_the_making(const struct sfd_staging *s, const struct splitfd_digest *digest)
{
	for (const struct sfd_staged *m = s->making; m != NULL; m = m->next) {
		if (splitfd_digest_equal(&m->digest, digest))
			return true;
	}
	return false;
}

/* The file's place in the batch is this thread's from here on. Locked; unlocks in between. */
static int enter(
	struct sfd_staging *s, const struct splitfd_digest *digest, struct sfd_staged *staged)
{
	int r;

	while (is_in_the_making(s, digest))
		pthread_cond_wait(&s->moved, &s->lock);
	r = current_batch(s);
	if (r == 0)
		r = make_dir(s->current, digest->bytes[0]);
	if (r < 0)
		return r;
	staged->batch = s->current;
	staged->batch->n_making++;
	staged->digest = *digest;
	staged->has_digest = true;
	staged->next = s->making;
	s->making = staged;
	return 0;
}

/* Locked. */
static void leave(struct sfd_staging *s, struct sfd_staged *staged)
{
	struct sfd_staged **at = &s->making;

	while (*at != staged)
		at = &(*at)->next;
	*at = staged->next;
	staged->batch->n_making--;
	staged->batch = NULL;
	pthread_cond_broadcast(&s->moved);
}

/* Objects are 0644 whatever the umask; whether it interferes is found out once. */
static int set_mode(struct sfd_staging *s, int fd)
{
	struct stat st;

	if (__atomic_load_n(&s->mode_is_right, __ATOMIC_RELAXED))
		return 0;
	if (fstat(fd, &st) < 0)
		return -errno;
	if ((st.st_mode & 07777) == OBJECT_MODE)
		__atomic_store_n(&s->mode_is_right, true, __ATOMIC_RELAXED);
	else if (fchmod(fd, OBJECT_MODE) < 0)
		return -errno;
	return 0;
}

static int create(int dir, const char *path)
{
	return sfd_beneath_open(dir, path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, OBJECT_MODE);
}

static int begin_unnamed(struct sfd_staging *s, struct sfd_staged *ret)
{
	char name[24];

	pthread_mutex_lock(&s->lock);
	ret->number = s->counter++;
	pthread_mutex_unlock(&s->lock);
	snprintf(name, sizeof(name), "%llu", (unsigned long long)ret->number);
	ret->fd = create(s->fd, name);
	return ret->fd < 0 ? ret->fd : 0;
}

int sfd_staging_begin(struct sfd_staging *s, const struct splitfd_digest *digest,
	struct sfd_staged *ret, struct splitfd_error *err)
{
	char path[SFD_OBJECT_PATH_SIZE];
	int r;

	*ret = SFD_STAGED_INIT;
	ret->staging = s;
	if (digest == NULL) {
		r = begin_unnamed(s, ret);
	} else {
		sfd_object_path(digest, path);
		pthread_mutex_lock(&s->lock);
		r = enter(s, digest, ret);
		pthread_mutex_unlock(&s->lock);
		if (r == 0)
			ret->fd = create(ret->batch->fd, path);
		if (r == 0 && ret->fd < 0)
			r = ret->fd;
	}
	if (r == 0)
		r = set_mode(s, ret->fd);
	if (r == 0)
		return 0;
	if (r == -EEXIST && digest != NULL) {
		pthread_mutex_lock(&s->lock);
		leave(s, ret);
		pthread_mutex_unlock(&s->lock);
		*ret = SFD_STAGED_INIT;
		return 1;
	}
	sfd_staged_done(ret);
	return fail(s, r, err);
}

/* A file without a digest moves into the batch. 0; 1: one of this digest is there. */
static int give_digest(struct sfd_staging *s, const struct splitfd_digest *digest,
	struct sfd_staged *staged, struct splitfd_error *err)
{
	char from[24], to[SFD_OBJECT_PATH_SIZE];
	sfd_cleanup_fd int dir = -EBADF;
	const char *base;
	int r;

	snprintf(from, sizeof(from), "%llu", (unsigned long long)staged->number);
	sfd_object_path(digest, to);
	pthread_mutex_lock(&s->lock);
	r = enter(s, digest, staged);
	pthread_mutex_unlock(&s->lock);
	if (r < 0) {
		(void)unlinkat(s->fd, from, 0);
		staged->staging = NULL;
		return fail(s, r, err);
	}
	dir = sfd_beneath_parent(staged->batch->fd, to, &base);
	/* Nobody else makes it now, so that it is there or not. */
	if (dir < 0)
		r = dir;
	else if (faccessat(dir, base, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		r = 1;
	else if (renameat(s->fd, from, dir, base) < 0)
		r = -errno;
	if (r != 0) {
		(void)unlinkat(s->fd, from, 0);
		pthread_mutex_lock(&s->lock);
		leave(s, staged);
		pthread_mutex_unlock(&s->lock);
		staged->staging = NULL;
	}
	return r < 0 ? fail(s, r, err) : r;
}

int sfd_staging_commit(struct sfd_staging *s, const struct splitfd_digest *digest,
	struct sfd_staged *staged, struct splitfd_error *err)
{
	int r = 0;

	if (!staged->has_digest)
		r = give_digest(s, digest, staged, err);
	if (r == 0) {
		pthread_mutex_lock(&s->lock);
		leave(s, staged);
		pthread_mutex_unlock(&s->lock);
		staged->staging = NULL;
	}
	staged->fd = sfd_close(staged->fd);
	return r;
}

void sfd_staged_done(struct sfd_staged *staged)
{
	struct sfd_staging *s = staged->staging;
	char path[SFD_OBJECT_PATH_SIZE];
	int saved_errno = errno;

	if (s != NULL && staged->batch != NULL) {
		sfd_object_path(&staged->digest, path);
		if (staged->fd >= 0)
			(void)sfd_beneath_unlink(staged->batch->fd, path);
		pthread_mutex_lock(&s->lock);
		leave(s, staged);
		pthread_mutex_unlock(&s->lock);
	} else if (s != NULL && !staged->has_digest && staged->fd >= 0) {
		snprintf(path, sizeof(path), "%llu", (unsigned long long)staged->number);
		(void)unlinkat(s->fd, path, 0);
	}
	staged->staging = NULL;
	staged->fd = sfd_close(staged->fd);
	errno = saved_errno;
}

static int open_in(const struct sfd_batch *b, const char *path)
{
	return sfd_beneath_open(b->fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
}

int sfd_staging_open(struct sfd_staging *s, const char *path)
{
	int fd = -ENOENT;

	pthread_mutex_lock(&s->lock);
	if (s->current != NULL)
		fd = open_in(s->current, path);
	for (const struct sfd_batch *b = s->publishing; fd == -ENOENT && b != NULL; b = b->next)
		fd = open_in(b, path);
	pthread_mutex_unlock(&s->lock);
	return fd;
}
