/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/link.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"
#include "transport/composefs/algorithm.h"
#include "transport/composefs/beneath.h"
#include "transport/composefs/object-store.h"
#include "transport/composefs/repository-private.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int sfd_link_check_name(const char *name, struct splitfd_error *err)
{
	const char *p = name;

	if (strncmp(name, "streams/", 8) != 0 && strncmp(name, "images/", 7) != 0)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, EINVAL,
			"'%s' is not a name of a repository", name);
	while (p != NULL) {
		size_t n = strcspn(p, "/");

		if (n == 0 || n > NAME_MAX || (p[0] == '.' && (n == 1 || (n == 2 && p[1] == '.'))))
			return splitfd_error_set(err, SPLITFD_ERROR_USAGE,
				n > NAME_MAX ? ENAMETOOLONG : EINVAL,
				"'%s' cannot be a name in a repository", name);
		p = p[n] == '/' ? p + n + 1 : NULL;
	}
	if (strlen(name) >= PATH_MAX)
		return splitfd_error_set(
			err, SPLITFD_ERROR_USAGE, ENAMETOOLONG, "'%s' is too long", name);
	return 0;
}

/* "../" for each folder of the link up to the repository, less `common` of them. */
static int build_target(const char *name, size_t common, const char *to,
	char target[SFD_LINK_TARGET_MAX], struct splitfd_error *err)
{
	size_t ups = 0, at = 0;

	for (const char *p = name; *p != '\0'; p++)
		ups += *p == '/';
	ups -= common;
	if (ups * 3 + strlen(to) >= SFD_LINK_TARGET_MAX)
		return splitfd_error_set(
			err, SPLITFD_ERROR_USAGE, ENAMETOOLONG, "'%s' is too long", name);
	for (; ups > 0; ups--, at += 3)
		memcpy(target + at, "../", 3);
	memcpy(target + at, to, strlen(to) + 1);
	return 0;
}

int sfd_link_target_object(const char *name, const struct splitfd_digest *digest,
	char target[SFD_LINK_TARGET_MAX], struct splitfd_error *err)
{
	char path[sizeof("objects/") + 2 * SPLITFD_DIGEST_MAX + 2] = "objects/";

	sfd_object_path(digest, path + strlen(path));
	return build_target(name, 0, path, target, err);
}

int sfd_link_target_name(const char *name, const char *to, char target[SFD_LINK_TARGET_MAX],
	struct splitfd_error *err)
{
	size_t common = 0;
	const char *rest = to;

	for (size_t i = 0; name[i] != '\0' && name[i] == to[i]; i++) {
		if (name[i] == '/') {
			common++;
			rest = to + i + 1;
		}
	}
	return build_target(name, common, rest, target, err);
}

/* Before a link is made: from here on it can be taken back. */
static int remember(struct sfd_link_maker *maker, const char *name, const char *made,
	const char *before, struct splitfd_error *err)
{
	struct sfd_link_undo *undo = reallocarray(maker->undo, maker->n_undo + 1, sizeof(*undo));
	struct sfd_link_undo row = { .name = strdup(name),
		.made = strdup(made),
		.before = before != NULL ? strdup(before) : NULL };

	if (undo != NULL)
		maker->undo = undo;
	if (undo == NULL || row.name == NULL || row.made == NULL ||
		(before != NULL && row.before == NULL)) {
		free(row.name);
		free(row.made);
		free(row.before);
		return splitfd_error_oom(err);
	}
	undo[maker->n_undo++] = row;
	return 0;
}

static void forget_last(struct sfd_link_maker *maker)
{
	struct sfd_link_undo *row = &maker->undo[--maker->n_undo];

	free(row->name);
	free(row->made);
	free(row->before);
}

void sfd_link_maker_done(struct sfd_link_maker *maker)
{
	while (maker->n_undo > 0)
		forget_last(maker);
	free(maker->undo);
	maker->undo = NULL;
}

