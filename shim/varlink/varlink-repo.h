/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_VARLINK_REPO_H
#define SPLITFD_SHIM_VARLINK_REPO_H

/*
 * The methods of a composefs repository's service, by file: varlink-repo.c (the table,
 * and handles), varlink-repo-open.c (what they share),
 * varlink-repo-layers.c, varlink-repo-images.c, varlink-repo-finalize.c, varlink-repo-check.c,
 * varlink-repo-pull.c, varlink-repo-refs.c.
 */

#include "shim/varlink/varlink-session.h"

/* Opens the repository that is served, for writing where `write`: 1; 0 where the result says why
 * not. */
int sfd_varlink_repo_open(struct sfd_varlink_session *s, bool write,
	struct sfd_varlink_result *result, struct splitfd_error *err);

/* The repository behind `handle`, open: for writing where `write`. 1; 0 where the result says why
 * not (InvalidHandle, RepoNotFound). It stays the session's. */
int sfd_varlink_repo(struct sfd_varlink_session *s, const cJSON *handle, bool write,
	struct sfd_varlink_result *result, struct splitfd_error *err);

/* The same, for reading, for a method of org.composefs.Repository: errors are of that interface. */
int sfd_varlink_repo_itself(struct sfd_varlink_session *s, const cJSON *handle,
	struct sfd_varlink_result *result, struct splitfd_error *err);

/* Adds the digest as hex. */
bool sfd_varlink_add_digest(cJSON *object, const char *key, const struct splitfd_digest *digest);

sfd_varlink_method sfd_varlink_repo_has_layer;
sfd_varlink_method sfd_varlink_repo_get_layer;
sfd_varlink_method sfd_varlink_repo_put_layer;
sfd_varlink_method sfd_varlink_repo_list_images;
sfd_varlink_method sfd_varlink_repo_inspect;
sfd_varlink_method sfd_varlink_repo_tag;
sfd_varlink_method sfd_varlink_repo_untag;
sfd_varlink_method sfd_varlink_repo_compute_id;
sfd_varlink_method sfd_varlink_repo_finalize;
sfd_varlink_method sfd_varlink_repo_check;
sfd_varlink_method sfd_varlink_repo_fsck;
sfd_varlink_method sfd_varlink_repo_pull;
sfd_varlink_method sfd_varlink_repo_image_objects;
sfd_varlink_method sfd_varlink_repo_list_image_refs;

#endif
