/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_CONTAINERS_STORAGE_IMAGE_MATCH_H
#define SPLITFD_CONTAINERS_STORAGE_IMAGE_MATCH_H

/*
 * The images of several stores, and those among them that fit a word.
 */

#include "transport/containers-storage/conf/short-names.h"
#include "transport/containers-storage/database.h"

/* The images of all stores in the order of search. */
struct sfd_image_db {
	struct sfd_image_list *lists;
	size_t n;
	const struct sfd_short_names *short_names; /* NULL: none are configured */
};

struct sfd_image_found {
	const struct sfd_image_record *image; /* borrowed from the list */
	size_t list;
	char digest[256]; /* the manifest's digest that the name asked for; "" */
};

/* Distinct images, in the order of search. Only the first few are kept; `n` counts on. */
#define SFD_MATCHES_KEPT 10
struct sfd_matches {
	struct sfd_image_found v[SFD_MATCHES_KEPT];
	size_t n;
};

/* Says whether an image fits; `word` is what it was given. */
typedef bool sfd_image_test(const struct sfd_image_record *image, const void *word);

/* Adds the images of list i that fit, leaving out those whose ID is in the primary list too (they
 * were pulled up and are named there) or among the matches. */
void sfd_matches_add(struct sfd_matches *m, const struct sfd_image_db *db, size_t i,
	sfd_image_test *test, const void *word);

sfd_image_test sfd_image_has_id, sfd_image_has_id_prefix, sfd_image_has_name;

/* `word` is a struct sfd_docker_ref: the image has its digest, and a name in its repository. */
sfd_image_test sfd_image_has_digest;

/* True where the image has some name in the repository (whatever tag or digest). */
bool sfd_image_in_repository(const struct sfd_image_record *image, const char *repository);

/* The USAGE error of several images that fit equally well; lists them. */
int sfd_lookup_ambiguous(const char *name, const struct sfd_matches *m, struct splitfd_error *err);

#endif
