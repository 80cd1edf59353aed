/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/containers-storage/layer-lookup.h"
#include "splitfdstream/base/cleanup.h"
#include "transport/containers-storage/image-private.h"

#include <string.h>

static const char *diff_id_of(const struct sfd_layer_record *record)
{
	return record->diff_digest != NULL ? record->diff_digest : record->expected_diff_id;
}

static bool matches(
	const struct sfd_layer_record *record, enum sfd_layer_key key, const char *value)
{
	const char *have = key == SFD_LAYER_BY_ID ? record->id : diff_id_of(record);

	return have != NULL && !record->incomplete && strcmp(have, value) == 0;
}

/* Calls `found` for each record that fits, in the order of search, until it returns >= 0, which is
 * returned; -ENOENT where there is none, else the last one's error. */
static int each_match(const struct sfd_layer_db *db, enum sfd_layer_key key, const char *value,
	int (*found)(void *ctx, const struct sfd_layer_record *record), void *ctx)
{
	int r = -ENOENT;

	for (size_t i = 0; i < db->n; i++) {
		for (size_t k = 0; k < db->lists[i].n; k++) {
			const struct sfd_layer_record *record = &db->lists[i].v[k];
			size_t place;

			/* Of equal IDs the first counts. */
			if (!matches(record, key, value) ||
				sfd_layer_db_find(db, record->id, &place) != record)
				continue;
			r = found(ctx, record);
			if (r >= 0)
				return r;
		}
	}
	return r;
}

struct opening {
	struct splitfd_store *store;
	const struct sfd_layer_db *db;
	struct sfd_layer_desc *ret;
	struct splitfd_error *err;
};

static int open_record(void *ctx, const struct sfd_layer_record *record)
{
	struct opening *o = ctx;
	const char *diff_id = diff_id_of(record);

	return sfd_layer_describe_locked(o->store, o->db, record->id, diff_id,
		sfd_layer_record_size(record, diff_id), o->ret, o->err);
}

static int is_there(void *ctx, const struct sfd_layer_record *record)
{
	(void)ctx;
	(void)record;
	return 1;
}

int sfd_store_has_layer(struct splitfd_store *store, enum sfd_layer_key key, const char *value,
	struct splitfd_error *err)
{
	sfd_cleanup(sfd_store_locks_done) struct sfd_store_locks locks = { 0 };
	sfd_cleanup(sfd_layer_db_done) struct sfd_layer_db db = { .n = 0 };
	int r = sfd_store_lock_layers(store, &locks, err);

	if (r >= 0)
		r = sfd_store_read_layers(store, &db, err);
	if (r < 0)
		return r;
	return each_match(&db, key, value, is_there, NULL) > 0;
}

int sfd_store_open_layer(struct splitfd_store *store, enum sfd_layer_key key, const char *value,
	struct splitfd_source **ret, struct splitfd_error *err)
{
	sfd_cleanup(sfd_store_locks_done) struct sfd_store_locks locks = { 0 };
	sfd_cleanup(sfd_layer_db_done) struct sfd_layer_db db = { .n = 0 };
	struct sfd_layer_desc desc = { .tar_split_fd = -EBADF, .spool_dir = -EBADF };
	struct opening opening = { store, &db, &desc, err };
	int r = sfd_store_lock_layers(store, &locks, err);

	if (r >= 0)
		r = sfd_store_read_layers(store, &db, err);
	if (r < 0)
		return r;
	splitfd_error_set(err, SPLITFD_ERROR_NOT_FOUND, ENOENT, "the store %s has no layer %s",
		splitfd_store_graphroot(store), value);
	r = each_match(&db, key, value, open_record, &opening);
	/* A table of contents takes its time. */
	sfd_store_locks_done(&locks);
	return r < 0 ? r : sfd_layer_source_new(&desc, ret, err);
}

int sfd_store_layer_parent(
	struct splitfd_store *store, const char *id, char ret[65], struct splitfd_error *err)
{
	sfd_cleanup(sfd_store_locks_done) struct sfd_store_locks locks = { 0 };
	sfd_cleanup(sfd_layer_db_done) struct sfd_layer_db db = { .n = 0 };
	const struct sfd_layer_record *record;
	size_t place;
	int r = sfd_store_lock_layers(store, &locks, err);

	if (r >= 0)
		r = sfd_store_read_layers(store, &db, err);
	if (r < 0)
		return r;
	record = sfd_layer_db_find(&db, id, &place);
	if (record == NULL)
		return splitfd_error_set(err, SPLITFD_ERROR_NOT_FOUND, ENOENT,
			"the store %s has no layer %s", splitfd_store_graphroot(store), id);
	(void)snprintf(ret, 65, "%s", record->parent != NULL ? record->parent : "");
	return 0;
}

bool sfd_store_layer_removed(struct splitfd_store *store, const char *id)
{
	sfd_cleanup(sfd_layer_db_done) struct sfd_layer_db db = { .n = 0 };
	const struct sfd_layer_record *record;
	size_t place;

	if (sfd_store_read_layers(store, &db, NULL) < 0)
		return false;
	record = sfd_layer_db_find(&db, id, &place);
	return record == NULL || record->incomplete;
}
