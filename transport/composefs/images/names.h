/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_NAMES_H
#define SPLITFD_COMPOSEFS_NAMES_H

/*
 * Names of a repository: the symlinks in streams/ and images/ that make objects visible. They are
 * collected in the order in which they must appear, and committed together: the objects are written
 * to the disk and get their names (object-store.h); a syncfs(2), so that no name in streams/ points
 * at one that a power cut can take away; then these names, in order; then another syncfs, so that
 * "done" is durable. Whoever makes many objects notifies sync-ahead.h, so that little is left to
 * write.
 *
 * Links are relative, as cfsctl makes them: streams/NAME -> ../objects/xx/yyyy,
 * streams/refs/oci/TAG -> ../../NAME. One thread at a time.
 */

#include "transport/composefs/link.h"
#include "transport/composefs/repository.h"

/* In the order in which they are made. */
enum sfd_name_policy {
	/* A name that is there is kept: layers are not repointed, because configs and manifests
	 * refer to them by digest and cfsctl's gc follows these digests by name only. */
	SFD_NAME_ADOPT,
	/* Replaced atomically, before a layer that is repaired: what refers to it. */
	SFD_NAME_REALIGN,
	/* Replaced: a layer's name that leads to a stream with a hole. */
	SFD_NAME_REPAIR,
	/* Replaced. */
	SFD_NAME_REPLACE,
};

struct sfd_names;

/* NULL when memory is short. `repository` must live longer. */
struct sfd_names *sfd_names_new(struct splitfd_repository *repository);
/* Drops what was not committed, and takes back the names of a commit that failed. NULL is allowed.
 * Returns NULL. */
struct sfd_names *sfd_names_free(struct sfd_names *names);

/* What is told of the objects that the names will lead to. Belongs to `names`; any thread. */
struct sfd_sync_ahead *sfd_names_sync_ahead(struct sfd_names *names);

/* Adds `name` ("streams/oci-layer-sha256:…", "images/HEX") for the object `digest`. Missing
 * directories on the way are made at commit. A name that was added already, with the same policy,
 * gets the new digest. Returns its index, or -errno. */
int sfd_names_add_object(struct sfd_names *names, const char *name,
	const struct splitfd_digest *digest, enum sfd_name_policy policy,
	struct splitfd_error *err);

/* Name i is a layer's whose sha256 was checked: another stream that has its name is adopted only if
 * its content is that layer, and else counts as damaged. */
void sfd_names_adopt_proven(struct sfd_names *names, size_t i);

/* Adds a reference ("streams/refs/oci/TAG") to a name of the same top directory
 * ("streams/oci-manifest-…"); always REPLACE. Returns its index, or -errno. */
int sfd_names_add_ref(
	struct sfd_names *names, const char *name, const char *target, struct splitfd_error *err);

/* Looks which ADOPT names are there already. One that leads to a whole layer is adopted: its digest
 * is that of the layer. One that leads to a damaged layer becomes a REPAIR name. */
int sfd_names_settle(struct sfd_names *names, struct splitfd_error *err);

/* A name that was added, number i below sfd_names_count: its text (borrowed), its policy. NULL for
 * a reference. */
const char *sfd_names_get(
	const struct sfd_names *names, size_t i, enum sfd_name_policy *ret_policy);

/* Forgets the names that were added from index `n` on (a caller that has to rebuild them). */
void sfd_names_truncate(struct sfd_names *names, size_t n);
size_t sfd_names_count(const struct sfd_names *names);

/* The index of an object's name that was added, -ENOENT where it was not. */
int sfd_names_find(const struct sfd_names *names, const char *name);

/* The digest that name i has now: the one that was added or, after a commit, the one adopted. */
void sfd_names_digest(const struct sfd_names *names, size_t i, struct splitfd_digest *ret);

/* All directories, then the names, policy by policy, each in their order.
 * 0: all are there, durable. 1: a name was adopted whose digest is not the one that was added, and
 * the list has names to be replaced: none of these were made, because they may refer to the digest
 * that lost; the caller looks at sfd_names_digest, builds them anew and commits again. (With ADOPT
 * names only, 0 is returned also then.) -errno: the names made so far are taken back, unless
 * somebody else has changed them meanwhile; objects stay. May be called again at any time; names
 * that are there are not made again. */
int sfd_names_commit(struct sfd_names *names, struct splitfd_error *err);

#endif
