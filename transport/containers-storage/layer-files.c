/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/containers-storage/layer-files.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/removed.h"
#include "transport/containers-storage/layer-lookup.h"
#include "transport/containers-storage/layer-open.h"
#include "transport/containers-storage/store.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A removal that has begun is mostly done with the layer's directory by then. */
#define REMOVAL_MS 1000

struct layer_files {
	struct splitfd_files base;
	int dirs[SFD_LAYER_DIRS_MAX];
	struct sfd_layer_lowers *lowers;
	struct sfd_opener *opener;   /* or NULL */
	struct splitfd_store *store; /* or NULL */
	char *id;
	char *what;
};

/* One look-up on its way through the directories. */
struct lookup {
	const struct layer_files *files;
	const char *name;
	uint64_t size;
	bool metacopy; /* a stub was seen and passed over */
	bool plain;    /* found without following a symlink */
	int fd;
};

SFD_DEFINE_CLEANUP(files_cleanup, struct splitfd_files, splitfd_files_unref);

/* What may not be opened here, the opener may open. Its file is not one that a reader of the stream
 * could open by its name. */
static int ask_opener(struct lookup *l, int dir, struct splitfd_error *err)
{
	struct sfd_opener *opener = l->files->opener;
	int r;

	splitfd_error_clear(err);
	r = sfd_opener_open(opener, dir, l->name, l->size, &l->fd, err);
	l->plain = false;
	return r;
}

/* Tries one directory. 1: l->fd is the file. 0: not there. */
static int try_dir(struct lookup *l, int dir, struct splitfd_error *err)
{
	int r = sfd_layer_open(dir, l->name, l->size, &l->fd, &l->plain, err);

	if (r == -EACCES && l->files->opener != NULL)
		r = ask_opener(l, dir, err);
	if (r < 0)
		return splitfd_error_wrap(err, r, "%s", l->files->what);
	if (r == SFD_LAYER_STUB)
		l->metacopy = true;
	return r == SFD_LAYER_FOUND;
}

/* Newer container-libs move the directory to a place for deletion first. */
static bool is_moved(int dir)
{
	char link[32], path[4096];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", dir);
	n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0)
		return false;
	path[n] = '\0';
	return strstr(path, "/tempdirs/temp-dir-") != NULL;
}

/* What can be said at once. Before container-libs remove anything of a layer, its record says so.
 */
static bool is_removed(const struct layer_files *files)
{
	return is_moved(files->dirs[0]) || sfd_dir_removed(files->dirs[0], 0) ||
	       (files->store != NULL && sfd_store_layer_removed(files->store, files->id));
}

static bool files_removed(struct splitfd_files *base)
{
	const struct layer_files *files = (const struct layer_files *)base;

	return is_removed(files) || sfd_dir_removed(files->dirs[0], REMOVAL_MS);
}

static int removed(const struct layer_files *files, struct splitfd_error *err)
{
	return splitfd_error_set(
		err, SPLITFD_ERROR_NOT_FOUND, ENOENT, "%s: " SFD_LAYER_REMOVED, files->what);
}

static int missing(const struct lookup *l, struct splitfd_error *err)
{
	if (sfd_dir_removed(l->files->dirs[0], REMOVAL_MS))
		return removed(l->files, err);
	if (l->metacopy)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, ENODATA,
			"%s: %s: the store has a metacopy stub without data", l->files->what,
			l->name);
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, ENOENT,
		"%s: %s: is missing from the store: it was deleted, or the tar overwrote it "
		"under another name",
		l->files->what, l->name);
}

static int try_lowers(struct lookup *l, struct splitfd_error *err)
{
	struct sfd_layer_lowers *lowers = l->files->lowers;

	for (size_t i = 0; lowers != NULL && i < lowers->n; i++) {
		sfd_cleanup_fd int dir = lowers->open(lowers, i);
		int r;

		if (dir == -ENOENT)
			return removed(l->files, err);
		if (dir < 0)
			return splitfd_error_sys(
				err, -dir, "%s: cannot open lower layer %zu", l->files->what, i);
		r = try_dir(l, dir, err);
		if (r != 0)
			return r;
	}
	return 0;
}

static int files_open(struct splitfd_files *base, const char *name, uint64_t size, int *ret_fd,
	int *ret_dir, struct splitfd_error *err)
{
	const struct layer_files *files = (const struct layer_files *)base;
	char clean[SPLITFD_NAME_MAX + 1];
	struct lookup l = { .files = files, .name = clean, .size = size, .fd = -EBADF };
	int r, found = -1;

	r = sfd_layer_clean_name(name, strlen(name), clean);
	if (r < 0)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, -r,
			"%s: \"%.200s\": not a name that a file can have", files->what, name);
	r = 0;
	for (size_t i = 0; r == 0 && i < base->n_dirs; i++) {
		r = try_dir(&l, files->dirs[i], err);
		if (r > 0 && l.plain && strcmp(name, clean) == 0)
			found = (int)i;
	}
	if (r == 0)
		r = try_lowers(&l, err);
	/* The opener does not know a layer that was moved; a lower one may be gone by itself. */
	if (r <= 0 && is_removed(files))
		return removed(files, err);
	if (r == 0)
		r = missing(&l, err);
	if (r < 0)
		return r;
	if (ret_dir != NULL)
		*ret_dir = found;
	*ret_fd = l.fd;
	return 0;
}

static void files_free(struct splitfd_files *base)
{
	struct layer_files *files = (struct layer_files *)base;

	for (size_t i = 0; i < SFD_LAYER_DIRS_MAX; i++)
		sfd_close(files->dirs[i]);
	if (files->lowers != NULL)
		files->lowers->free(files->lowers);
	sfd_opener_unref(files->opener);
	splitfd_store_close(files->store);
	free(files->id);
	free(files->what);
	free(files);
}

static const struct splitfd_files_ops files_ops = { files_open, files_free, files_removed };

int sfd_layer_files_new(struct sfd_layer_desc *desc, const char *what, struct splitfd_files **ret,
	struct splitfd_error *err)
{
	struct layer_files *files = calloc(1, sizeof(*files));
	sfd_cleanup(files_cleanup) struct splitfd_files *owned = NULL;

	if (files == NULL)
		return splitfd_error_oom(err);
	files->base = (struct splitfd_files){ &files_ops, 1, files->dirs, desc->n_dirs };
	for (size_t i = 0; i < SFD_LAYER_DIRS_MAX; i++)
		files->dirs[i] = i < desc->n_dirs ? sfd_take_fd(&desc->dirs[i]) : -EBADF;
	files->lowers = sfd_take_ptr(&desc->lowers);
	files->opener = sfd_take_ptr(&desc->opener);
	files->store = sfd_take_ptr(&desc->store);
	owned = &files->base;
	files->id = strdup(desc->layer_id);
	files->what = strdup(what);
	if (files->id == NULL || files->what == NULL)
		return splitfd_error_oom(err);
	*ret = sfd_take_ptr(&owned);
	return 0;
}
