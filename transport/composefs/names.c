/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/names.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"
#include "transport/composefs/object-store.h"
#include "transport/composefs/repository-private.h"
#include "transport/composefs/sync-ahead.h"

#include <string.h>
#include <unistd.h>

struct entry {
	char *name;
	char *target; /* a reference's target, a name; NULL: the object `digest` */
	struct splitfd_digest digest;
	enum sfd_name_policy policy;
};

struct sfd_names {
	struct splitfd_repository *repository; /* borrowed */
	struct sfd_sync_ahead *sync;
	struct entry *entries;
	size_t n;
};

struct sfd_names *sfd_names_new(struct splitfd_repository *repository)
{
	struct sfd_names *names = calloc(1, sizeof(*names));

	if (names == NULL)
		return NULL;
	names->repository = repository;
	names->sync = sfd_sync_ahead_new(repository->fd);
	return names->sync != NULL ? names : sfd_names_free(names);
}

static void entry_done(struct entry *e)
{
	free(e->name);
	free(e->target);
}

void sfd_names_truncate(struct sfd_names *names, size_t n)
{
	while (names->n > n)
		entry_done(&names->entries[--names->n]);
}

struct sfd_names *sfd_names_free(struct sfd_names *names)
{
	if (names == NULL)
		return NULL;
	sfd_names_truncate(names, 0);
	sfd_sync_ahead_free(names->sync);
	free(names->entries);
	free(names);
	return NULL;
}

struct sfd_sync_ahead *sfd_names_sync_ahead(struct sfd_names *names)
{
	return names->sync;
}

size_t sfd_names_count(const struct sfd_names *names)
{
	return names->n;
}

void sfd_names_digest(const struct sfd_names *names, size_t i, struct splitfd_digest *ret)
{
	*ret = names->entries[i].digest;
}

int sfd_names_find(const struct sfd_names *names, const char *name)
{
	for (size_t i = 0; i < names->n; i++) {
		if (names->entries[i].target == NULL && strcmp(names->entries[i].name, name) == 0)
			return (int)i;
	}
	return -ENOENT;
}

/* NULL when memory is short. */
static struct entry *add_entry(struct sfd_names *names, const char *name, const char *target)
{
	struct entry *entries = reallocarray(names->entries, names->n + 1, sizeof(*entries)), *e;

	if (entries == NULL)
		return NULL;
	names->entries = entries;
	e = &entries[names->n];
	*e = (struct entry){ .name = strdup(name),
		.target = target != NULL ? strdup(target) : NULL };
	if (e->name == NULL || (target != NULL && e->target == NULL)) {
		entry_done(e);
		return NULL;
	}
	names->n++;
	return e;
}

int sfd_names_add_object(struct sfd_names *names, const char *name,
	const struct splitfd_digest *digest, enum sfd_name_policy policy, struct splitfd_error *err)
{
	struct entry *e;
	int r = sfd_link_check_name(name, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < names->n; i++) {
		if (strcmp(names->entries[i].name, name) == 0 &&
			names->entries[i].policy == policy && names->entries[i].target == NULL) {
			names->entries[i].digest = *digest;
			return (int)i;
		}
	}
	e = add_entry(names, name, NULL);
	if (e == NULL)
		return splitfd_error_oom(err);
	e->digest = *digest;
	e->policy = policy;
	return (int)names->n - 1;
}

int sfd_names_add_ref(
	struct sfd_names *names, const char *name, const char *target, struct splitfd_error *err)
{
	struct entry *e;
	int r = sfd_link_check_name(name, err);

	if (r == 0)
		r = sfd_link_check_name(target, err);
	if (r < 0)
		return r;
	e = add_entry(names, name, target);
	if (e == NULL)
		return splitfd_error_oom(err);
	e->policy = SFD_NAME_REPLACE;
	return (int)names->n - 1;
}

/* 1: another digest is there and was adopted. */
static int commit_adopt(struct sfd_link_maker *maker, struct entry *e, struct splitfd_error *err)
{
	struct splitfd_digest there;
	char target[SFD_LINK_TARGET_MAX];
	int r;

	r = sfd_link_target_object(e->name, &e->digest, target, err);
	if (r < 0)
		return r;
	for (;;) {
		r = sfd_link_create(maker, e->name, target, err);
		if (r != -EEXIST)
			return r;
		r = sfd_name_read(maker->repository, e->name, &there, err);
		if (r < 0)
			return r;
		if (r == 0) /* a gc took it away meanwhile; try again */
			continue;
		if (memcmp(&there, &e->digest, sizeof(there)) == 0)
			return sfd_link_touch(maker, e->name, err);
		r = sfd_object_exists(maker->repository, &there, err);
		if (r < 0)
			return r;
		if (r == 0)
			return sfd_link_replace(maker, e->name, target, err);
		e->digest = there;
		r = sfd_link_touch(maker, e->name, err);
		return r < 0 ? r : 1;
	}
}

static int commit_replace(
	struct sfd_link_maker *maker, const struct entry *e, struct splitfd_error *err)
{
	char target[SFD_LINK_TARGET_MAX];
	int r = e->target != NULL ? sfd_link_target_name(e->name, e->target, target, err)
				  : sfd_link_target_object(e->name, &e->digest, target, err);

	return r < 0 ? r : sfd_link_replace(maker, e->name, target, err);
}

static int make_names(
	struct sfd_names *names, struct sfd_link_maker *maker, struct splitfd_error *err)
{
	bool lost = false, replaces = false;

	for (size_t i = 0; i < names->n; i++) {
		int r = sfd_link_make_dirs(maker, names->entries[i].name, err);

		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < names->n; i++) {
		struct entry *e = &names->entries[i];
		int r;

		if (e->policy != SFD_NAME_ADOPT) {
			replaces = true;
			continue;
		}
		r = commit_adopt(maker, e, err);
		if (r < 0)
			return r;
		lost |= r > 0;
	}
	if (lost && replaces)
		return 1;
	for (size_t i = 0; i < names->n; i++) {
		const struct entry *e = &names->entries[i];
		int r;

		if (e->policy != SFD_NAME_REPLACE)
			continue;
		r = commit_replace(maker, e, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int sfd_names_commit(struct sfd_names *names, struct splitfd_error *err)
{
	struct sfd_link_maker maker = { .repository = names->repository };
	int r, synced;

	if (names->n == 0)
		return 0;
	r = sfd_sync_ahead_finish(names->sync);
	if (r == 0 && syncfs(names->repository->fd) < 0)
		r = -errno;
	if (r < 0)
		return splitfd_error_sys(
			err, -r, "cannot sync the repository %s", names->repository->path);
	r = make_names(names, &maker, err);
	/* Also after an error: the names that were made may be seen. */
	synced = sfd_link_maker_finish(&maker, r < 0 ? NULL : err);
	return r < 0 ? r : synced < 0 ? synced : r;
}
