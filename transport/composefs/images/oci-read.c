/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/images/oci-read.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"
#include "splitfdstream/digest.h"
#include "transport/composefs/images/names.h"
#include "transport/composefs/repository-private.h"
#include "transport/composefs/images/tags.h"

#include <string.h>

void sfd_oci_document_done(struct sfd_oci_document *d)
{
	sfd_splitstream_free(d->reader);
	free(d->json);
	memset(d, 0, sizeof(*d));
}

int sfd_oci_document_read(struct splitfd_repository *repository,
	const struct splitfd_digest *stream, const char *content_type, struct sfd_oci_document *ret,
	struct splitfd_error *err)
{
	struct splitfd_digest object;
	int r;

	memset(ret, 0, sizeof(*ret));
	ret->stream = *stream;
	r = sfd_splitstream_open(repository, stream, content_type, &ret->reader, err);
	if (r < 0)
		return r;
	if (sfd_splitstream_n_objects(ret->reader) != 1)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"it has %zu objects, should have one",
			sfd_splitstream_n_objects(ret->reader));
	r = sfd_splitstream_object_ref(ret->reader, 0, &object, err);
	if (r < 0)
		return r;
	return sfd_object_read(repository, &object, SFD_OCI_JSON_MAX, &ret->json, &ret->size, err);
}

static int check_sha256(const struct sfd_oci_document *d, const char *digest, const char *what,
	struct splitfd_error *err)
{
	char text[72];
	int r = splitfd_sha256_text(d->json, d->size, text, err);

	if (r < 0)
		return r;
	if (strcmp(text, digest) != 0)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"the %s %s is not what its name says: its sha256 is %s", what, digest,
			text);
	return 0;
}

static int read_manifest(
	struct splitfd_repository *repository, struct sfd_oci_stored *s, struct splitfd_error *err)
{
	sfd_cleanup_free char *name =
		sfd_asprintf("streams/" SFD_MANIFEST_NAME "%s", s->manifest_digest);
	struct splitfd_digest stream;
	int r;

	if (name == NULL)
		return splitfd_error_oom(err);
	r = sfd_name_read(repository, name, &stream, err);
	if (r < 0)
		return r;
	if (r == 0)
		return splitfd_error_set(err, SPLITFD_ERROR_NOT_FOUND, ENOENT,
			"no manifest %s in %s", s->manifest_digest, repository->path);
	r = sfd_oci_document_read(repository, &stream, SFD_STREAM_MANIFEST, &s->manifest, err);
	if (r < 0)
		return splitfd_error_wrap(err, r, "manifest %s", s->manifest_digest);
	r = check_sha256(&s->manifest, s->manifest_digest, "manifest", err);
	if (r < 0)
		return r;
	return sfd_oci_manifest_parse(
		s->manifest.json, s->manifest.size, SFD_OCI_REPOSITORY, &s->manifest_facts, err);
}

static int read_config(
	struct splitfd_repository *repository, struct sfd_oci_stored *s, struct splitfd_error *err)
{
	const char *digest = s->manifest_facts.config_digest;
	sfd_cleanup_free char *name = sfd_asprintf("config:%s", digest);
	struct splitfd_digest stream;
	int r;

	if (name == NULL)
		return splitfd_error_oom(err);
	if (!sfd_splitstream_find_ref(s->manifest.reader, name, &stream))
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"the stream of manifest %s has no reference to its config",
			s->manifest_digest);
	r = sfd_oci_document_read(repository, &stream, SFD_STREAM_CONFIG, &s->config, err);
	if (r < 0)
		return splitfd_error_wrap(err, r, "config %s", digest);
	r = check_sha256(&s->config, digest, "config", err);
	if (r < 0 || !s->manifest_facts.container)
		return r;
	return sfd_oci_config_parse(
		s->config.json, s->config.size, SFD_OCI_REPOSITORY, &s->config_facts, err);
}

int sfd_oci_stored_read(struct splitfd_repository *repository, const char *manifest_digest,
	struct sfd_oci_stored *ret, struct splitfd_error *err)
{
	int r;

	memset(ret, 0, sizeof(*ret));
	if (!sfd_parse_sha256(manifest_digest, NULL))
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"'%s' is not a digest (sha256: and 64 hex digits)", manifest_digest);
	ret->manifest_digest = strdup(manifest_digest);
	if (ret->manifest_digest == NULL)
		return splitfd_error_oom(err);
	r = read_manifest(repository, ret, err);
	return r < 0 ? r : read_config(repository, ret, err);
}

void sfd_oci_stored_done(struct sfd_oci_stored *s)
{
	free(s->manifest_digest);
	sfd_oci_document_done(&s->manifest);
	sfd_oci_document_done(&s->config);
	sfd_oci_manifest_done(&s->manifest_facts);
	sfd_oci_config_done(&s->config_facts);
	memset(s, 0, sizeof(*s));
}

bool sfd_oci_stored_erofs(const struct splitfd_repository *repository,
	const struct sfd_oci_stored *s, bool boot, struct splitfd_digest *ret)
{
	static const char *const names[2][2] = {
		{ "composefs.image.v1", "composefs.image" },
		{ "composefs.image.boot.v1", "composefs.image.boot" },
	};

	if (!s->manifest_facts.container || s->config.reader == NULL)
		return false;
	return sfd_splitstream_find_ref(
		s->config.reader, names[boot][repository->erofs_default == 2], ret);
}
