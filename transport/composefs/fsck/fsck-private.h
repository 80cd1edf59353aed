/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_FSCK_PRIVATE_H
#define SPLITFD_COMPOSEFS_FSCK_PRIVATE_H

/* The parts of fsck. All return 0 or -errno for what keeps the check itself from going on; what is
 * wrong with the repository goes into the report. */

#include "transport/composefs/fsck/fsck.h"

#include <pthread.h>

struct sfd_fsck {
	struct splitfd_repository *repository;
	const struct sfd_fsck_options *options;
	struct sfd_fsck_report *report;
	pthread_mutex_t lock; /* of the report, while threads work */
};

/* fsck-report.c: what the checks share. Adds an error. -ENOMEM. */
int sfd_fsck_add(struct sfd_fsck *f, struct sfd_fsck_texts *texts, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Adds n to a counter of the report. */
void sfd_fsck_count(struct sfd_fsck *f, uint64_t *counter, uint64_t n);
/* Sorts the texts from `first` on. */
void sfd_fsck_sort(struct sfd_fsck_texts *texts, size_t first);
/* -ECANCELED where the caller wants an end. */
int sfd_fsck_cancelled(const struct sfd_fsck *f, struct splitfd_error *err);

/* Calls work(f, ctx, i) for each i below n from several threads; ends early at the first error. */
int sfd_fsck_spread(struct sfd_fsck *f, size_t n,
	int (*work)(struct sfd_fsck *f, void *ctx, size_t i, struct splitfd_error *err), void *ctx,
	struct splitfd_error *err);

/* Why a regular file could not be opened, with `errnum`; `dir`, `name`, `flags` as of fstatat(). A
 * file that lost its fs-verity data on a disk, whose name was written before it, cannot be opened
 * either: EINVAL. */
const char *sfd_fsck_open_reason(int dir, const char *name, int flags, int errnum);

/* The object is there, as a regular file. */
bool sfd_fsck_has_object(struct sfd_fsck *f, const struct splitfd_digest *digest);

/* What is wrong with a name, for the -errno of opening it. */
const char *sfd_fsck_reason(int r);

/* fsck-objects.c: objects/ */
int sfd_fsck_objects(struct sfd_fsck *f, struct splitfd_error *err);

/* fsck-names.c: streams/ or images/ with their refs/ */
int sfd_fsck_names(struct sfd_fsck *f, const char *category, struct splitfd_error *err);

/* fsck-streams.c: what a name in streams/ points at; fd is taken. Then the layers' bytes. */
int sfd_fsck_stream(struct sfd_fsck *f, const char *name, int fd);
int sfd_fsck_layers(struct sfd_fsck *f, struct splitfd_error *err);

/* fsck-image.c: what a name in images/ points at; fd is taken. */
int sfd_fsck_image(struct sfd_fsck *f, const char *name, int fd);

/* fsck-oci.c: tagged images */
int sfd_fsck_oci(struct sfd_fsck *f, struct splitfd_error *err);

#endif
