/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_CONTAINERS_STORAGE_DOCKER_REF_H
#define SPLITFD_CONTAINERS_STORAGE_DOCKER_REF_H

/*
 * The names of images: [DOMAIN/]PATH[:TAG][@DIGEST], by the grammar of the distribution project's
 * reference package, and its normal form with docker.io/library/.
 */

#include <stdbool.h>

#define SFD_REPOSITORY_MAX 255

struct sfd_docker_ref {
	char repository[SFD_REPOSITORY_MAX + 64]; /* as written; room to be normalised */
	char tag[129];				  /* "" where there is none */
	char digest[256];			  /* "sha256:HEX"; "" where there is none */
	bool qualified;				  /* the repository begins with a domain */
};

/* Cuts `text`. Returns NULL, or what is wrong with it. */
const char *sfd_docker_ref_parse(const char *text, struct sfd_docker_ref *ret);

/* Gives the repository its domain: docker.io where it has none, and library/ where docker.io's
 * path has one component. */
void sfd_docker_ref_normalise(struct sfd_docker_ref *ref);

/* True for "ALGORITHM:HEX" with as many digits as the algorithm has. */
bool sfd_digest_valid(const char *text);

#endif
