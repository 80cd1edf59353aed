/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/link.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"
#include "transport/composefs/algorithm.h"
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
		return splitfd_error_set(
			err, SPLITFD_ERROR_FAILED, EINVAL, "'%s' is no name of a repository", name);
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

static int remember_dir(
	struct sfd_link_maker *maker, const char *path, size_t len, struct splitfd_error *err)
{
	char **dirs;

	for (size_t i = 0; i < maker->n_dirs; i++) {
		if (strlen(maker->dirs[i]) == len && memcmp(maker->dirs[i], path, len) == 0)
			return 0;
	}
	dirs = reallocarray(maker->dirs, maker->n_dirs + 1, sizeof(*dirs));
	if (dirs == NULL)
		return splitfd_error_oom(err);
	maker->dirs = dirs;
	dirs[maker->n_dirs] = strndup(path, len);
	if (dirs[maker->n_dirs] == NULL)
		return splitfd_error_oom(err);
	maker->n_dirs++;
	return 0;
}

/* The directory that holds `path`; "." for the repository itself. */
static int remember_parent(
	struct sfd_link_maker *maker, const char *path, size_t len, struct splitfd_error *err)
{
	const char *slash = memrchr(path, '/', len);

	if (slash == NULL)
		return remember_dir(maker, ".", 1, err);
	return remember_dir(maker, path, (size_t)(slash - path), err);
}

int sfd_link_touch(struct sfd_link_maker *maker, const char *name, struct splitfd_error *err)
{
	return remember_parent(maker, name, strlen(name), err);
}

/* A directory of the repository, never a symlink to one elsewhere. */
static int open_dir(const struct sfd_link_maker *maker, const char *path, uint64_t flags)
{
	return sfd_openat2(maker->repository->fd, path, flags | O_DIRECTORY, 0,
		RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
}

/* Makes each folder of `name` that is not there. */
static int make_dirs(struct sfd_link_maker *maker, const char *name, struct splitfd_error *err)
{
	for (const char *slash = strchr(name, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		sfd_cleanup_free char *path = strndup(name, (size_t)(slash - name));
		int r;

		if (path == NULL)
			return splitfd_error_oom(err);
		if (mkdirat(maker->repository->fd, path, 0755) < 0) {
			if (errno == EEXIST)
				continue;
			return splitfd_error_sys(
				err, errno, "cannot make %s/%s", maker->repository->path, path);
		}
		r = remember_parent(maker, path, strlen(path), err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The folder of `name`, open, made where it is missing. */
static int open_parent(struct sfd_link_maker *maker, const char *name, struct splitfd_error *err)
{
	const char *slash = strrchr(name, '/');
	sfd_cleanup_free char *path = strndup(name, (size_t)(slash - name));
	int fd, r;

	if (path == NULL)
		return splitfd_error_oom(err);
	fd = open_dir(maker, path, O_PATH);
	if (fd == -ENOENT) {
		r = make_dirs(maker, name, err);
		if (r < 0)
			return r;
		fd = open_dir(maker, path, O_PATH);
	}
	if (fd < 0)
		return splitfd_error_sys(
			err, -fd, "cannot open %s/%s", maker->repository->path, path);
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

	if (dir < 0)
		return dir;
	if (symlinkat(target, dir, strrchr(name, '/') + 1) < 0)
		return errno == EEXIST ? -EEXIST : name_failed(maker, name, errno, err);
	return sfd_link_touch(maker, name, err);
}

static bool has_target(int dir, const char *base, const char *target)
{
	char there[SFD_LINK_TARGET_MAX + 1];
	ssize_t n = readlinkat(dir, base, there, sizeof(there) - 1);

	if (n < 0)
		return false;
	there[n] = '\0';
	return strcmp(there, target) == 0;
}

int sfd_link_replace(struct sfd_link_maker *maker, const char *name, const char *target,
	struct splitfd_error *err)
{
	char temporary[32] = ".symlink-";
	int root = maker->repository->fd, r;
	sfd_cleanup_fd int dir = open_parent(maker, name, err);
	const char *base = strrchr(name, '/') + 1;

	if (dir < 0)
		return dir;
	if (symlinkat(target, dir, base) == 0)
		return sfd_link_touch(maker, name, err);
	if (errno != EEXIST)
		return name_failed(maker, name, errno, err);
	if (has_target(dir, base, target))
		return sfd_link_touch(maker, name, err);
	r = sfd_random_name(temporary + strlen(temporary), 12);
	if (r < 0)
		return splitfd_error_sys(err, -r, "cannot get a random name");
	if (symlinkat(target, root, temporary) < 0)
		return name_failed(maker, name, errno, err);
	if (renameat(root, temporary, dir, base) < 0) {
		r = name_failed(maker, name, errno, err);
		unlinkat(root, temporary, 0);
		return r;
	}
	return sfd_link_touch(maker, name, err);
}

static int sync_dir(const struct sfd_link_maker *maker, const char *path, struct splitfd_error *err)
{
	sfd_cleanup_fd int fd = open_dir(maker, path, O_RDONLY);

	if (fd < 0)
		return splitfd_error_sys(
			err, -fd, "cannot open %s/%s", maker->repository->path, path);
	if (fsync(fd) < 0)
		return splitfd_error_sys(
			err, errno, "cannot sync %s/%s", maker->repository->path, path);
	return 0;
}

int sfd_link_maker_finish(struct sfd_link_maker *maker, struct splitfd_error *err)
{
	int r = 0;

	for (size_t i = 0; i < maker->n_dirs; i++) {
		int synced = sync_dir(maker, maker->dirs[i], r < 0 ? NULL : err);

		if (synced < 0)
			r = synced;
		free(maker->dirs[i]);
	}
	free(maker->dirs);
	maker->dirs = NULL;
	maker->n_dirs = 0;
	return r;
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
	ssize_t n = readlinkat(repository->fd, name, target, sizeof(target) - 1);

	if (n < 0) {
		if (errno == ENOENT)
			return 0;
		if (errno == EINVAL)
			return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
				"%s/%s is no symlink", repository->path, name);
		return splitfd_error_sys(
			err, errno, "cannot read the link %s/%s", repository->path, name);
	}
	target[n] = '\0';
	if (!parse_target(repository->algorithm, target, ret))
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"%s/%s points at '%s', which is no object of this repository",
			repository->path, name, target);
	return 1;
}

int sfd_ref_read(struct splitfd_repository *repository, const char *ref, struct splitfd_digest *ret,
	struct splitfd_error *err)
{
	char target[SFD_LINK_TARGET_MAX + 1];
	sfd_cleanup_free char *name = NULL;
	ssize_t n = readlinkat(repository->fd, ref, target, sizeof(target) - 1);
	const char *base;

	if (n < 0 && errno == ENOENT)
		return 0;
	if (n < 0)
		return splitfd_error_sys(
			err, errno, "cannot read the link %s/%s", repository->path, ref);
	target[n] = '\0';
	base = strrchr(target, '/');
	name = sfd_asprintf(
		"%.*s/%s", (int)strcspn(ref, "/"), ref, base != NULL ? base + 1 : target);
	if (name == NULL)
		return splitfd_error_oom(err);
	return sfd_name_read(repository, name, ret, err);
}
