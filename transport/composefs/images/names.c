/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/images/names.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/clock.h"
#include "splitfdstream/base/text.h"
#include "transport/composefs/stream/layer-proof.h"
#include "transport/composefs/stream/layer-whole.h"
#include "transport/composefs/object-store.h"
#include "transport/composefs/repository-private.h"
#include "transport/composefs/images/sync-ahead.h"

#include <string.h>
#include <unistd.h>

/* An import that takes longer gets its objects their names on the way, so that a power cut does not
 * cost all of its work. Not sooner: into directories that are there already, objects move one by
 * one. */
#define PUBLISH_SECONDS 30

struct entry {
	char *name;
	char *target; /* a reference's target, a name; NULL: the object `digest` */
	struct splitfd_digest digest;
	enum sfd_name_policy policy;
	bool checked;		       /* of ADOPT: only what is proven is adopted */
	struct splitfd_digest damaged; /* of REPAIR: where the name led before */
};

struct sfd_names {
	struct splitfd_repository *repository; /* borrowed */
	struct sfd_sync_ahead *sync;
	struct sfd_link_maker maker; /* knows the links of a commit that is not done */
	unsigned int losses;	     /* the repository's when this began */
	int64_t published;	     /* when, in milliseconds */
	struct entry *entries;
	size_t n;
};

/* By sync-ahead's thread. */
static int write_ahead(void *ctx)
{
	struct sfd_names *names = ctx;
	int r;

	if (sfd_now_ms() - names->published < PUBLISH_SECONDS * 1000)
		return sfd_repository_sync(names->repository, NULL);
	r = sfd_objects_publish(names->repository, NULL);
	names->published = sfd_now_ms();
	return r < 0 ? r : 0;
}

struct sfd_names *sfd_names_new(struct splitfd_repository *repository)
{
	struct sfd_names *names = calloc(1, sizeof(*names));

	if (names == NULL)
		return NULL;
	names->repository = repository;
	names->maker.repository = repository;
	names->losses = sfd_repository_losses(repository);
	names->published = sfd_now_ms();
	names->sync = sfd_sync_ahead_new(write_ahead, names);
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
	sfd_link_maker_undo(&names->maker);
	sfd_link_maker_done(&names->maker);
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

void sfd_names_adopt_proven(struct sfd_names *names, size_t i)
{
	names->entries[i].checked = true;
}

const char *sfd_names_get(const struct sfd_names *names, size_t i, enum sfd_name_policy *ret_policy)
{
	*ret_policy = names->entries[i].policy;
	return names->entries[i].target == NULL ? names->entries[i].name : NULL;
}

/* 1; 0 where it has other content. */
static int is_that_layer(struct splitfd_repository *repository, const char *name,
	const struct splitfd_digest *stream, struct splitfd_error *err)
{
	const char *diff_id = strstr(name, "sha256:");
	int r = sfd_layer_prove(repository, diff_id != NULL ? diff_id : name, stream, NULL, err);

	if (r == -EBADMSG)
		splitfd_error_clear(err);
	return r == -EBADMSG ? 0 : r < 0 ? r : 1;
}

/* 1: the name leads to another stream, which is in *ret and whole. 0: not, or there is none. */
static int find_other(struct splitfd_repository *repository, const struct entry *e,
	struct splitfd_digest *ret, bool *ret_damaged, struct splitfd_error *err)
{
	int r = sfd_name_find(repository, e->name, ret, err);

