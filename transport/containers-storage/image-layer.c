/* SPDX-License-Identifier: Apache-2.0 */
/* Opens all that a layer needs, by its record, while its lock is held. */
#include "transport/containers-storage/image-private.h"

#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "transport/containers-storage/layer-blob.h"
#include "transport/containers-storage/layer-lowers.h"
#include "transport/containers-storage/layer-lookup.h"
#include "transport/containers-storage/layer.h"
#include "transport/containers-storage/store-files.h"

#include <fcntl.h>
#include <string.h>

/* Container-libs' own bound of a table of contents. */
#define TOC_SIZE_MAX ((size_t)150 * 1024 * 1024)

/* Opens a file of overlay-layers/ in the place of the record; where images are kept apart, such
 * files are in graphroot whichever of the two has the record. */
static int open_record_file(const struct splitfd_store *store, size_t place, const char *name)
{
	bool both = store->split && place < 2;
	char path[SFD_STORE_PATH_MAX];
	int fd = -ENOENT;

	sfd_store_path(store, path, "layers", name);
	for (size_t i = both ? 0 : place; i <= (both ? 1 : place) && fd == -ENOENT; i++)
		if (store->places[i].fd >= 0)
			fd = sfd_store_open_file(store->places[i].fd, path);
	return fd;
}

static int open_tar_split(const struct splitfd_store *store, size_t place,
	struct sfd_layer_desc *desc, struct splitfd_error *err)
{
	char name[96];
	int fd;

	(void)snprintf(name, sizeof(name), "%s.tar-split.gz", desc->layer_id);
	fd = open_record_file(store, place, name);
	if (fd == -ENOENT)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, ENOENT,
			"it has no tar-split, so its exact tar cannot be had; podman pull or "
			"podman load makes one");
	if (fd == -EINVAL)
		return splitfd_error_set(
			err, SPLITFD_ERROR_REFUSED, EINVAL, "its tar-split is not a regular file");
	if (fd < 0)
		return splitfd_error_sys(err, -fd, "its tar-split cannot be opened");
	desc->tar_split_fd = fd;
	return 0;
}

/* The layer's record is there, and its lock is held: what is missing is damage. No pull restores it
 * while the record is there. */
static int part_failed(int r, const char *what, struct splitfd_error *err)
{
	if (r != -ENOENT)
		return splitfd_error_sys(err, -r, "its %s cannot be opened", what);
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, ENOENT,
		"its %s is missing in the store; remove the image there and pull it again", what);
}

/* The layer's directory by existence, not by record: SUB/ID of the first place that has it. */
static int open_layer_dir(const struct splitfd_store *store, const char *id)
{
	int r = -ENOENT;

	for (size_t i = 0; i < store->n_places && r == -ENOENT; i++) {
		sfd_cleanup_fd int top = -EBADF;

		if (store->places[i].fd < 0)
			continue;
		top = sfd_store_open_dir(store->places[i].fd, store->driver->directory, true);
		r = top < 0 ? top : sfd_store_open_dir(top, id, false);
	}
	return r;
}

static int open_own_dirs(int layer_dir, struct sfd_layer_desc *desc, struct splitfd_error *err)
{
	char name[16] = "diff";
	int fd;

	for (;;) {
		fd = sfd_store_open_dir(layer_dir, name, false);
		if (fd == -ENOENT && desc->n_dirs > 0)
			return 0;
		if (fd == -ELOOP || fd == -ENOTDIR)
			return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, ELOOP,
				"its %s is not a directory", name);
		if (fd < 0)
			return part_failed(fd, name, err);
		if (desc->n_dirs == SFD_LAYER_DIRS_MAX) {
			sfd_close(fd);
			return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, E2BIG,
				"it was remapped more than %d times", SFD_LAYER_DIRS_MAX - 1);
		}
		desc->dirs[desc->n_dirs++] = fd;
		(void)snprintf(name, sizeof(name), "diff%zu", desc->n_dirs);
	}
}

/* A layer in composefs form needs its table of contents to find a name's content. */
static int read_toc(const struct splitfd_store *store, size_t place, struct sfd_layer_desc *desc,
	struct splitfd_error *err)
{
	sfd_cleanup_fd int fd = -EBADF;
	char key[64], name[160];
	int r = sfd_store_big_data_name("zstd-chunked-manifest", key, sizeof(key));

	if (r >= 0) {
		(void)snprintf(name, sizeof(name), "%s/%s", desc->layer_id, key);
		fd = open_record_file(store, place, name);
		r = fd < 0 ? fd : sfd_read_file_fd(fd, TOC_SIZE_MAX, &desc->toc, &desc->toc_size);
	}
	if (r < 0)
		return part_failed(r, "table of contents", err);
	desc->layout = SFD_LAYER_COMPOSEFS;
	return 0;
}

static int open_dirs(struct splitfd_store *store, size_t place, int layer_dir,
	struct sfd_layer_desc *desc, struct splitfd_error *err)
{
	sfd_cleanup_fd int dir = layer_dir;
	int fd, r;

