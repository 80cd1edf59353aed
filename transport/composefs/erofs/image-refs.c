/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/erofs/image-refs.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/base/text.h"
#include "transport/composefs/erofs/erofs-objects.h"
#include "transport/composefs/beneath.h"
#include "transport/composefs/link.h"
#include "transport/composefs/object-store.h"
#include "transport/composefs/repository-private.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REFS	  "images/refs"
#define MAX_DEPTH 32

struct list {
	struct splitfd_repository *repository;
	struct sfd_image_ref *refs;
	size_t n;
};

void sfd_image_refs_free(struct sfd_image_ref *refs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(refs[i].name);
		free(refs[i].target);
	}
	free(refs);
}

/* Takes `name`, always. */
static int add_ref(struct list *list, char *name, const char *target, struct splitfd_error *err)
{
	sfd_cleanup_free char *owned = name, *copy = strdup(target);
	struct sfd_image_ref *refs = reallocarray(list->refs, list->n + 1, sizeof(*refs));

	if (refs != NULL)
		list->refs = refs;
	if (refs == NULL || copy == NULL)
		return splitfd_error_oom(err);
	refs[list->n++] = (struct sfd_image_ref){ .name = sfd_take_ptr(&owned),
		.target = sfd_take_ptr(&copy) };
	return 0;
}

static int list_dir(
	struct list *list, int parent, const char *path, int depth, struct splitfd_error *err);

/* `below` is the path below refs/, with a slash behind it, or "". */
static int list_entry(struct list *list, int dir, const char *below, const char *name, int depth,
	struct splitfd_error *err)
{
	sfd_cleanup_free char *path = NULL;
	char target[PATH_MAX + 1];
	ssize_t n;

	/* Only such a name can be told in JSON. */
	if (!sfd_utf8_valid(name, strlen(name)))
		return 0;
	path = sfd_asprintf("%s%s", below, name);
	if (path == NULL)
		return splitfd_error_oom(err);
	n = readlinkat(dir, name, target, sizeof(target) - 1);
	if (n >= 0) {
		target[n] = '\0';
		if (!sfd_utf8_valid(target, (size_t)n))
			return 0;
		return add_ref(list, sfd_take_ptr(&path), target, err);
	}
	/* No link; gone meanwhile. */
	if (errno != EINVAL)
		return errno == ENOENT
			       ? 0
			       : splitfd_error_sys(err, errno, "cannot read " REFS "/%s", path);
	return list_dir(list, dir, path, depth + 1, err);
}

static int open_dir(
	struct list *list, int parent, const char *path, int *ret, struct splitfd_error *err)
{
	const char *name = strrchr(path, '/');

	if (path[0] == '\0')
		*ret = sfd_beneath_open(list->repository->fd, REFS, O_RDONLY | O_DIRECTORY, 0);
	else
		*ret = sfd_beneath_open(
			parent, name != NULL ? name + 1 : path, O_RDONLY | O_DIRECTORY, 0);
	if (*ret >= 0)
		return 1;
	if (*ret == -ENOENT || (*ret == -ENOTDIR && path[0] != '\0'))
		return 0;
	if (path[0] == '\0')
		return sfd_beneath_failed(
			list->repository->fd, list->repository->path, "open", REFS, *ret, err);
	return splitfd_error_sys(err, -*ret, "cannot open " REFS "/%s", path);
}

/* Where `path`, below refs/, is a folder: what is in it. */
static int list_dir(
	struct list *list, int parent, const char *path, int depth, struct splitfd_error *err)
{
	sfd_cleanup_free char *below = NULL;
	sfd_cleanup_dir DIR *dir = NULL;
	const struct dirent *entry;
	int fd = -EBADF, r = open_dir(list, parent, path, &fd, err);