/* The directory of `name`, open, made where it is missing. */
static int open_parent(struct sfd_link_maker *maker, const char *name, struct splitfd_error *err)
{
	const struct splitfd_repository *repository = maker->repository;
	const char *base;
	int fd = sfd_beneath_parent(repository->fd, name, &base), r;

	if (fd == -ENOENT) {
		r = sfd_beneath_make_parents(repository->fd, name);
		if (r < 0)
			return sfd_beneath_failed(repository->fd, repository->path,
				"make the directory of", name, r, err);
		fd = sfd_beneath_parent(repository->fd, name, &base);
	}
	if (fd < 0)
		return sfd_beneath_failed(
			repository->fd, repository->path, "open the directory of", name, fd, err);
	return fd;
}

int sfd_link_make_dirs(struct sfd_link_maker *maker, const char *name, struct splitfd_error *err)
{
	sfd_cleanup_fd int dir = open_parent(maker, name, err);

	return dir < 0 ? dir : 0;
}

static int name_failed(
	const struct sfd_link_maker *maker, const char *name, int errnum, struct splitfd_error *err)
{
	return splitfd_error_sys(err, errnum, "cannot make %s/%s", maker->repository->path, name);
}

int sfd_link_create(struct sfd_link_maker *maker, const char *name, const char *target,
	struct splitfd_error *err)
{
	sfd_cleanup_fd int dir = open_parent(maker, name, err);
	int r;

	if (dir < 0)
		return dir;
	r = remember(maker, name, target, NULL, err);
	if (r < 0)
		return r;
	if (symlinkat(target, dir, strrchr(name, '/') + 1) == 0)
		return 0;
	r = errno;
	forget_last(maker);
	return r == EEXIST ? -EEXIST : name_failed(maker, name, r, err);
}

/* The target of a link; "" where there is none. */
static void read_target(int dir, const char *base, char target[SFD_LINK_TARGET_MAX + 1])
{
	ssize_t n = readlinkat(dir, base, target, SFD_LINK_TARGET_MAX);

	target[n > 0 ? n : 0] = '\0';
}

/* Makes the link beside, and renames it to its name. -errno. */
static int rename_over(int temporary, int dir, const char *base, const char *target)
{
	char name[] = "link-XXXXXXXXXXXX";
	int r = sfd_random_name(name + strlen("link-"), 12);

	if (r == 0 && symlinkat(target, temporary, name) < 0)
		return -errno;
	if (r == 0 && renameat(temporary, name, dir, base) < 0) {
		r = -errno;
		(void)unlinkat(temporary, name, 0);
	}
	return r;
}

int sfd_link_replace(struct sfd_link_maker *maker, const char *name, const char *target,
	struct splitfd_error *err)
{
	char before[SFD_LINK_TARGET_MAX + 1];
	int r = sfd_link_create(maker, name, target, err), temporary;
	sfd_cleanup_fd int dir = -EBADF;
	const char *base = strrchr(name, '/') + 1;

	if (r != -EEXIST)
		return r;
	dir = open_parent(maker, name, err);
	if (dir < 0)
		return dir;
	read_target(dir, base, before);
	if (strcmp(before, target) == 0)
		return 0;
	temporary = sfd_objects_temporary_dir(maker->repository, err);
	if (temporary < 0)
		return temporary;
	r = remember(maker, name, target, before[0] != '\0' ? before : NULL, err);
	if (r < 0)
		return r;
	r = rename_over(temporary, dir, base, target);
	if (r == 0)
		return 0;
	forget_last(maker);
	return name_failed(maker, name, -r, err);
}

bool sfd_link_is(struct splitfd_repository *repository, const char *name, const char *target)
{
	char now[SFD_LINK_TARGET_MAX + 1];

	return sfd_beneath_readlink(repository->fd, name, now, sizeof(now)) > 0 &&
	       strcmp(now, target) == 0;
}

