/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_STAGING_H
#define SPLITFD_COMPOSEFS_STAGING_H

/*
 * Objects that have no name yet. A name in objects/ promises content, also after a power cut; so
 * objects are made in a directory of this process's own, `.splitfd-staging-LETTERS` of the
 * repository, are written to the disk together by one syncfs(2), and are renamed into objects/ only
 * then: a whole directory at once where objects/xx is new, else file by file.
 *
 * The directory is locked by flock(2) while its process lives. What a killed process left is
 * removed by the next one that opens the repository for writing. cfsctl ignores such directories.
 *
 * Objects are collected in a batch (a subdirectory), which holds xx/rest for each; publishing takes
 * a whole batch, and new objects go into the next one meanwhile. All calls may come from several
 * threads.
 */

#include "splitfdstream/base/cleanup.h"
#include "transport/composefs/repository.h"

#include <stdbool.h>

struct sfd_staging;

/* One object in the making. */
struct sfd_staged {
	int fd;			     /* O_RDWR, until it is committed */
	struct sfd_staging *staging; /* borrowed; NULL: there is none */
	struct sfd_batch *batch;     /* where it is, once its digest is known */
	struct sfd_staged *next;     /* in the list of those in the making */
	struct splitfd_digest digest;
	uint64_t number; /* of its name, while its digest is not known */
	bool has_digest;
};

#define SFD_STAGED_INIT ((struct sfd_staged){ .fd = -EBADF })

/* Makes the directory. `repository` is borrowed and must live longer. *ret is the caller's. */
int sfd_staging_new(
	struct splitfd_repository *repository, struct sfd_staging **ret, struct splitfd_error *err);
/* Drops what was not published and removes the directory. NULL is allowed. Returns NULL. */
struct sfd_staging *sfd_staging_free(struct sfd_staging *staging);

/* The directory itself, for temporary names of other kinds; it stays the staging's. */
int sfd_staging_fd(const struct sfd_staging *staging);

/* Starts a file of mode 0644. `digest` NULL: it is not known yet. 0; 1 where the object of that
 * digest is in the batch already (nothing is started): another thread that is making it is waited
 * for. */
int sfd_staging_begin(struct sfd_staging *staging, const struct splitfd_digest *digest,
	struct sfd_staged *ret, struct splitfd_error *err);
/* The file is whole, and nobody writes it any more. 0; 1 where another one was there (this one is
 * dropped). The object can be used only by its own process until it is published. */
int sfd_staging_commit(struct sfd_staging *staging, const struct splitfd_digest *digest,
	struct sfd_staged *staged, struct splitfd_error *err);
/* Closes it; removes the file where it was not committed. */
void sfd_staged_done(struct sfd_staged *staged);

/* Opens an object ("xx/rest") that is not published yet, or is being published: the descriptor, or
 * -ENOENT, or another -errno without a text. */
int sfd_staging_open(struct sfd_staging *staging, const char *path);

/* Writes all objects that were committed to the disk and gives them their names. 0: nothing was to
 * be done; 1: names were made, which need a syncfs to be durable. After a failure of the disk, what
 * was staged is dropped, and every further call fails: the kernel reports a lost write only once.
 */
int sfd_staging_publish(struct sfd_staging *staging, struct splitfd_error *err);

/* Removes what processes that live no more have left in the repository. Errors are not reported: it
 * is tried again next time. */
void sfd_staging_clean(struct splitfd_repository *repository);

#define sfd_cleanup_staged sfd_cleanup(sfd_staged_done)

#endif