	if (r <= 0)
		return r;
	dir = fdopendir(fd);
	if (dir == NULL || depth > MAX_DEPTH) {
		r = splitfd_error_sys(
			err, dir == NULL ? errno : ELOOP, "cannot read " REFS "/%s", path);
		if (dir == NULL)
			sfd_close(fd);
		return r;
	}
	below = sfd_asprintf("%s%s", path, path[0] != '\0' ? "/" : "");
	if (below == NULL)
		return splitfd_error_oom(err);
	r = 0;
	for (errno = 0; r == 0 && (entry = readdir(dir)) != NULL; errno = 0) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = list_entry(list, fd, below, entry->d_name, depth, err);
	}
	if (r == 0 && errno != 0)
		return splitfd_error_sys(err, errno, "cannot read " REFS "/%s", path);
	return r;
}

static int compare(const void *a, const void *b)
{
	return strcmp(
		((const struct sfd_image_ref *)a)->name, ((const struct sfd_image_ref *)b)->name);
}

int sfd_image_refs_list(struct splitfd_repository *repository, struct sfd_image_ref **ret,
	size_t *ret_n, struct splitfd_error *err)
{
	struct list list = { .repository = repository };
	int r = list_dir(&list, repository->fd, "", 0, err);

	if (r < 0) {
		sfd_image_refs_free(list.refs, list.n);
		return r;
	}
	if (list.n > 0)
		qsort(list.refs, list.n, sizeof(*list.refs), compare);
	*ret = list.refs;
	*ret_n = list.n;
	return 0;
}

static int not_found(const char *name, struct splitfd_error *err)
{
	return splitfd_error_set(
		err, SPLITFD_ERROR_NOT_FOUND, ENOENT, "there is no EROFS image '%s'", name);
}

/* "images/" PREFIX NAME as the image's digest. 1, or 0 where there is no such name. */
static int read_name(struct splitfd_repository *repository, const char *prefix, const char *name,
	struct splitfd_digest *ret, struct splitfd_error *err)
{
	bool ref = strncmp(name, "refs/", 5) == 0 || prefix[0] != '\0';
	int r;
	sfd_cleanup_free char *path = sfd_asprintf("images/%s%s", prefix, name);

	if (path == NULL)
		return splitfd_error_oom(err);
	if (strlen(path) >= PATH_MAX || sfd_link_check_name(path, NULL) < 0)
		return 0;
	r = ref ? sfd_ref_read(repository, path, ret, err)
		: sfd_name_read(repository, path, ret, err);
	return r;
}

static int find_image(struct splitfd_repository *repository, const char *name,
	struct splitfd_digest *ret, struct splitfd_error *err)
{
	bool plain = strchr(name, '/') == NULL;
	char hex[2 * SPLITFD_DIGEST_MAX + 1];
	int r = read_name(repository, "", name, ret, err);

	if (r == 0 && plain) {
		r = read_name(repository, "refs/", name, ret, err);
		plain = false;
	}
	if (r <= 0)
		return r < 0 ? r : not_found(name, err);
	splitfd_digest_hex(ret, hex);
	if (plain && strcmp(hex, name) != 0)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"images/%s points at the object %s", name, hex);
	return 0;
}

static int on_object(void *ctx, const struct splitfd_digest *digest, struct splitfd_error *err)
{
	ptrdiff_t r = sfd_digest_table_add(ctx, digest, NULL);

	return r < 0 ? splitfd_error_sys(err, (int)-r, "cannot keep the image's objects") : 0;
}

int sfd_image_objects(struct splitfd_repository *repository, const char *name,
	struct sfd_digest_table *ret, struct splitfd_error *err)
{
	sfd_cleanup_free char *data = NULL;
	struct splitfd_digest image;
	size_t size = 0;
	int r = find_image(repository, name, &image, err);

	if (r == 0)
		r = sfd_object_read(repository, &image, SFD_EROFS_IMAGE_MAX, &data, &size, err);
	if (r == 0)
		r = sfd_erofs_objects(
			(const uint8_t *)data, size, repository->algorithm, on_object, ret, err);
	return r < 0 ? splitfd_error_wrap(err, r, "image '%s'", name) : 0;
}