	if (dir < 0)
		return part_failed(dir, "directory", err);
	desc->layout = store->driver->layout;
	if (desc->layout == SFD_LAYER_VFS) {
		desc->dirs[desc->n_dirs++] = sfd_take_fd(&dir);
		return 0;
	}
	r = open_own_dirs(dir, desc, err);
	if (r < 0)
		return r;
	fd = sfd_store_open_dir(dir, "composefs-data", false);
	sfd_close(fd);
	if (fd < 0 && fd != -ENOENT)
		return splitfd_error_sys(err, -fd, "its composefs-data cannot be opened");
	if (fd >= 0)
		return read_toc(store, place, desc, err);
	return sfd_layer_lowers_read(store, dir, &desc->lowers, err);
}

/* Container-libs asks for the additional layer store first, too. */
static int open_parts(struct splitfd_store *store, size_t place, struct sfd_layer_desc *desc,
	struct splitfd_error *err)
{
	sfd_cleanup_fd int dir = open_layer_dir(store, desc->layer_id);
	int fd = -ENOENT, r;

	if (dir >= 0 && store->driver->layout == SFD_LAYER_OVERLAY)
		fd = sfd_layer_blob_open(dir, err);
	if (fd >= 0) {
		desc->layout = SFD_LAYER_BLOB;
		desc->tar_split_fd = fd;
		return 0;
	}
	if (fd != -ENOENT)
		return fd;
	r = open_tar_split(store, place, desc, err);
	return r < 0 ? r : open_dirs(store, place, sfd_take_fd(&dir), desc, err);
}

/* The record as it is now, which must still be that of the image. */
static int look_again(const char *layer_id, const char *diff_id, const struct sfd_layer_db *db,
	size_t *ret_place, struct splitfd_error *err)
{
	const struct sfd_layer_record *record = sfd_layer_db_find(db, layer_id, ret_place);

	if (record == NULL)
		return splitfd_error_set(err, SPLITFD_ERROR_NOT_FOUND, ESTALE,
			"it was removed from the store meanwhile");
	if (record->incomplete)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"it is incomplete: it is being removed or made again");
	if (record->diff_digest != NULL && diff_id != NULL &&
		strcmp(record->diff_digest, diff_id) != 0)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"the store has another diff_id for it now: %s", record->diff_digest);
	return 0;
}

int sfd_layer_describe_locked(struct splitfd_store *store, const struct sfd_layer_db *db,
	const char *layer_id, const char *diff_id, uint64_t size, struct sfd_layer_desc *ret,
	struct splitfd_error *err)
{
	struct sfd_layer_desc desc = { .tar_split_fd = -EBADF,
		.spool_dir = -EBADF,
		.layer_id = layer_id,
		.diff_id = diff_id,
		.diff_size = size };
	size_t place;
	int r = look_again(layer_id, diff_id, db, &place, err);

	desc.opener = sfd_opener_ref(store->opener);
	desc.store = sfd_store_ref(store);
	if (r >= 0)
		r = open_parts(store, place, &desc, err);
	if (r >= 0 && store->spool_fd >= 0) {
		desc.spool_dir = fcntl(store->spool_fd, F_DUPFD_CLOEXEC, 3);
		if (desc.spool_dir < 0)
			r = splitfd_error_sys(err, errno, "cannot copy a descriptor");
	}
	if (r >= 0) {
		*ret = desc;
		return 0;
	}
	sfd_layer_desc_done(&desc);
	return splitfd_error_wrap(
		err, r, "layer %.12s (%s)", layer_id, diff_id != NULL ? diff_id : "no diff_id");
}

/* Opens all that the layer needs while its lock is held. */
static int open_locked(struct splitfd_image *image, const struct sfd_image_layer *layer,
	struct sfd_layer_desc *ret, struct splitfd_error *err)
{
	sfd_cleanup(sfd_store_locks_done) struct sfd_store_locks locks = { 0 };
	sfd_cleanup(sfd_layer_db_done) struct sfd_layer_db now = { .n = 0 };
	const struct sfd_layer_db *db = &image->db;
	int r = sfd_store_lock_layers(image->store, &locks, err);

	if (r >= 0 && !sfd_layer_db_fresh(image->store, db)) {
		r = sfd_store_read_layers(image->store, &now, err);
		db = &now;
	}
	if (r < 0)
		return splitfd_error_wrap(
			err, r, "layer %.12s (%s)", layer->layer_id, layer->diff_id);
	return sfd_layer_describe_locked(
		image->store, db, layer->layer_id, layer->diff_id, layer->info.size, ret, err);
}

static int open_layer(struct splitfd_image *image, size_t i, bool bytes_only,
	struct splitfd_source **ret, struct splitfd_error *err)
{
	struct sfd_layer_desc desc = { .tar_split_fd = -EBADF, .spool_dir = -EBADF };
	int r;

	if (i >= image->n_layers)
		return splitfd_error_set(err, SPLITFD_ERROR_NOT_FOUND, ENOENT,
			"the image %.12s has no layer %zu", image->id, i);
	r = open_locked(image, &image->layers[i], &desc, err);
	desc.bytes_only = bytes_only;
	return r < 0 ? r : sfd_layer_source_new(&desc, ret, err);
}

int splitfd_image_open_layer(struct splitfd_image *image, size_t i, struct splitfd_source **ret,
	struct splitfd_error *err)
{
	return open_layer(image, i, false, ret, err);
}

int sfd_image_open_layer_bytes(struct splitfd_image *image, size_t i, struct splitfd_source **ret,
	struct splitfd_error *err)
{
	return open_layer(image, i, true, ret, err);
}
