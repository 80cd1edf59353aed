/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_CONTAINERS_STORAGE_IMAGE_REF_PRIVATE_H
#define SPLITFD_CONTAINERS_STORAGE_IMAGE_REF_PRIVATE_H

/*
 * What both look-ups share: walking the images of all stores.
 */

#include "transport/containers-storage/image-ref.h"

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

int sfd_lookup_podman(const struct sfd_image_db *db, const char *name, struct sfd_image_found *ret,
	struct splitfd_error *err);
int sfd_lookup_transport(const struct sfd_image_db *db, const char *name,
	struct sfd_image_found *ret, struct splitfd_error *err);

/* The USAGE error of several images that fit equally well; lists them. */
int sfd_lookup_ambiguous(const char *name, const struct sfd_matches *m, struct splitfd_error *err);

#endif
