/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COPY_IMAGE_READINGS_H
#define SPLITFD_COPY_IMAGE_READINGS_H

/*
 * The tree of an image whose layers podman and cfsctl may read in two ways. It is made twice, by
 * the rules of each program, from the stored layers.
 */

#include "transport/composefs/images/oci-read.h"
#include "transport/composefs/images/names.h"
#include "transport/composefs/tree/tree-reread.h"

/* Whose tree an image gets where both programs make one, and not the same. */
enum sfd_tree_choice {
	SFD_TREE_OF_NEITHER = 0, /* an error that gives both readings */
	SFD_TREE_OF_PODMAN,
	SFD_TREE_OF_CFSCTL,
};

/* "podman", "cfsctl"; NULL is neither. USAGE for anything else. */
int sfd_tree_choice_parse(const char *word, enum sfd_tree_choice *ret, struct splitfd_error *err);

struct sfd_readings {
	struct splitfd_repository *repository;
	const char *const *diff_ids;
	const struct splitfd_digest *streams; /* of the layers, n_layers */
	size_t n_layers;
	enum sfd_tree_xattrs xattrs;
	enum sfd_tree_choice choice;
	/* Files that the tree needs are stored; else they are hashed only. */
	bool store;
	void (*told)(void *ctx, const char *text); /* deviations; NULL is allowed */
	void *ctx;
};

/* *ret is a finished tree; `objects`, an initialized table, gets the files that were stored for it.
 * `why` is what the first look at the layers has found, for the error that gives both readings.
 * -EOPNOTSUPP where there is no one tree. */
int sfd_image_tree_of_readings(const struct sfd_readings *readings, const char *why,
	struct sfd_digest_table *objects, struct sfd_tree **ret, struct splitfd_error *err);

/* The finished tree of a stored image; its layers are found by the config, and nothing is stored:
 * diff_ids, streams, n_layers and store of `readings` do not matter. */
int sfd_image_tree_of_choice(const struct sfd_readings *readings,
	const struct sfd_oci_document *config, const struct sfd_oci_config *facts,
	struct sfd_tree **ret, struct splitfd_error *err);

/* Stores a stream that refers to these objects, and adds its name to `names`: where an image's
 * config refers to the stream (SFD_IMAGE_OBJECTS_REF), cfsctl's gc keeps them. */
int sfd_image_objects_stream(struct splitfd_repository *repository,
	const struct sfd_digest_table *objects, struct sfd_names *names, struct splitfd_digest *ret,
	struct splitfd_error *err);

#endif
