/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_FSCK_H
#define SPLITFD_COMPOSEFS_FSCK_H

/*
 * Is everything in a repository what it should be? Finds what `cfsctl fsck` and `cfsctl oci fsck`
 * find, in the same words, and also:
 *
 *	layer-content-mismatch	a layer's bytes are not those that its diff_id names, or not as many
 *				as its header says
 *	stream-read-failed	chunks that cannot be read to their end
 *	layer-ref-stale		a config or manifest refers to another stream than its layer's name
 *				does: cfsctl's gc would delete the layer's objects
 *	image-name-mismatch	a name in images/ that points at another image
 *	metadata-…		is not looked for: such a repository cannot be opened
 */

#include "transport/composefs/repository.h"

struct sfd_fsck_options {
	const char *image;  /* only this tag's image; NULL: all. The repository is checked whole. */
	bool metadata_only; /* no content of objects and layers is read */
	unsigned int jobs;  /* threads; 0: the number of CPUs */
	const volatile int *cancel; /* not 0: -ECANCELED; may be NULL */
};

struct sfd_fsck_count {
	uint64_t checked, corrupted;
};

struct sfd_fsck_texts {
	char **items; /* "fsck: KIND: WHERE: …", sorted within a kind of check */
	size_t n;
};

struct sfd_fsck_report {
	struct sfd_fsck_count objects, streams, images, layers, oci;
	uint64_t broken_links, missing_objects;
	struct sfd_fsck_texts errors;	  /* of the repository */
	struct sfd_fsck_texts oci_errors; /* of tagged images */
};

/* 0 also where errors were found: the report tells. *ret is to be given to _done in any case. */
int sfd_fsck_run(struct splitfd_repository *repository, const struct sfd_fsck_options *options,
	struct sfd_fsck_report *ret, struct splitfd_error *err);
void sfd_fsck_report_done(struct sfd_fsck_report *report);

#endif
