/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_CONTAINERS_STORAGE_STORE_PRIVATE_H
#define SPLITFD_CONTAINERS_STORAGE_STORE_PRIVATE_H

/*
 * An opened store: its places, their locks and their records.
 *
 * A place is a directory with the store's layout: graphroot, the image store where images are kept
 * apart, and the additional, read-only stores. One descriptor each is open all the time.
 */

#include "splitfdstream/base/lock-wait.h"
#include "transport/containers-storage/database.h"
#include "transport/containers-storage/discover.h"
#include "transport/containers-storage/driver.h"
#include "transport/containers-storage/image-match.h"
#include "transport/containers-storage/opener.h"
#include "transport/containers-storage/store.h"

/* Graphroot, image store, and this many additional stores. */
#define SFD_ADDITIONAL_MAX 14
#define SFD_PLACES_MAX	   (2 + SFD_ADDITIONAL_MAX)

struct sfd_place {
	char *path;
	int fd; /* O_PATH; -EBADF where graphroot does not exist (additional stores only) */
};

/* Which image of a list: NULL is this machine's architecture, linux, any variant. */
struct sfd_platform {
	char *arch, *os, *variant;
};

struct splitfd_store {
	unsigned int refs; /* atomic; images and layer sources hold one each */
	struct sfd_store_config config;
	struct sfd_short_names short_names;
	struct sfd_platform platform;
	const struct sfd_driver *driver;
	struct sfd_place places[SFD_PLACES_MAX]; /* in the order in which layers are searched */
	size_t n_places;
	bool split;		   /* places[1] is the image store */
	struct sfd_opener *opener; /* NULL: there is none */
	/* Its cancel_fd is readable once nothing is waited for any more. */
	struct sfd_lock_options lock;
	int volatile_fd; /* O_PATH: what holds volatile-layers.json; -EBADF: nothing does */
	int spool_fd;	 /* where bytes are kept aside; -EBADF: $TMPDIR, when it comes to that */
};

struct splitfd_store *sfd_store_ref(struct splitfd_store *store);

/* What a layer of it has to keep aside (GNU sparse files) goes to files without a name below `dir`
 * from now on. 0 or -errno. */
int sfd_store_spool_in(struct splitfd_store *store, int dir);

/* "DRIVER-KIND/NAME" beneath a place: sfd_store_path(store, path, "images", "images.json"). */
#define SFD_STORE_PATH_MAX 256
void sfd_store_path(const struct splitfd_store *store, char path[SFD_STORE_PATH_MAX],
	const char *kind, const char *name);

/* Index into places of the i-th store in which images are searched: the image store first. */
size_t sfd_store_image_place(const struct splitfd_store *store, size_t i);

/* Descriptors of locks; _done unlocks. Starts as { 0 }. */
struct sfd_store_locks {
	int fds[2 * SFD_PLACES_MAX];
	size_t n;
};
void sfd_store_locks_done(struct sfd_store_locks *locks);

/* Take the shared layers locks, or images locks, of all places (see store-lock.h for the order). */
int sfd_store_lock_layers(
	struct splitfd_store *store, struct sfd_store_locks *locks, struct splitfd_error *err);
int sfd_store_lock_images(
	struct splitfd_store *store, struct sfd_store_locks *locks, struct splitfd_error *err);

/* The layers of all places, in the order of search; the first record of an ID counts. */
struct sfd_layer_db {
	struct sfd_layer_list lists[SFD_PLACES_MAX + 1];
	size_t n;
	size_t volatile_list; /* index of the volatile list; SIZE_MAX: none */
};

/* Read all records; the caller holds the locks. The databases start as { 0 } and are emptied by
 * _done, also after an error. */
int sfd_store_read_layers(
	struct splitfd_store *store, struct sfd_layer_db *db, struct splitfd_error *err);
int sfd_store_read_images(
	struct splitfd_store *store, struct sfd_image_db *db, struct splitfd_error *err);
void sfd_layer_db_done(struct sfd_layer_db *db);
void sfd_image_db_done(struct sfd_image_db *db);

/* The record and, in *ret_place, the place whose list has it; NULL where there is none. */
const struct sfd_layer_record *sfd_layer_db_find(
	const struct sfd_layer_db *db, const char *id, size_t *ret_place);

/* True where no file changed since the database was read; the caller holds the locks. */
bool sfd_layer_db_fresh(struct splitfd_store *store, const struct sfd_layer_db *db);

#endif
