/* SPDX-License-Identifier: Apache-2.0 */
/* Tagged images: manifest, config, layers, and the seal. */
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/shortage.h"
#include "splitfdstream/base/text.h"
#include "splitfdstream/digest.h"
#include "transport/composefs/fsck/fsck-private.h"
#include "transport/composefs/images/names.h"
#include "transport/composefs/images/oci-read.h"
#include "transport/composefs/repository-private.h"
#include "transport/composefs/images/tags.h"

#include <string.h>

#define NAME_SIZE 256

static const char object_missing[] = "its object is missing";

/* One tagged image. */
struct image {
	struct sfd_fsck *f;
	const char *tag, *digest;
	struct sfd_oci_document manifest, config;
	struct sfd_oci_manifest manifest_facts;
	struct sfd_oci_config config_facts;
};

/* 0 or -errno, never 1: nothing of the image is looked at behind a wrong part. */
static int wrong(struct image *i, const char *kind, const char *what, const char *detail)
{
	int r = sfd_fsck_add(i->f, &i->f->report->oci_errors, "%s: %s%s%s%s%s", kind, i->tag,
		what != NULL ? ": " : "", what != NULL ? what : "", detail != NULL ? ": " : "",
		detail != NULL ? detail : "");

	return r < 0 ? r : 0;
}

static int wrong_digest(struct image *i, const char *kind, const char *expected, const char *actual)
{
	int r = sfd_fsck_add(i->f, &i->f->report->oci_errors, "%s: %s: expected %s, got %s", kind,
		i->tag, expected, actual);

	return r < 0 ? r : 0;
}

/* 1: go on. 0: an error was added. */
static int read_manifest(struct image *i)
{
	char name[NAME_SIZE], actual[72];
	struct splitfd_error why = { 0 };
	struct splitfd_digest stream;
	int r;

	snprintf(name, sizeof(name), "streams/" SFD_MANIFEST_NAME "%s", i->digest);
	r = sfd_name_read(i->f->repository, name, &stream, &why);
	if (r == 0)
		return wrong(i, "manifest-read-failed", NULL, "there is no such manifest");
	if (r > 0)
		r = sfd_oci_document_read(
			i->f->repository, &stream, SFD_STREAM_MANIFEST, &i->manifest, &why);
	if (sfd_is_shortage(r))
		return r;
	if (r < 0)
		return wrong(i, "manifest-read-failed", NULL, why.text);
	r = splitfd_sha256_text(i->manifest.json, i->manifest.size, actual, NULL);
	if (r < 0)
		return r;
	if (strcmp(actual, i->digest) != 0)
		return wrong_digest(i, "manifest-digest-mismatch", i->digest, actual);
	r = sfd_oci_manifest_parse(
		i->manifest.json, i->manifest.size, SFD_OCI_REPOSITORY, &i->manifest_facts, &why);
	if (sfd_is_shortage(r))
		return r;
	return r < 0 ? wrong(i, "manifest-parse-failed", NULL, why.text) : 1;
}

static int read_config(struct image *i)
{
	const char *digest = i->manifest_facts.config_digest;
	char name[NAME_SIZE], actual[72];
	struct splitfd_error why = { 0 };
	struct splitfd_digest stream;
	int r;

	snprintf(name, sizeof(name), "config:%s", digest);
	if (!sfd_splitstream_find_ref(i->manifest.reader, name, &stream))
		return wrong(i, "config-ref-missing", digest, NULL);
	r = sfd_oci_document_read(i->f->repository, &stream, SFD_STREAM_CONFIG, &i->config, &why);
	if (sfd_is_shortage(r))
		return r;
	if (r < 0)
		return wrong(i, "config-read-failed", NULL, why.text);
	r = splitfd_sha256_text(i->config.json, i->config.size, actual, NULL);
	if (r < 0)
		return r;
	if (strcmp(actual, digest) != 0)
		return wrong_digest(i, "config-digest-mismatch", digest, actual);
	if (!i->manifest_facts.container)
		return 1;
	r = sfd_oci_config_parse(
		i->config.json, i->config.size, SFD_OCI_REPOSITORY, &i->config_facts, &why);
	if (sfd_is_shortage(r))
		return r;
	return r < 0 ? wrong(i, "config-parse-failed", NULL, why.text) : 1;
}

