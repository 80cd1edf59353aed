/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_CONTAINERS_STORAGE_DATABASE_H
#define SPLITFD_CONTAINERS_STORAGE_DATABASE_H

/*
 * The records of a store: images.json, layers.json, volatile-layers.json, each one JSON array,
 * replaced by rename, so that an open file is a whole snapshot. Sizes, types and IDs are checked
 * here. A record that is not right is left out, and noted: it spoils nothing but itself.
 */

#include "splitfdstream/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

struct cJSON;

/* The file that a list was read from, so that a second look can tell whether it changed. */
struct sfd_file_stamp {
	bool exists;
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime, ctime;
};

/* Strings are borrowed from the list. */
struct sfd_image_record {
	const char *id;	    /* 64 hex digits */
	const char *digest; /* may be NULL */
	const char *layer;  /* the top layer's ID; NULL: none */
	const char *created;
	const char *const *names;	      /* NULL-terminated */
	const struct cJSON *big_data_digests; /* an object of strings, or NULL */
	const char *unknown; /* a member or flag that this release does not know; NULL */
};

struct sfd_layer_record {
	const char *id;		 /* 64 hex digits */
	const char *parent;	 /* NULL: a base layer */
	const char *diff_digest; /* of the uncompressed tar; NULL where not known */
	const char *toc_digest;
	const char *expected_diff_id; /* only claimed, by a partial pull; NULL */
	uint64_t diff_size;	      /* 0 where absent */
	bool incomplete;
	const char *unknown; /* a member or flag that this release does not know; NULL */
};

/* Records that were left out: how many, and what is wrong with the first. */
struct sfd_odd_records {
	size_t n;
	char first[256];
};

struct sfd_image_list {
	struct sfd_image_record *v;
	size_t n;
	struct sfd_odd_records odd;
	struct cJSON *json;
};

struct sfd_layer_list {
	struct sfd_layer_record *v;
	size_t n;
	struct sfd_odd_records odd;
	struct sfd_layer_record **by_id; /* sorted; the first of equal IDs is the one that counts */
	struct cJSON *json;
	struct sfd_file_stamp stamp;
};

/* Read the list of the file `path` beneath dirfd. A missing or empty file is an empty list. `where`
 * names the store in errors (kind REFUSED for what is malformed). *list starts as { 0 } and is
 * emptied by _done also after an error. */
int sfd_image_list_read(struct sfd_image_list *list, int dirfd, const char *path, const char *where,
	struct splitfd_error *err);
int sfd_layer_list_read(struct sfd_layer_list *list, int dirfd, const char *path, const char *where,
	struct splitfd_error *err);
void sfd_image_list_done(struct sfd_image_list *list);
void sfd_layer_list_done(struct sfd_layer_list *list);

/* Adds to the text of an error that something was not found, where records were left out: it may be
 * in one of them. Returns r. */
int sfd_odd_records_note(const struct sfd_odd_records *odd, int r, struct splitfd_error *err);

/* NULL where there is none. */
const struct sfd_image_record *sfd_image_list_find(
	const struct sfd_image_list *list, const char *id);
const struct sfd_layer_record *sfd_layer_list_find(
	const struct sfd_layer_list *list, const char *id);

/* Bytes of the layer's tar, whose digest is diff_id (may be NULL); UINT64_MAX where that is not
 * recorded: a size of 0 is left out of the record, and so is an unknown one. */
uint64_t sfd_layer_record_size(const struct sfd_layer_record *layer, const char *diff_id);

/* True where the file is still the one that the stamp was taken of. */
bool sfd_file_stamp_same(const struct sfd_file_stamp *stamp, int dirfd, const char *path);

/* The digest of a big-data key as the image's record has it; NULL. */
const char *sfd_image_big_data_digest(const struct sfd_image_record *image, const char *key);

#endif
