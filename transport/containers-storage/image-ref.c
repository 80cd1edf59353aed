/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/containers-storage/image-ref-private.h"

#include "transport/containers-storage/conf/docker-ref.h"

#include <cjson/cJSON.h>
#include <string.h>

bool sfd_image_has_id(const struct sfd_image_record *image, const void *word)
{
	return strcmp(image->id, word) == 0;
}

bool sfd_image_has_id_prefix(const struct sfd_image_record *image, const void *word)
{
	return strncmp(image->id, word, strlen(word)) == 0;
}

bool sfd_image_has_name(const struct sfd_image_record *image, const void *word)
{
	for (size_t i = 0; image->names[i] != NULL; i++)
		if (strcmp(image->names[i], word) == 0)
			return true;
	return false;
}

bool sfd_image_in_repository(const struct sfd_image_record *image, const char *repository)
{
	struct sfd_docker_ref ref;

	for (size_t i = 0; image->names[i] != NULL; i++)
		if (sfd_docker_ref_parse(image->names[i], &ref) == NULL &&
			strcmp(ref.repository, repository) == 0)
			return true;
	return false;
}

bool sfd_image_has_digest(const struct sfd_image_record *image, const void *word)
{
	const struct sfd_docker_ref *ref = word;
	bool has = image->digest != NULL && strcmp(image->digest, ref->digest) == 0;
	const cJSON *d;

	cJSON_ArrayForEach (d, image->big_data_digests) {
		if (has)
			break;
		has = strncmp(d->string, "manifest", 8) == 0 &&
		      strcmp(d->valuestring, ref->digest) == 0;
	}
	return has && sfd_image_in_repository(image, ref->repository);
}

void sfd_matches_add(struct sfd_matches *m, const struct sfd_image_db *db, size_t i,
	sfd_image_test *test, const void *word)
{
	const struct sfd_image_list *list = &db->lists[i];

	for (size_t k = 0; k < list->n; k++) {
		const struct sfd_image_record *image = &list->v[k];
		bool known = false;

		if (!test(image, word))
			continue;
		if (i > 0 && sfd_image_list_find(&db->lists[0], image->id) != NULL)
			continue;
		for (size_t j = 0; j < m->n && j < SFD_MATCHES_KEPT && !known; j++)
			known = strcmp(m->v[j].image->id, image->id) == 0;
		if (known)
			continue;
		if (m->n < SFD_MATCHES_KEPT)
			m->v[m->n] = (struct sfd_image_found){ .image = image, .list = i };
		m->n++;
	}
}

int sfd_image_ref_find(const struct sfd_image_db *db, const char *name, enum splitfd_lookup lookup,
	struct sfd_image_found *ret, struct splitfd_error *err)
{
	if (lookup == SPLITFD_LOOKUP_TRANSPORT)
		return sfd_lookup_transport(db, name, ret, err);
	if (lookup == SPLITFD_LOOKUP_BOTH && sfd_lookup_transport(db, name, ret, NULL) >= 0)
		return 0;
	return sfd_lookup_podman(db, name, ret, err);
}