static void undo_one(struct sfd_link_maker *maker, const struct sfd_link_undo *row)
{
	char now[SFD_LINK_TARGET_MAX + 1];
	sfd_cleanup_fd int dir = open_parent(maker, row->name, NULL);
	const char *base = strrchr(row->name, '/') + 1;
	int temporary;

	if (dir < 0)
		return;
	read_target(dir, base, now);
	if (strcmp(now, row->made) != 0)
		return;
	if (row->before == NULL) {
		(void)unlinkat(dir, base, 0);
		return;
	}
	temporary = sfd_objects_temporary_dir(maker->repository, NULL);
	if (temporary >= 0)
		(void)rename_over(temporary, dir, base, row->before);
}

void sfd_link_maker_undo(struct sfd_link_maker *maker)
{
	while (maker->n_undo > 0) {
		undo_one(maker, &maker->undo[maker->n_undo - 1]);
		forget_last(maker);
	}
}

/* The object id at the end of a link target ("../objects/xx/yyyy"); false where it is none of this
 * algorithm. */
static bool parse_target(
	enum splitfd_algorithm algorithm, const char *target, struct splitfd_digest *ret)
{
	size_t size = sfd_digest_size(algorithm), len = strlen(target);
	const char *tail;

	/* "../", then anything (cfsctl reads the end only), "xx/" and the rest. */
	if (len < 2 * size + 1 + 3 || strncmp(target, "../", 3) != 0)
		return false;
	tail = target + len - (2 * size + 1);
	memset(ret, 0, sizeof(*ret));
	ret->size = (uint8_t)size;
	return tail[2] == '/' && sfd_hex_decode(tail, 1, ret->bytes) &&
	       sfd_hex_decode(tail + 3, size - 1, ret->bytes + 1);
}

int sfd_name_read(struct splitfd_repository *repository, const char *name,
	struct splitfd_digest *ret, struct splitfd_error *err)
{
	char target[SFD_LINK_TARGET_MAX + 1];
	ssize_t n = sfd_beneath_readlink(repository->fd, name, target, sizeof(target));

	/* A failing disk leaves links without a target, which nobody can make: they are no names.
	 */
	if (n == 0)
		return 0;
	if (n < 0) {
		if (n == -ENOENT || n == -EUCLEAN)
			return 0;
		if (n == -EINVAL)
			return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
				"%s/%s is not a symlink", repository->path, name);
		return sfd_beneath_failed(
			repository->fd, repository->path, "read the link", name, (int)n, err);
	}
	if (!parse_target(repository->algorithm, target, ret))
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"%s/%s points at '%s', which is not an object of this repository",
			repository->path, name, target);
	return 1;
}

int sfd_name_find(struct splitfd_repository *repository, const char *name,
	struct splitfd_digest *ret, struct splitfd_error *err)
{
	int r = sfd_name_read(repository, name, ret, err);

	if (r != -EIO && r != -EBADMSG)
		return r;
	splitfd_error_clear(err);
	return 0;
}

int sfd_ref_read(struct splitfd_repository *repository, const char *ref, struct splitfd_digest *ret,
	struct splitfd_error *err)
{
	char target[SFD_LINK_TARGET_MAX + 1];
	sfd_cleanup_free char *name = NULL;
	ssize_t n = sfd_beneath_readlink(repository->fd, ref, target, sizeof(target));
	const char *base;

	if (n == -ENOENT)
		return 0;
	if (n < 0)
		return sfd_beneath_failed(
			repository->fd, repository->path, "read the link", ref, (int)n, err);
	base = strrchr(target, '/');
	name = sfd_asprintf(
		"%.*s/%s", (int)strcspn(ref, "/"), ref, base != NULL ? base + 1 : target);
	if (name == NULL)
		return splitfd_error_oom(err);
	return sfd_name_read(repository, name, ret, err);
}
