/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/containers-storage/image-match.h"

#include "splitfdstream/base/buffer.h"
#include "splitfdstream/base/cleanup.h"
#include "transport/containers-storage/conf/docker-ref.h"

#include <cjson/cJSON.h>
#include <errno.h>
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

/* How many digits tell the kept IDs apart, at least podman's twelve. */
static int telling_digits(const struct sfd_matches *m)
{
	int digits = 12;

	for (size_t i = 1; i < m->n && i < SFD_MATCHES_KEPT; i++) {
		const char *a = m->v[0].image->id, *b = m->v[i].image->id;
		int same = 0;

		while (a[same] != '\0' && a[same] == b[same])
			same++;
		if (same + 1 > digits)
			digits = same + 1;
	}
	return digits;
}

int sfd_lookup_ambiguous(const char *name, const struct sfd_matches *m, struct splitfd_error *err)
{
	sfd_cleanup_buffer struct sfd_buffer list = { .max = 4096 };
	int digits = telling_digits(m), r = 0;

	for (size_t i = 0; i < m->n && i < SFD_MATCHES_KEPT && r >= 0; i++) {
		const struct sfd_image_record *image = m->v[i].image;

		r = sfd_buffer_printf(&list, "%s%.*s", i == 0 ? "" : ", ", digits, image->id);
		if (r >= 0 && image->names[0] != NULL)
			r = sfd_buffer_printf(&list, " (%.200s)", image->names[0]);
	}
	if (r >= 0 && m->n > SFD_MATCHES_KEPT)
		(void)sfd_buffer_printf(&list, " and %zu more", m->n - SFD_MATCHES_KEPT);
	return splitfd_error_set(err, SPLITFD_ERROR_USAGE, ENOTUNIQ,
		"%s: %zu images fit: %.*s; give the whole name or a longer ID", name, m->n,
		(int)list.len, list.len > 0 ? (const char *)list.data : "");
}
