/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/images/tags.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/fd.h"
#include "splitfdstream/base/text.h"
#include "transport/composefs/beneath.h"
#include "transport/composefs/images/names.h"
#include "transport/composefs/repository-private.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#define REFERRERS_DIR "streams/refs/oci-referrers/"

/* `prefix` and the encoded name; NULL when memory is short. */
static char *encode(const char *prefix, const char *name)
{
	size_t n = strlen(prefix);
	char *text = malloc(n + 3 * strlen(name) + 1), *at;

	if (text == NULL)
		return NULL;
	memcpy(text, prefix, n);
	at = text + n;
	for (; *name != '\0'; name++) {
		if (*name != '%' && *name != '/') {
			*at++ = *name;
			continue;
		}
		memcpy(at, *name == '%' ? "%25" : "%2F", 3);
		at += 3;
	}
	*at = '\0';
	return text;
}

char *sfd_tag_decode(const char *encoded)
{
	char *text = strdup(encoded), *at = text;

	if (text == NULL)
		return NULL;
	for (const char *p = encoded; *p != '\0'; p++) {
		if (strncmp(p, "%2F", 3) == 0 || strncmp(p, "%25", 3) == 0) {
			*at++ = p[2] == 'F' ? '/' : '%';
			p += 2;
		} else {
			*at++ = *p;
		}
	}
	*at = '\0';
	return text;
}

int sfd_tag_name(const char *tag, char **ret, struct splitfd_error *err)
{
	sfd_cleanup_free char *name = NULL;
	const char *base;

	if (tag[0] == '@')
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"the tag '%s' begins with '@', which is kept for digests", tag);
	name = encode(SFD_TAGS_DIR "/", tag);
	if (name == NULL)
		return splitfd_error_oom(err);
	base = name + sizeof(SFD_TAGS_DIR);
	if (tag[0] == '\0' || strcmp(tag, ".") == 0 || strcmp(tag, "..") == 0 ||
		strlen(base) > NAME_MAX)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"'%s' cannot be a tag: it is not a file name (%zu bytes when encoded, at "
			"most "
			"%d); give another name",
			tag, strlen(base), NAME_MAX);
	*ret = sfd_take_ptr(&name);
	return 0;
}

/* The digest that a tag's link points at; NULL in *ret where it is no manifest. 1; 0 where there is
 * no such link. */
static int read_manifest_link(struct splitfd_repository *repository, const char *name, char **ret,
	struct splitfd_error *err)
{
	char target[PATH_MAX + 1];
	ssize_t n = sfd_beneath_readlink(repository->fd, name, target, sizeof(target));
	const char *base;

	*ret = NULL;
	if (n == -ENOENT)
		return 0;
	if (n == -EINVAL)
		return 1;
	if (n < 0)
		return sfd_beneath_failed(
			repository->fd, repository->path, "read the link", name, (int)n, err);
	base = strrchr(target, '/');
	base = base != NULL ? base + 1 : target;
	if (strncmp(base, SFD_MANIFEST_NAME, strlen(SFD_MANIFEST_NAME)) != 0)
		return 1;
	*ret = strdup(base + strlen(SFD_MANIFEST_NAME));
	return *ret != NULL ? 1 : splitfd_error_oom(err);
}

int sfd_tag_resolve(struct splitfd_repository *repository, const char *name, char **ret,
	struct splitfd_error *err)
{
	sfd_cleanup_free char *path = NULL;
	int r;

	if (name[0] == '@') {
		*ret = strdup(name + 1);
		return *ret != NULL ? 0 : splitfd_error_oom(err);
	}
	r = sfd_tag_name(name, &path, err);
	if (r < 0)
		return r;
	r = read_manifest_link(repository, path, ret, err);
	if (r == 0)
		return splitfd_error_set(err, SPLITFD_ERROR_NOT_FOUND, ENOENT,
			"no image '%s' in %s; 'splitfd images' lists them", name, repository->path);
	if (r > 0 && *ret == NULL)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"the tag '%s' does not point at a manifest", name);
	return r < 0 ? r : 0;
}

int sfd_tag_remove(
	struct splitfd_repository *repository, const char *name, struct splitfd_error *err)
{
	const char *base;
	sfd_cleanup_fd int dir = -EBADF, parent = sfd_beneath_parent(repository->fd, name, &base);