	*ret_damaged = false;
	if (r <= 0 || splitfd_digest_equal(ret, &e->digest))
		return r < 0 ? r : 0;
	r = sfd_layer_is_whole(repository, ret, err);
	if (r == 1 && e->checked)
		r = is_that_layer(repository, e->name, ret, err);
	*ret_damaged = r == 0;
	return r;
}

int sfd_names_settle(struct sfd_names *names, struct splitfd_error *err)
{
	for (size_t i = 0; i < names->n; i++) {
		struct entry *e = &names->entries[i];
		struct splitfd_digest there;
		bool damaged;
		int r;

		if (e->policy != SFD_NAME_ADOPT)
			continue;
		r = find_other(names->repository, e, &there, &damaged, err);
		if (r == 0 && damaged) {
			/* With the objects that this commit brings it may be whole. */
			r = sfd_objects_publish(names->repository, err);
			if (r >= 0)
				r = find_other(names->repository, e, &there, &damaged, err);
		}
		if (r < 0)
			return r;
		if (r == 1)
			e->digest = there;
		if (damaged) {
			e->policy = SFD_NAME_REPAIR;
			e->damaged = there;
		}
	}
	return 0;
}

/* 1: another digest is there and was adopted. */
static int commit_adopt(struct sfd_link_maker *maker, struct entry *e, struct splitfd_error *err)
{
	struct splitfd_digest there;
	char target[SFD_LINK_TARGET_MAX];
	bool damaged;
	int r;

	r = sfd_link_target_object(e->name, &e->digest, target, err);
	if (r < 0)
		return r;
	r = sfd_link_create(maker, e->name, target, err);
	if (r != -EEXIST)
		return r;
	r = find_other(maker->repository, e, &there, &damaged, err);
	if (r < 0)
		return r;
	if (r == 1) {
		e->digest = there;
		return 1;
	}
	/* It leads to our stream, to a damaged one, or nowhere; or a gc took it away meanwhile. */
	return sfd_link_replace(maker, e->name, target, err);
}

static int commit_replace(
	struct sfd_link_maker *maker, const struct entry *e, struct splitfd_error *err)
{
	char target[SFD_LINK_TARGET_MAX];
	int r = e->target != NULL ? sfd_link_target_name(e->name, e->target, target, err)
				  : sfd_link_target_object(e->name, &e->digest, target, err);

	return r < 0 ? r : sfd_link_replace(maker, e->name, target, err);
}

static int make_adopted(struct sfd_names *names, struct splitfd_error *err)
{
	bool lost = false, replaces = false;

	for (size_t i = 0; i < names->n; i++) {
		struct entry *e = &names->entries[i];
		int r;

		if (e->policy != SFD_NAME_ADOPT) {
			replaces = true;
			continue;
		}
		r = commit_adopt(&names->maker, e, err);
		if (r < 0)
			return r;
		lost |= r > 0;
	}
	return lost && replaces;
}

static int make_names(struct sfd_names *names, struct splitfd_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < names->n; i++)
		r = sfd_link_make_dirs(&names->maker, names->entries[i].name, err);
	if (r == 0)
		r = make_adopted(names, err);
	for (int policy = SFD_NAME_REALIGN; policy <= SFD_NAME_REPLACE; policy++) {
		for (size_t i = 0; r == 0 && i < names->n; i++) {
			if (names->entries[i].policy == (enum sfd_name_policy)policy)
				r = commit_replace(&names->maker, &names->entries[i], err);
		}
	}
	return r;
}

/* All names are there already: then only what others made may have to be written. */
static bool is_made(struct sfd_names *names)
{
	bool made = true;

	for (size_t i = 0; made && i < names->n; i++) {
		const struct entry *e = &names->entries[i];
		char target[SFD_LINK_TARGET_MAX];
		int r = e->target != NULL
				? sfd_link_target_name(e->name, e->target, target, NULL)
				: sfd_link_target_object(e->name, &e->digest, target, NULL);

		made = r == 0 && sfd_link_is(names->repository, e->name, target);
	}
	return made;
}

/* The objects are on the disk, under their names. */
static int publish(struct sfd_names *names, struct splitfd_error *err)
{
	int r = sfd_sync_ahead_finish(names->sync);

	if (r < 0)
		return splitfd_error_sys(err, -r, "cannot write the repository '%s' to the disk",
			names->repository->path);
	r = sfd_objects_publish(names->repository, err);
	if (r >= 0 && names->losses != sfd_repository_losses(names->repository))
		return sfd_repository_lost(names->repository, err);
	if (r == 0 && is_made(names))
		return 0;
	return r < 0 ? r : sfd_repository_sync(names->repository, err);
}

/* Streams that no name leads to any more: garbage that fsck would report. */
static void drop_damaged(const struct sfd_names *names)
{
	for (size_t i = 0; i < names->n; i++) {
		if (names->entries[i].policy == SFD_NAME_REPAIR)
			sfd_object_drop_damaged(names->repository, &names->entries[i].damaged);
	}
}

int sfd_names_commit(struct sfd_names *names, struct splitfd_error *err)
{
	int r;

	if (names->n == 0)
		return 0;
	r = publish(names, err);
	if (r == 0)
		r = make_names(names, err);
	if (r == 0)
		r = sfd_repository_sync(names->repository, err);
	if (r < 0)
		sfd_link_maker_undo(&names->maker);
	if (r == 0) {
		sfd_link_maker_done(&names->maker);
		drop_damaged(names);
	}
	return r;
}
