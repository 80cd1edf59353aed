/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_TAGS_H
#define SPLITFD_COMPOSEFS_TAGS_H

/*
 * Tags: streams/refs/oci/ENCODED -> ../../oci-manifest-sha256:…, and referrers:
 * streams/refs/oci-referrers/SUBJECT/ARTIFACT. In a name '%' is written %25 and '/' %2F, nothing
 * else is changed.
 */

#include "transport/composefs/repository.h"

#define SFD_TAGS_DIR	  "streams/refs/oci"
#define SFD_MANIFEST_NAME "oci-manifest-"

/* Refuses what cannot be a tag: empty, with a leading '@', too long for a file name. *ret is the
 * tag's name in the repository ("streams/refs/oci/…"), the caller's. */
int sfd_tag_name(const char *tag, char **ret, struct splitfd_error *err);

/* The tag of a file name below streams/refs/oci; NULL when memory is short. The caller's. */
char *sfd_tag_decode(const char *encoded);

/* A tag, or "@" and a manifest's digest, as a manifest's digest ("sha256:…"; the caller's). Does
 * not look whether the manifest is there. NOT_FOUND where there is no such tag. */
int sfd_tag_resolve(struct splitfd_repository *repository, const char *name, char **ret,
	struct splitfd_error *err);

/* Removes the link `name`, from sfd_tag_name(), for good. 1; 0 where there is no such tag. */
int sfd_tag_remove(
	struct splitfd_repository *repository, const char *name, struct splitfd_error *err);

struct sfd_tag {
	char *name;
	char *manifest; /* digest; NULL where the link does not point at a manifest */
};

/* All tags, sorted by name; none where there is no such folder. *ret is for sfd_tags_free. */
int sfd_tags_list(struct splitfd_repository *repository, struct sfd_tag **ret, size_t *ret_n,
	struct splitfd_error *err);

/* The artifacts that refer to a manifest, sorted: name and manifest are the artifact's digest.
 * Those whose manifest is not stored are left out. */
int sfd_referrers_list(struct splitfd_repository *repository, const char *manifest,
	struct sfd_tag **ret, size_t *ret_n, struct splitfd_error *err);

void sfd_tags_free(struct sfd_tag *tags, size_t n);

#endif
