/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_CONTAINERS_STORAGE_IMAGE_REF_H
#define SPLITFD_CONTAINERS_STORAGE_IMAGE_REF_H

/*
 * Which image a user means, among the records of several stores.
 *
 * SPLITFD_LOOKUP_TRANSPORT is what skopeo's containers-storage: transport does: normalised names,
 * IDs and their prefixes of three digits or more, and nothing else.
 *
 * SPLITFD_LOOKUP_PODMAN is what podman's user expects, in this order: a whole ID (also with
 * sha256:); the exact name; the alias of a short name, localhost/NAME, NAME of each search registry
 * (short-names.h), docker.io/library/NAME; a unique prefix of an ID; a unique NAME of whatever
 * registry. NAME@ID is taken as the transport does. Several that fit
 * equally well are an error that lists them, where podman takes the first.
 */

#include "transport/containers-storage/image-match.h"
#include "transport/containers-storage/store.h"

/* NOT_FOUND; USAGE where the words are no name or fit several images. */
int sfd_image_ref_find(const struct sfd_image_db *db, const char *name, enum splitfd_lookup lookup,
	struct sfd_image_found *ret, struct splitfd_error *err);

struct sfd_platform;

/* Where `manifest` (size bytes) of the found image is a list of manifests, *found becomes the one
 * image among its images for that platform that a store has, as for podman. NOT_FOUND where there
 * is none, USAGE where there are several. What is no list is left alone. */
int sfd_lookup_instance(const struct sfd_image_db *db, const struct sfd_platform *platform,
	const char *name, const char *manifest, size_t size, struct sfd_image_found *found,
	struct splitfd_error *err);

#endif
