/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_NAMES_H
#define SPLITFD_COMPOSEFS_NAMES_H

/*
 * Names of a repository: the symlinks in streams/ and images/ that make objects visible. They are
 * collected in the order in which they must appear, and committed together: one syncfs(2) of the
 * repository, so that no name ever points at bytes that a crash can lose; then the names, in order;
 * then fsync(2) of the directories touched, so that "done" is durable. Who makes many objects tells
 * sync-ahead.h of them, so that little is left for the syncfs.
 *
 * Links are relative, as cfsctl makes them: streams/NAME -> ../objects/xx/yyyy,
 * streams/refs/oci/TAG -> ../../NAME. One thread at a time.
 */

#include "transport/composefs/link.h"
#include "transport/composefs/repository.h"

enum sfd_name_policy {
	/* A name that is there is kept, whatever it points at: layers are never repointed, because
	 * configs and manifests refer to them by digest and cfsctl's gc follows these digests by
	 * name only. (A name whose object is missing is no name: it is replaced.) */
	SFD_NAME_ADOPT,
	/* Replaced atomically: a temporary symlink in the repository, then rename. */
	SFD_NAME_REPLACE,
};

struct sfd_names;

/* NULL when memory is short. `repository` must live longer. */
struct sfd_names *sfd_names_new(struct splitfd_repository *repository);
/* Drops what was not committed. NULL is allowed. Returns NULL. */
struct sfd_names *sfd_names_free(struct sfd_names *names);

/* What is told of the objects that the names will lead to. Belongs to `names`; any thread. */
struct sfd_sync_ahead *sfd_names_sync_ahead(struct sfd_names *names);

/* Adds `name` ("streams/oci-layer-sha256:…", "images/HEX") for the object `digest`. Missing
 * directories on the way are made at commit. A name that was added already, with the same policy,
 * gets the new digest. Returns its index, or -errno. */
int sfd_names_add_object(struct sfd_names *names, const char *name,
	const struct splitfd_digest *digest, enum sfd_name_policy policy,
	struct splitfd_error *err);

/* Adds a reference ("streams/refs/oci/TAG") to a name of the same top directory
 * ("streams/oci-manifest-…"); always REPLACE. Returns its index, or -errno. */
int sfd_names_add_ref(
	struct sfd_names *names, const char *name, const char *target, struct splitfd_error *err);

/* Forgets the names that were added from index `n` on (a caller that has to rebuild them). */
void sfd_names_truncate(struct sfd_names *names, size_t n);
size_t sfd_names_count(const struct sfd_names *names);

/* The index of an object's name that was added, -ENOENT where it was not. */
int sfd_names_find(const struct sfd_names *names, const char *name);

/* The digest that name i has now: the one that was added or, after a commit, the one adopted. */
void sfd_names_digest(const struct sfd_names *names, size_t i, struct splitfd_digest *ret);

/* All directories, then all ADOPT names in their order, then all REPLACE names in theirs.
 * 0: all are there, durable. 1: a name was adopted whose digest is not the one that was added, and
 * the list has REPLACE names: none of these were made, because they may refer to the digest that
 * lost; the caller looks at sfd_names_digest, builds them anew and commits again. (With ADOPT names
 * only, 0 is returned also then.) -errno: the names made so far stay. They are right by themselves,
 * a layer's whole and durable; and whoever sees one may refer to it at once, so taking it away
 * again could break another pull. Without a tag, gc takes them. May be called again at any time;
 * names that are there are not made again. */
int sfd_names_commit(struct sfd_names *names, struct splitfd_error *err);

#endif