	if (parent == -ENOENT)
		return 0;
	if (parent < 0)
		return sfd_beneath_failed(
			repository->fd, repository->path, "remove", name, parent, err);
	if (unlinkat(parent, base, 0) < 0)
		return errno == ENOENT ? 0
				       : splitfd_error_sys(err, errno, "cannot remove %s/%s",
						 repository->path, name);
	dir = sfd_beneath_open(parent, ".", O_RDONLY | O_DIRECTORY, 0);
	if (dir < 0 || fsync(dir) < 0)
		return splitfd_error_sys(err, dir < 0 ? -dir : errno, "cannot sync " SFD_TAGS_DIR);
	return 1;
}

void sfd_tags_free(struct sfd_tag *tags, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(tags[i].name);
		free(tags[i].manifest);
	}
	free(tags);
}

struct list {
	struct splitfd_repository *repository;
	const char *dir;
	struct sfd_tag *tags;
	size_t n;
};

static int list_add(struct list *list, const char *file, struct splitfd_error *err)
{
	sfd_cleanup_free char *path = NULL;
	struct sfd_tag *tags = reallocarray(list->tags, list->n + 1, sizeof(*tags)), *tag;
	int r;

	if (tags == NULL)
		return splitfd_error_oom(err);
	list->tags = tags;
	path = sfd_asprintf("%s/%s", list->dir, file);
	if (path == NULL)
		return splitfd_error_oom(err);
	tag = &tags[list->n];
	*tag = (struct sfd_tag){ .name = sfd_tag_decode(file) };
	if (tag->name == NULL)
		return splitfd_error_oom(err);
	list->n++;
	r = read_manifest_link(list->repository, path, &tag->manifest, err);
	return r < 0 ? r : 0;
}

static int list_dir(struct list *list, struct splitfd_error *err)
{
	const struct splitfd_repository *repository = list->repository;
	int fd = sfd_beneath_open(repository->fd, list->dir, O_RDONLY | O_DIRECTORY, 0);
	sfd_cleanup_dir DIR *dir = NULL;
	const struct dirent *entry;

	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return sfd_beneath_failed(
			repository->fd, repository->path, "open", list->dir, fd, err);
	dir = fdopendir(fd);
	if (dir == NULL) {
		int errnum = errno;

		sfd_close(fd);
		return splitfd_error_sys(
			err, errnum, "cannot open %s/%s", repository->path, list->dir);
	}
	for (errno = 0; (entry = readdir(dir)) != NULL; errno = 0) {
		int r;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		r = list_add(list, entry->d_name, err);
		if (r < 0)
			return r;
	}
	if (errno != 0)
		return splitfd_error_sys(
			err, errno, "cannot read %s/%s", repository->path, list->dir);
	return 0;
}

static int compare_tags(const void *a, const void *b)
{
	return strcmp(((const struct sfd_tag *)a)->name, ((const struct sfd_tag *)b)->name);
}

static int list_sorted(
	struct list *list, struct sfd_tag **ret, size_t *ret_n, struct splitfd_error *err)
{
	int r = list_dir(list, err);

	if (r < 0) {
		sfd_tags_free(list->tags, list->n);
		return r;
	}
	if (list->n > 0)
		qsort(list->tags, list->n, sizeof(*list->tags), compare_tags);
	*ret = list->tags;
	*ret_n = list->n;
	return 0;
}

int sfd_tags_list(struct splitfd_repository *repository, struct sfd_tag **ret, size_t *ret_n,
	struct splitfd_error *err)
{
	struct list list = { .repository = repository, .dir = SFD_TAGS_DIR };

	return list_sorted(&list, ret, ret_n, err);
}

static bool has_manifest(struct splitfd_repository *repository, const char *digest)
{
	sfd_cleanup_free char *name = sfd_asprintf("streams/" SFD_MANIFEST_NAME "%s", digest);
	struct splitfd_digest target;

	if (name == NULL)
		return false;
	return sfd_name_read(repository, name, &target, NULL) > 0;
}

int sfd_referrers_list(struct splitfd_repository *repository, const char *manifest,
	struct sfd_tag **ret, size_t *ret_n, struct splitfd_error *err)
{
	sfd_cleanup_free char *dir = encode(REFERRERS_DIR, manifest);
	struct list list = { .repository = repository, .dir = dir };
	size_t kept = 0;
	int r;

	if (dir == NULL)
		return splitfd_error_oom(err);
	r = list_sorted(&list, ret, ret_n, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < *ret_n; i++) {
		struct sfd_tag tag = (*ret)[i];

		if (tag.manifest != NULL && strcmp(tag.name, tag.manifest) == 0 &&
			has_manifest(repository, tag.manifest)) {
			(*ret)[kept++] = tag;
		} else {
			free(tag.name);
			free(tag.manifest);
		}
	}
	*ret_n = kept;
	return 0;
}
