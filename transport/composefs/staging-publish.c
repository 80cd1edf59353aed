/* SPDX-License-Identifier: Apache-2.0 */
/* A batch of objects is written to the disk, then gets its names. */
#include "splitfdstream/base/text.h"
#include "transport/composefs/beneath.h"
#include "transport/composefs/object-path.h"
#include "transport/composefs/object-check.h"
#include "transport/composefs/repository-private.h"
#include "transport/composefs/staging-private.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One directory of a batch, on its way into a directory that exists. */
struct merge {
	struct sfd_staging *staging;
	uint8_t first;
	int from, to; /* STAGING/N/xx, objects/xx */
};

static int fail(const struct merge *m, const char *name, int r, struct splitfd_error *err)
{
	return splitfd_error_sys(err, -r, "cannot name the object %s/objects/%02x/%s",
		m->staging->repository->path, m->first, name);
}

/* 0: it has its name now; -EEXIST: the name is taken. */
static int give_name(const struct merge *m, const char *name)
{
	if (renameat2(m->from, name, m->to, name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	/* The file system does not know NOREPLACE. */
	if (linkat(m->from, name, m->to, name, 0) < 0 || unlinkat(m->from, name, 0) < 0)
		return -errno;
	return 0;
}

/* Something that is not an object, a directory perhaps, makes room. */
static int replace(const struct merge *m, const char *name)
{
	char away[32];

	if (renameat(m->from, name, m->to, name) == 0)
		return 0;
	if (errno != EISDIR && errno != ENOTEMPTY && errno != EEXIST)
		return -errno;
	pthread_mutex_lock(&m->staging->lock);
	snprintf(away, sizeof(away), "away-%llu", (unsigned long long)m->staging->counter++);
	pthread_mutex_unlock(&m->staging->lock);
	if (renameat(m->to, name, m->staging->fd, away) < 0)
		return -errno;
	return renameat(m->from, name, m->to, name) < 0 ? -errno : 0;
}

/* Another writer was faster; or what is there is damaged, which is why this one was made. */
static int meet(const struct merge *m, const char *name, struct splitfd_error *err)
{
	struct splitfd_repository *repository = m->staging->repository;
	struct splitfd_digest digest;
	struct stat st;
	int r;

	if (!sfd_object_path_parse(repository->algorithm, m->first, name, &digest))
		return fail(m, name, -EINVAL, err);
	if (fstatat(m->from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(m, name, -errno, err);
	r = __atomic_load_n(&repository->has_damage, __ATOMIC_ACQUIRE)
		    ? sfd_object_verify(repository, &digest, err)
		    : sfd_object_check(repository, &digest, (uint64_t)st.st_size, err);
	if (r < 0)
		return r;
	if (r == 1)
		return unlinkat(m->from, name, 0) < 0 ? fail(m, name, -errno, err) : 0;
	r = replace(m, name);
	if (r < 0)
		return fail(m, name, r, err);
	__atomic_add_fetch(&repository->replaced, 1, __ATOMIC_RELAXED);
	return 0;
}

static int merge_files(const struct merge *m, struct splitfd_error *err)
{
	sfd_cleanup_dir DIR *dir = NULL;
	const struct dirent *entry;
	int fd = fcntl(m->from, F_DUPFD_CLOEXEC, 3), r = 0;

	dir = fd < 0 ? NULL : fdopendir(fd);
	if (dir == NULL) {
		r = -errno;
		sfd_close(fd);
		return fail(m, "", r, err);
	}
	for (errno = 0; r == 0 && (entry = readdir(dir)) != NULL; errno = 0) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		r = give_name(m, entry->d_name);
		if (r == -EEXIST)
			r = meet(m, entry->d_name, err);
		else if (r < 0)
			r = fail(m, entry->d_name, r, err);
	}
	if (r == 0 && errno != 0)
		r = fail(m, "", -errno, err);
	return r;
}

/* objects/xx is a symbolic link. */
static int refuse(const struct sfd_staging *s, const char *name, int r, struct splitfd_error *err)
{
	char path[sizeof("objects/xx")];

	(void)snprintf(path, sizeof(path), "objects/%.2s", name);
	return sfd_beneath_failed(s->repository->fd, s->repository->path, "open", path, r, err);
}

static int merge_dir(struct sfd_staging *s, const struct sfd_batch *b, int objects, uint8_t first,
	struct splitfd_error *err)
{
	sfd_cleanup_fd int from = -EBADF, to = -EBADF;
	struct merge m = { .staging = s, .first = first };
	char name[3];
	int r;

	sfd_hex_encode(&first, 1, name);
	from = sfd_beneath_open(b->fd, name, O_RDONLY | O_DIRECTORY, 0);
	if (from < 0)
		return fail(&m, "", from, err);
	to = sfd_beneath_open(objects, name, O_PATH | O_DIRECTORY, 0);
	if (to == -ELOOP)
		return refuse(s, name, to, err);
	if (to < 0)
		return splitfd_error_sys(err, -to,
			"%s/objects/%s is not a directory that can be used", s->repository->path,
			name);
	m.from = from;
	m.to = to;
	r = merge_files(&m, err);
	if (r == 0 && unlinkat(b->fd, name, AT_REMOVEDIR) < 0)
		r = fail(&m, "", -errno, err);
	return r;
}

static int name_dir(struct sfd_staging *s, const struct sfd_batch *b, int objects, uint8_t first,
	struct splitfd_error *err)
{
	char name[3];

	sfd_hex_encode(&first, 1, name);
	if (renameat2(b->fd, name, objects, name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno == EINVAL || errno == ENOSYS) {
		if (mkdirat(objects, name, 0755) < 0 && errno != EEXIST)
			return splitfd_error_sys(
				err, errno, "cannot make %s/objects/%s", s->repository->path, name);
	} else if (errno != EEXIST && errno != ENOTEMPTY) {
		return splitfd_error_sys(
			err, errno, "cannot make %s/objects/%s", s->repository->path, name);
	}
	return merge_dir(s, b, objects, first, err);
}

/* What was named is out of the batch: where this fails, the rest can be tried again. */
static int name_all(struct sfd_staging *s, struct sfd_batch *b, struct splitfd_error *err)
{
	int objects = sfd_repository_objects(s->repository, true, err);
	int r = objects < 0 ? objects : 0;

	for (unsigned int i = 0; r == 0 && i < 256; i++) {
		if (!sfd_bit(b->have_dir, (uint8_t)i))
			continue;
		r = name_dir(s, b, objects, (uint8_t)i, err);
		if (r == 0)
			b->have_dir[i / 8] &= (uint8_t) ~(1U << (i & 7));
	}
	return r;
}

/* All that is committed is to be published; later objects go into another batch. */
static struct sfd_batch *take_batches(struct sfd_staging *s)
{
	struct sfd_batch **end = &s->publishing, *b;

	pthread_mutex_lock(&s->lock);
	while (*end != NULL)
		end = &(*end)->next;
	*end = b = s->current;
	s->current = NULL;
	while (b != NULL && b->n_making > 0)
		pthread_cond_wait(&s->moved, &s->lock);
	b = s->publishing;
	pthread_mutex_unlock(&s->lock);
	return b;
}

/* Removes the first batch and what is left in it. */
static struct sfd_batch *drop_first(struct sfd_staging *s)
{
	struct sfd_batch *b, *next;

	pthread_mutex_lock(&s->lock);
	b = s->publishing;
	next = s->publishing = b->next;
	pthread_mutex_unlock(&s->lock);
	(void)sfd_staging_remove(s->fd, b->name);
	sfd_batch_free(b);
	return next;
}

static int publish(struct sfd_staging *s, struct splitfd_error *err)
{
	struct sfd_batch *b = take_batches(s);
	int r = 0;

	if (b == NULL)
		return 0;
	r = sfd_repository_sync(s->repository, err);
	/* Where there was nothing, another process may have made objects meanwhile. */
	sfd_object_dirs_changed(s->repository);
	while (b != NULL) {
		if (b->losses != sfd_repository_losses(s->repository)) {
			if (r == 0)
				r = sfd_repository_lost(s->repository, err);
		} else if (r == 0) {
			r = name_all(s, b, err);
			if (r < 0)
				return r;
		}
		b = drop_first(s);
	}
	sfd_object_dirs_changed(s->repository);
	return r < 0 ? r : 1;
}

int sfd_staging_publish(struct sfd_staging *s, struct splitfd_error *err)
{
	int r;

	pthread_mutex_lock(&s->publish);
	r = publish(s, err);
	pthread_mutex_unlock(&s->publish);
	return r;
}