/* What a layer's reference points at: "" where it is there, else why not. */
static int check_layer(struct image *i, const char *diff_id)
{
	char name[NAME_SIZE];
	struct splitfd_error why = { 0 };
	struct splitfd_digest ref, stream;
	int r;

	if (!sfd_splitstream_find_ref(i->config.reader, diff_id, &ref))
		return wrong(i, "layer-ref-missing", diff_id, NULL);
	snprintf(name, sizeof(name), "streams/oci-layer-%s", diff_id);
	r = sfd_name_read(i->f->repository, name, &stream, &why);
	if (r == 0)
		r = wrong(i, "layer-stream-missing", diff_id, NULL);
	else if (r < 0)
		r = wrong(i, "layer-check-failed", diff_id, why.text);
	if (r >= 0 && !sfd_fsck_has_object(i->f, &ref))
		r = wrong(i, "layer-object-missing", diff_id, object_missing);
	return r < 0 ? r : 0;
}

/* A sealed image names its EROFS image in a label. */
static int check_seal(struct image *i)
{
	char name[NAME_SIZE];
	struct splitfd_error why = { 0 };
	struct splitfd_digest digest;
	const char *seal = i->config_facts.seal;
	int r = 0;

	if (seal == NULL)
		return 0;
	if (strlen(seal) < 200 && strchr(seal, '/') == NULL) {
		snprintf(name, sizeof(name), "images/%s", seal);
		r = sfd_name_read(i->f->repository, name, &digest, &why);
		if (r > 0 && sfd_fsck_has_object(i->f, &digest))
			return 0;
	}
	if (r < 0 && why.kind == SPLITFD_ERROR_FAILED)
		return wrong(i, "seal-check-failed", seal, why.text);
	return wrong(i, "seal-image-missing", seal, "there is no such image");
}

static int check_blob(struct image *i, const char *blob)
{
	struct splitfd_digest ref;

	if (!sfd_splitstream_find_ref(i->manifest.reader, blob, &ref))
		return wrong(i, "artifact-layer-ref-missing", blob, NULL);
	if (sfd_fsck_has_object(i->f, &ref))
		return 0;
	return wrong(i, "artifact-layer-object-missing", blob, object_missing);
}

static int check_image(struct image *i)
{
	int r = read_manifest(i);

	if (r > 0)
		r = read_config(i);
	if (r <= 0)
		return r;
	r = 0;
	if (i->manifest_facts.container) {
		for (size_t n = 0; r == 0 && n < i->config_facts.n_diff_ids; n++)
			r = check_layer(i, i->config_facts.diff_ids[n]);
		return r == 0 ? check_seal(i) : r;
	}
	for (size_t n = 0; r == 0 && n < i->manifest_facts.n_layers; n++)
		r = check_blob(i, i->manifest_facts.layers[n]);
	return r;
}

static int check_tag(struct sfd_fsck *f, const char *tag, const char *digest)
{
	struct image i = { .f = f, .tag = tag, .digest = digest };
	size_t before = f->report->oci_errors.n;
	int r;

	f->report->oci.checked++;
	if (tag[0] == '@')
		r = wrong(&i, "invalid-ref-name", "leading '@' is reserved for digest references",
			NULL);
	else
		r = check_image(&i);
	sfd_oci_document_done(&i.manifest);
	sfd_oci_document_done(&i.config);
	sfd_oci_manifest_done(&i.manifest_facts);
	sfd_oci_config_done(&i.config_facts);
	if (f->report->oci_errors.n > before)
		f->report->oci.corrupted++;
	return r;
}

/* The one tag that was asked for. */
static int check_one(struct sfd_fsck *f, const char *tag)
{
	struct image i = { .f = f, .tag = tag };
	sfd_cleanup_free char *digest = NULL;
	struct splitfd_error why = { 0 };
	int r = sfd_tag_resolve(f->repository, tag, &digest, &why);

	if (r == 0)
		return check_tag(f, tag, digest);
	if (r == -ENOMEM)
		return r;
	f->report->oci.checked++;
	f->report->oci.corrupted++;
	return wrong(&i, "ref-resolve-failed", NULL, why.text);
}

int sfd_fsck_oci(struct sfd_fsck *f, struct splitfd_error *err)
{
	struct sfd_tag *tags = NULL;
	size_t n = 0;
	int r;

	if (f->options->image != NULL)
		return check_one(f, f->options->image);
	r = sfd_tags_list(f->repository, &tags, &n, err);
	for (size_t i = 0; r == 0 && i < n; i++) {
		r = sfd_fsck_cancelled(f, err);
		/* Other references below refs/oci are none of images, as in cfsctl. */
		if (r == 0 && tags[i].manifest != NULL && sfd_parse_sha256(tags[i].manifest, NULL))
			r = check_tag(f, tags[i].name, tags[i].manifest);
	}
	sfd_tags_free(tags, n);
	return r;
}
