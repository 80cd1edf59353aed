/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_LINK_H
#define SPLITFD_COMPOSEFS_LINK_H

/*
 * One symlink of a repository at a time, for names.c: its target, making it, replacing it, reading
 * it. A name is relative to the repository: "streams/…" or "images/…", no "." or ".." in it.
 */

#include "transport/composefs/repository.h"

#include <limits.h>
#include <stdbool.h>

#define SFD_LINK_TARGET_MAX PATH_MAX

/* What a link was before this maker made it. */
struct sfd_link_undo {
	char *name;
	char *made;   /* its target now */
	char *before; /* its target before; NULL: it was not there */
};

/* Makes links, and can take them back. Starts as { .repository = … }. */
struct sfd_link_maker {
	struct splitfd_repository *repository; /* borrowed */
	struct sfd_link_undo *undo;
	size_t n_undo;
};

/* Refuses what is no such name. */
int sfd_link_check_name(const char *name, struct splitfd_error *err);

/* The target of link `name` for an object, or for another name below the same top directory. */
int sfd_link_target_object(const char *name, const struct splitfd_digest *digest,
	char target[SFD_LINK_TARGET_MAX], struct splitfd_error *err);
int sfd_link_target_name(const char *name, const char *to, char target[SFD_LINK_TARGET_MAX],
	struct splitfd_error *err);

/* Makes the directories of a link. */
int sfd_link_make_dirs(struct sfd_link_maker *maker, const char *name, struct splitfd_error *err);
/* Makes the link and its directories. -EEXIST without a text where the name is taken. */
int sfd_link_create(struct sfd_link_maker *maker, const char *name, const char *target,
	struct splitfd_error *err);
/* Makes the link or replaces what is there; nothing is written where it has that target. */
int sfd_link_replace(struct sfd_link_maker *maker, const char *name, const char *target,
	struct splitfd_error *err);
/* Whether the link is there with that target. */
bool sfd_link_is(struct splitfd_repository *repository, const char *name, const char *target);
/* Takes back what was made, the last first, as far as nobody else has changed it meanwhile. */
void sfd_link_maker_undo(struct sfd_link_maker *maker);
void sfd_link_maker_done(struct sfd_link_maker *maker);

/* Where `name` is a link to an object: 1 and its digest; 0 where there is no such name. -errno with
 * kind REFUSED where it is something else (no symlink, or no object's path). */
int sfd_name_read(struct splitfd_repository *repository, const char *name,
	struct splitfd_digest *ret, struct splitfd_error *err);

/* The same for who writes that name next: what a disk lost (EIO), or is no link to an object,
 * counts as "no such name", for sfd_link_replace() puts the right link there. */
int sfd_name_find(struct splitfd_repository *repository, const char *name,
	struct splitfd_digest *ret, struct splitfd_error *err);

/* As sfd_name_read() of a reference ("streams/refs/…"), which points at a name of its top
 * directory. */
int sfd_ref_read(struct splitfd_repository *repository, const char *ref, struct splitfd_digest *ret,
	struct splitfd_error *err);

#endif
