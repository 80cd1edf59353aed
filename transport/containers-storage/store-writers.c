/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/containers-storage/store-writers.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/fd.h"
#include "transport/containers-storage/image-private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define ANCESTORS_MAX 256

/* On the way down to a directory. */
struct way {
	const struct sfd_own_ids *ids;
	bool passable; /* another user comes this far */
	bool written;  /* another user can write one of the directories */
};

/* The group's bits are the mask where there is an access list. */
static bool group_is_own(const struct way *w, int fd, const struct stat *st)
{
	char path[32];

	if (!sfd_own_gid(w->ids, st->st_gid))
		return false;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return getxattr(path, "system.posix_acl_access", NULL, 0) < 0;
}

static int look(struct way *w, int fd, bool above, struct splitfd_error *err)
{
	bool own, group = false;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return splitfd_error_sys(err, errno, "cannot examine a directory of the store");
	/* From within a namespace, what is above may belong to the host's root. */
	own = sfd_own_uid(w->ids, st.st_uid) || (above && w->ids->in_namespace);
	if ((st.st_mode & (S_IWGRP | S_IXGRP)) != 0)
		group = !group_is_own(w, fd, &st);
	if (w->passable && !own)
		w->written = true;
	/* With the sticky bit, what others have stays theirs. */
	if (w->passable && (st.st_mode & S_ISVTX) == 0 &&
		((st.st_mode & S_IWOTH) != 0 || (group && (st.st_mode & S_IWGRP) != 0)))
		w->written = true;
	w->passable = w->passable && (!own || (st.st_mode & S_IXOTH) != 0 ||
					     (group && (st.st_mode & S_IXGRP) != 0));
	return 0;
}

/* The directories from / down to the one above `fd`. */
static int look_above(struct way *w, int fd, struct splitfd_error *err)
{
	int chain[ANCESTORS_MAX], r = 0;
	struct stat last, st;
	size_t n = 0;

	if (fstat(fd, &last) < 0)
		return splitfd_error_sys(err, errno, "cannot examine the store's directory");
	for (int at = fd; r == 0 && n < ANCESTORS_MAX; at = chain[n - 1], last = st) {
		int up = openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);

		if (up < 0 || fstat(up, &st) < 0)
			r = splitfd_error_sys(
				err, errno, "cannot examine a directory above the store");
		if (up < 0)
			break;
		chain[n++] = up;
		if (r == 0 && st.st_dev == last.st_dev && st.st_ino == last.st_ino)
			break;
	}
	/* The last two are the same: / is above itself. */
	for (size_t i = n; r == 0 && i > 0; i--)
		r = look(w, chain[i - 1], true, err);
	for (size_t i = 0; i < n; i++)
		sfd_close(chain[i]);
	return r;
}

/* A directory below `w`, by name, and whether it is there at all. */
static int look_below(struct way *w, int dir, const char *path, struct splitfd_error *err)
{
	sfd_cleanup_fd int fd = sfd_openat2(dir, path, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0,
		RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);

	if (fd == -ENOENT)
		return 0;
	/* A symlink, or what nobody may see: others may have put it there. */
	if (fd < 0) {
		w->written = true;
		return 0;
	}
	return look(w, fd, false, err);
}

/* A layer's own directories, below the place's. */
static int look_at_layer(const struct way *place, int fd, const char *const *names, bool *written,
	struct splitfd_error *err)
{
	struct way w = *place;
	int r = 0;

	for (size_t i = 0; r == 0 && names[i] != NULL; i++)
		r = look_below(&w, fd, names[i], err);
	*written = *written || w.written;
	return r;
}

static int look_at_place(
	struct way *w, const struct splitfd_image *image, int fd, struct splitfd_error *err)
{
	const struct sfd_driver *driver = image->store->driver;
	char layers[32], own[128], diff[160];
	bool written = false;
	int r;

	(void)snprintf(layers, sizeof(layers), "%s-layers", driver->name);
	r = look_at_layer(w, fd, (const char *const[]){ layers, NULL }, &written, err);
	for (size_t i = 0; r == 0 && i < image->n_layers; i++) {
		const char *const names[] = { driver->name, driver->directory, own,
			driver->levels > 1 ? diff : NULL, NULL };

		(void)snprintf(
			own, sizeof(own), "%s/%s", driver->directory, image->layers[i].layer_id);
		(void)snprintf(diff, sizeof(diff), "%s/diff", own);
		r = look_at_layer(w, fd, names, &written, err);
	}
	w->written = w->written || written;
	return r;
}

int sfd_image_has_other_writers(
	const struct splitfd_image *image, const struct sfd_own_ids *ids, struct splitfd_error *err)
{
	const struct splitfd_store *store = image->store;

	for (size_t i = 0; i < store->n_places; i++) {
		struct way w = { .ids = ids, .passable = true };
		int r;

		if (store->places[i].fd < 0)
			continue;
		r = look_above(&w, store->places[i].fd, err);
		if (r == 0)
			r = look(&w, store->places[i].fd, false, err);
		if (r == 0)
			r = look_at_place(&w, image, store->places[i].fd, err);
		if (r < 0 || w.written)
			return r < 0 ? r : 1;
	}
	return 0;
}
