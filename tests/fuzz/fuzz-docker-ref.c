/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of images. What is a name must stay one, and the same one, where its parts are put
 * together again, before and after it got its domain; a second normalisation changes nothing.
 */
#include "transport/containers-storage/conf/docker-ref.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_together(const struct sfd_docker_ref *ref, char *text, size_t size)
{
	int n = snprintf(text, size, "%s%s%s%s%s", ref->repository, ref->tag[0] != '\0' ? ":" : "",
		ref->tag, ref->digest[0] != '\0' ? "@" : "", ref->digest);

	assert(n > 0 && (size_t)n < size);
}

static void check_same(const struct sfd_docker_ref *a, const struct sfd_docker_ref *b)
{
	assert(strcmp(a->repository, b->repository) == 0 && strcmp(a->tag, b->tag) == 0);
	assert(strcmp(a->digest, b->digest) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sfd_docker_ref ref, again;
	char *text = malloc(size + 1);
	char whole[sizeof(ref)];

	assert(text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	if (sfd_docker_ref_parse(text, &ref) == NULL) {
		assert(strlen(ref.repository) <= SFD_REPOSITORY_MAX);
		assert(ref.digest[0] == '\0' || sfd_digest_valid(ref.digest));
		put_together(&ref, whole, sizeof(whole));
		assert(strcmp(whole, text) == 0);
		again = ref;
		sfd_docker_ref_normalise(&ref);
		assert(strchr(ref.repository, '/') != NULL);
		/* Too long a name may become one that is none. */
		put_together(&ref, whole, sizeof(whole));
		if (strlen(ref.repository) <= SFD_REPOSITORY_MAX) {
			assert(sfd_docker_ref_parse(whole, &again) == NULL);
			check_same(&ref, &again);
			sfd_docker_ref_normalise(&again);
			check_same(&ref, &again);
		}
	}
	free(text);
	return 0;
}
