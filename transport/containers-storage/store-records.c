/* SPDX-License-Identifier: Apache-2.0 */
/* The store's records of layers and images, from all its places, and their locks. */
#include "transport/containers-storage/store-private.h"

#include "splitfdstream/base/cleanup.h"
#include "transport/containers-storage/store-lock.h"

void sfd_store_locks_done(struct sfd_store_locks *locks)
{
	while (locks->n > 0)
		sfd_close(locks->fds[--locks->n]);
}

static int lock_place(struct splitfd_store *store, const struct sfd_place *place, const char *kind,
	const char *name, struct sfd_store_locks *locks, struct splitfd_error *err)
{
	char path[SFD_STORE_PATH_MAX];
	int fd;

	if (place->fd < 0)
		return 0;
	sfd_store_path(store, path, kind, name);
	fd = sfd_store_lock_shared(place->fd, path, place->path, &store->lock, err);
	if (fd == -ENOENT || fd == -ENOTDIR) {
		splitfd_error_clear(err);
		return 0;
	}
	if (fd < 0)
		return fd;
	locks->fds[locks->n++] = fd;
	return 0;
}

int sfd_store_lock_layers(
	struct splitfd_store *store, struct sfd_store_locks *locks, struct splitfd_error *err)
{
	int r = 0;

	for (size_t i = 0; i < store->n_places && r >= 0; i++)
		r = lock_place(store, &store->places[i], "layers", "layers.lock", locks, err);
	return r;
}

int sfd_store_lock_images(
	struct splitfd_store *store, struct sfd_store_locks *locks, struct splitfd_error *err)
{
	int r = 0;

	for (size_t i = 0; i < store->n_places && r >= 0; i++)
		r = lock_place(store, &store->places[sfd_store_image_place(store, i)], "images",
			"images.lock", locks, err);
	return r;
}

/* List i of the database: its directory and its file's name. False where there is none. */
static bool layer_file(struct splitfd_store *store, size_t i, int *ret_dirfd, const char **ret_name)
{
	if (i < store->n_places) {
		*ret_dirfd = store->places[i].fd;
		*ret_name = "layers.json";
	} else {
		*ret_dirfd = store->volatile_fd;
		*ret_name = "volatile-layers.json";
	}
	return *ret_dirfd >= 0;
}

int sfd_store_read_layers(
	struct splitfd_store *store, struct sfd_layer_db *db, struct splitfd_error *err)
{
	int r = 0;

	/* The volatile list comes last: an ID in two lists would be a container's. */
	db->n = store->n_places + 1;
	db->volatile_list = store->n_places;
	for (size_t i = 0; i < db->n && r >= 0; i++) {
		const char *where = i < store->n_places ? store->places[i].path
							: store->config.root;
		char path[SFD_STORE_PATH_MAX];
		const char *name;
		int dirfd;

		if (!layer_file(store, i, &dirfd, &name))
			continue;
		sfd_store_path(store, path, "layers", name);
		r = sfd_layer_list_read(&db->lists[i], dirfd, path, where, err);
	}
	return r;
}

bool sfd_layer_db_fresh(struct splitfd_store *store, const struct sfd_layer_db *db)
{
	for (size_t i = 0; i < db->n; i++) {
		char path[SFD_STORE_PATH_MAX];
		const char *name;
		int dirfd;

		if (!layer_file(store, i, &dirfd, &name))
			continue;
		sfd_store_path(store, path, "layers", name);
		if (!sfd_file_stamp_same(&db->lists[i].stamp, dirfd, path))
			return false;
	}
	return true;
}

void sfd_layer_db_done(struct sfd_layer_db *db)
{
	for (size_t i = 0; i < db->n; i++)
		sfd_layer_list_done(&db->lists[i]);
	db->n = 0;
}

const struct sfd_layer_record *sfd_layer_db_find(
	const struct sfd_layer_db *db, const char *id, size_t *ret_place)
{
	for (size_t i = 0; i < db->n; i++) {
		const struct sfd_layer_record *record = sfd_layer_list_find(&db->lists[i], id);

		if (record != NULL) {
			*ret_place = i == db->volatile_list ? 0 : i;
			return record;
		}
	}
	return NULL;
}

int sfd_store_read_images(
	struct splitfd_store *store, struct sfd_image_db *db, struct splitfd_error *err)
{
	char path[SFD_STORE_PATH_MAX];
	int r = 0;

	db->lists = calloc(store->n_places, sizeof(*db->lists));
	if (db->lists == NULL)
		return splitfd_error_oom(err);
	db->n = store->n_places;
	db->short_names = &store->short_names;
	sfd_store_path(store, path, "images", "images.json");
	for (size_t i = 0; i < db->n && r >= 0; i++) {
		const struct sfd_place *place = &store->places[sfd_store_image_place(store, i)];

		if (place->fd >= 0)
			r = sfd_image_list_read(&db->lists[i], place->fd, path, place->path, err);
	}
	return r;
}

void sfd_image_db_done(struct sfd_image_db *db)
{
	for (size_t i = 0; i < db->n; i++)
		sfd_image_list_done(&db->lists[i]);
	free(db->lists);
	*db = (struct sfd_image_db){ 0 };
}

static int list_of(const struct sfd_image_db *db, size_t i,
	int (*row)(void *ctx, const struct splitfd_image_row *row), void *ctx)
{
	for (size_t k = 0; k < db->lists[i].n; k++) {
		const struct sfd_image_record *image = &db->lists[i].v[k];
		const struct splitfd_image_row line = { .id = image->id,
			.digest = image->digest,
			.names = image->names,
			.created = image->created,
			.layer = image->layer };
		bool seen = false;
		int r;

		for (size_t j = 0; j < i && !seen; j++)
			seen = sfd_image_list_find(&db->lists[j], image->id) != NULL;
		if (seen)
			continue;
		r = row(ctx, &line);
		if (r != 0)
			return r;
	}
	return 0;
}

int splitfd_store_list_images(struct splitfd_store *store,
	int (*row)(void *ctx, const struct splitfd_image_row *row), void *ctx,
	struct splitfd_error *err)
{
	sfd_cleanup(sfd_image_db_done) struct sfd_image_db db = { 0 };
	struct sfd_store_locks locks = { 0 };
	int r = sfd_store_lock_images(store, &locks, err);

	if (r >= 0)
		r = sfd_store_read_images(store, &db, err);
	sfd_store_locks_done(&locks);
	/* The rows may take their time: no lock is held meanwhile. */
	for (size_t i = 0; i < db.n && r == 0; i++)
		r = list_of(&db, i, row, ctx);
	return r;
}
