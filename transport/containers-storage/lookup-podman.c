/* SPDX-License-Identifier: Apache-2.0 */
/* Names as podman's user means them: IDs, prefixes, short names. */
#include "transport/containers-storage/image-lookup.h"

#include "splitfdstream/base/cleanup.h"
#include "transport/containers-storage/conf/docker-ref.h"
#include "transport/containers-storage/store-files.h"

#include <errno.h>
#include <string.h>

static int not_found(const char *name, struct splitfd_error *err)
{
	return splitfd_error_set(err, SPLITFD_ERROR_NOT_FOUND, ENOENT,
		"%s: no such image in the store (podman images lists what is there)", name);
}

/* The first store that has exactly one; where one has several, *m holds them. */
static bool first_of(const struct sfd_image_db *db, sfd_image_test *test, const void *word,
	struct sfd_matches *m)
{
	for (size_t i = 0; i < db->n; i++) {
		sfd_matches_add(m, db, i, test, word);
		if (m->n > 0)
			return true;
	}
	return false;
}

static void all_of(const struct sfd_image_db *db, sfd_image_test *test, const void *word,
	struct sfd_matches *m)
{
	for (size_t i = 0; i < db->n; i++)
		sfd_matches_add(m, db, i, test, word);
}

/* The image with that normalised repository and the reference's tag or digest. */
static bool by_repository(
	const struct sfd_image_db *db, const struct sfd_docker_ref *ref, struct sfd_matches *m)
{
	char name[sizeof(ref->repository) + sizeof(ref->digest) + 2];

	if (ref->digest[0] != '\0') {
		(void)snprintf(name, sizeof(name), "%s@%s", ref->repository, ref->digest);
		return first_of(db, sfd_image_has_name, name, m) ||
		       first_of(db, sfd_image_has_digest, ref, m);
	}
	(void)snprintf(name, sizeof(name), "%s:%s", ref->repository,
		ref->tag[0] != '\0' ? ref->tag : "latest");
	return first_of(db, sfd_image_has_name, name, m);
}

/* Some name of the image ends in the reference's path and tag, whatever the registry. */
static bool ends_in_name(const struct sfd_image_record *image, const void *word)
{
	const struct sfd_docker_ref *ref = word;
	size_t n = strlen(ref->repository);
	struct sfd_docker_ref own;

	for (size_t i = 0; image->names[i] != NULL; i++) {
		size_t len;

		if (sfd_docker_ref_parse(image->names[i], &own) != NULL)
			continue;
		len = strlen(own.repository);
		if (len <= n || own.repository[len - n - 1] != '/' ||
			strcmp(own.repository + len - n, ref->repository) != 0)
			continue;
		if (ref->digest[0] != '\0') {
			struct sfd_docker_ref full = own;

			memcpy(full.digest, ref->digest, sizeof(full.digest));
			if (sfd_image_has_digest(image, &full))
				return true;
		} else if (strcmp(own.tag, ref->tag[0] != '\0' ? ref->tag : "latest") == 0) {
			return true;
		}
	}
	return false;
}

/* A short name is what registries.conf makes of it, localhost/NAME, then docker.io/…; a name with
 * its registry only as it is. 1 where something was found. */
static int by_name(const struct sfd_image_db *db, const struct sfd_docker_ref *ref,
	struct sfd_matches *m, struct splitfd_error *err)
{
	struct sfd_docker_ref full = *ref;
	int r;

	if (ref->qualified) {
		sfd_docker_ref_normalise(&full);
		return by_repository(db, &full, m);
	}
	if (db->short_names != NULL && db->short_names->wrong.kind != SPLITFD_ERROR_NONE) {
		return splitfd_error_copy(
			err, -db->short_names->wrong.errnum, &db->short_names->wrong);
	}
	for (size_t step = 0; (r = sfd_short_names_step(db->short_names, ref, step, &full)) >= 0;
		step++)
		if (r > 0 && by_repository(db, &full, m))
			return 1;
	return 0;
}

static int take(const char *name, const struct sfd_matches *m, const char *digest,
	struct sfd_image_found *ret, struct splitfd_error *err)
{
	if (m->n != 1)
		return sfd_lookup_ambiguous(name, m, err);
	*ret = m->v[0];
	(void)snprintf(ret->digest, sizeof(ret->digest), "%s", digest);
	return 0;
}

/* A whole ID, with or without sha256:. 1 where `name` is one. */
static int by_id(const struct sfd_image_db *db, const char *name, struct sfd_matches *m,
	struct splitfd_error *err)
{
	bool prefixed = strncmp(name, "sha256:", 7) == 0;
	const char *id = prefixed ? name + 7 : name;

	if (sfd_store_id_valid(id))
		return first_of(db, sfd_image_has_id, id, m) ? 1 : not_found(name, err);
	if (prefixed)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"%s: sha256: wants the whole ID of 64 hex digits; leave it out for a part",
			name);
	return 0;
}

int sfd_lookup_podman(const struct sfd_image_db *db, const char *name, struct sfd_image_found *ret,
	struct splitfd_error *err)
{
	struct sfd_matches m = { .n = 0 }, prefix = { .n = 0 };
	struct sfd_docker_ref ref;
	const char *wrong;
	int r;

	if (*name == '\0')
		return splitfd_error_set(
			err, SPLITFD_ERROR_USAGE, EINVAL, "the image's name is empty");
	r = by_id(db, name, &m, err);
	if (r != 0)
		return r < 0 ? r : take(name, &m, "", ret, err);
	wrong = sfd_docker_ref_parse(name, &ref);
	/* NAME@ID and @ID are the transport's; in podman they are nothing else. */
	if (wrong != NULL && strchr(name, '@') != NULL)
		return sfd_lookup_transport(db, name, ret, err);
	if (wrong != NULL)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"%s: not an image's name: %s", name, wrong);
	r = first_of(db, sfd_image_has_name, name, &m) ? 1 : by_name(db, &ref, &m, err);
	if (r != 0)
		return r < 0 ? r : take(name, &m, ref.digest, ret, err);
	all_of(db, sfd_image_has_id_prefix, name, &prefix);
	if (prefix.n == 1)
		return take(name, &prefix, "", ret, err);
	all_of(db, ends_in_name, &ref, &m);
	if (m.n > 0)
		return take(name, &m, ref.digest, ret, err);
	return prefix.n > 0 ? sfd_lookup_ambiguous(name, &prefix, err) : not_found(name, err);
}
