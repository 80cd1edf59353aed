/* SPDX-License-Identifier: Apache-2.0 */
/* Names as the transport containers-storage: of skopeo takes them. */
#include "transport/containers-storage/image-lookup.h"

#include "transport/containers-storage/conf/docker-ref.h"
#include "transport/containers-storage/store-files.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What follows the last '@' of a reference, once it was looked at. */
struct parts {
	char name[1024]; /* without an ID that was cut off */
	char id[65];	 /* "" where there is none */
};

static int parse_error(const char *name, const char *what, struct splitfd_error *err)
{
	return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
		"containers-storage:%s: not a reference: %s", name, what);
}

static int not_found(const char *name, struct splitfd_error *err)
{
	return splitfd_error_set(err, SPLITFD_ERROR_NOT_FOUND, ENOENT,
		"containers-storage:%s: no such image in the store", name);
}

/* One look into each store: the exact ID, else the exact name, else the only ID with that prefix.
 * The first store that has something wins; two with the prefix are none. */
static bool look_up(const struct sfd_image_db *db, const char *word, struct sfd_image_found *ret)
{
	static sfd_image_test *const tests[] = { sfd_image_has_id, sfd_image_has_name,
		sfd_image_has_id_prefix };

	for (size_t i = 0; i < db->n; i++)
		for (size_t t = 0; t < sizeof(tests) / sizeof(tests[0]); t++) {
			struct sfd_matches m = { .n = 0 };

			sfd_matches_add(&m, db, i, tests[t], word);
			if (m.n == 1) {
				*ret = m.v[0];
				return true;
			}
		}
	return false;
}

/* An image whose ID starts with `word`, of three characters or more. */
static bool id_of_prefix(const struct sfd_image_db *db, const char *word, char id[65])
{
	struct sfd_image_found found;

	if (strlen(word) < 3 || !look_up(db, word, &found) ||
		strncmp(found.image->id, word, strlen(word)) != 0)
		return false;
	memcpy(id, found.image->id, 65);
	return true;
}

static int cut_id(const struct sfd_image_db *db, const char *name, struct parts *parts,
	struct splitfd_error *err)
{
	char *at;

	if (strlen(name) >= sizeof(parts->name))
		return parse_error("…", "it is too long", err);
	memcpy(parts->name, name, strlen(name) + 1);
	parts->id[0] = '\0';
	at = strrchr(parts->name, '@');
	if (at != NULL) {
		if (at[1] == '\0')
			return parse_error(name, "nothing follows '@'", err);
		if (sfd_digest_valid(at + 1))
			return 0;
		if (sfd_store_id_valid(at + 1))
			memcpy(parts->id, at + 1, 65);
		else if (!id_of_prefix(db, at + 1, parts->id))
			return parse_error(name,
				"what follows '@' is neither a digest nor an image's ID", err);
		*at = '\0';
	} else if (strchr(name, ':') == NULL && id_of_prefix(db, name, parts->id)) {
		parts->name[0] = '\0';
	}
	return 0;
}

static bool by_digest(const struct sfd_image_db *db, const struct sfd_docker_ref *ref,
	struct sfd_image_found *ret)
{
	for (size_t i = 0; i < db->n; i++) {
		struct sfd_matches m = { .n = 0 };

		sfd_matches_add(&m, db, i, sfd_image_has_digest, ref);
		if (m.n > 0) {
			*ret = m.v[0];
			return true;
		}
	}
	return false;
}

static bool by_name(const struct sfd_image_db *db, const struct sfd_docker_ref *ref,
	struct sfd_image_found *ret)
{
	char name[sizeof(*ref) + 2];
	const char *digest = ref->digest;
	int n = snprintf(name, sizeof(name), "%s", ref->repository);

	if (ref->tag[0] != '\0' || *digest == '\0')
		n += snprintf(name + n, sizeof(name) - (size_t)n, ":%s",
			ref->tag[0] != '\0' ? ref->tag : "latest");
	if (*digest != '\0')
		(void)snprintf(name + n, sizeof(name) - (size_t)n, "@%s", digest);
	return look_up(db, name, ret) || (*digest != '\0' && by_digest(db, ref, ret));
}

int sfd_lookup_transport(const struct sfd_image_db *db, const char *name,
	struct sfd_image_found *ret, struct splitfd_error *err)
{
	struct sfd_docker_ref ref = { .qualified = false };
	struct parts parts = { .id = "" };
	int r = cut_id(db, name, &parts, err);

	if (r < 0)
		return r;
	if (parts.name[0] != '\0' || parts.id[0] == '\0') {
		const char *wrong = sfd_docker_ref_parse(parts.name, &ref);

		if (wrong != NULL)
			return parse_error(name, wrong, err);
		sfd_docker_ref_normalise(&ref);
	}
	if (parts.id[0] == '\0') {
		if (!by_name(db, &ref, ret))
			return not_found(name, err);
	} else {
		if (!look_up(db, parts.id, ret))
			return not_found(name, err);
		if (ref.repository[0] != '\0' &&
			!sfd_image_in_repository(ret->image, ref.repository))
			return splitfd_error_set(err, SPLITFD_ERROR_NOT_FOUND, ENOENT,
				"containers-storage:%s: the image of that ID has no name in %s",
				name, ref.repository);
	}
	memcpy(ret->digest, ref.digest, sizeof(ret->digest));
	return 0;
}
