/* SPDX-License-Identifier: Apache-2.0 */
/* Streams: header, objects, references, chunks; and each layer's SHA-256. */
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/shortage.h"
#include "splitfdstream/base/text.h"
#include "transport/composefs/stream/splitstream-bytes.h"
#include "transport/composefs/fsck/fsck-private.h"
#include "transport/composefs/images/listing.h"
#include "transport/composefs/images/names.h"
#include "transport/composefs/repository-private.h"

#include <string.h>

#define LAYER_NAME "streams/oci-layer-"

SFD_DEFINE_CLEANUP(cleanup_stream_, struct sfd_splitstream, sfd_splitstream_free);

static int corrupted(struct sfd_fsck *f, const char *kind, const char *name, const char *detail)
{
	f->report->streams.corrupted++;
	return sfd_fsck_add(f, &f->report->errors, "%s: streams/%s: %s", kind, name, detail);
}

static int check_objects(struct sfd_fsck *f, const char *name, struct sfd_splitstream *s)
{
	for (size_t i = 0; i < sfd_splitstream_n_objects(s); i++) {
		char hex[2 * SPLITFD_DIGEST_MAX + 1];
		struct splitfd_error why = { 0 };
		struct splitfd_digest digest;
		int r = sfd_splitstream_object_ref(s, i, &digest, &why);

		if (sfd_is_shortage(r))
			return r;
		if (r < 0)
			return corrupted(f, "stream-read-failed", name, why.text);
		if (sfd_fsck_has_object(f, &digest))
			continue;
		f->report->missing_objects++;
		splitfd_digest_hex(&digest, hex);
		if (sfd_fsck_add(f, &f->report->errors, "missing-object-ref: streams/%s: %s", name,
			    hex) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* A layer's reference must be what the layer's name points at: cfsctl's gc follows a reference to
 * the layer's objects only then. */
static int check_layer_ref(
	struct sfd_fsck *f, const char *name, const struct sfd_splitstream_ref *ref)
{
	char path[sizeof(LAYER_NAME) + 80], hex[2 * SPLITFD_DIGEST_MAX + 1];
	struct splitfd_error why = { 0 };
	struct splitfd_digest there;
	int r;

	if (!sfd_parse_sha256(ref->name, NULL))
		return 0;
	snprintf(path, sizeof(path), LAYER_NAME "%s", ref->name);
	r = sfd_name_read(f->repository, path, &there, &why);
	if (r < 0 && why.kind == SPLITFD_ERROR_FAILED)
		return sfd_fsck_add(f, &f->report->errors, "layer-ref-read-failed: streams/%s: %s",
			name, why.text);
	if (r <= 0 || splitfd_digest_equal(&there, &ref->digest))
		return 0;
	splitfd_digest_hex(&ref->digest, hex);
	return sfd_fsck_add(f, &f->report->errors, "layer-ref-stale: streams/%s: ref %s: %s", name,
		ref->name, hex);
}

static int check_refs(struct sfd_fsck *f, const char *name, const struct sfd_splitstream *s)
{
	size_t n;
	const struct sfd_splitstream_ref *refs = sfd_splitstream_refs(s, &n);
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		char hex[2 * SPLITFD_DIGEST_MAX + 1];

		if (sfd_fsck_has_object(f, &refs[i].digest)) {
			r = check_layer_ref(f, name, &refs[i]);
			continue;
		}
		f->report->missing_objects++;
		splitfd_digest_hex(&refs[i].digest, hex);
		r = sfd_fsck_add(f, &f->report->errors, "missing-named-ref: streams/%s: ref %s: %s",
			name, refs[i].name, hex);
	}
	return r;
}

/* All chunks, without the objects' bytes. */
static int check_chunks(struct sfd_fsck *f, const char *name, struct sfd_splitstream *s)
{
	struct sfd_splitstream_part part;
	struct splitfd_error why = { 0 };
	int r;

	do
		r = sfd_splitstream_next(s, &part, &why);
	while (r > 0);
	if (r == 0 || sfd_is_shortage(r))
		return r;
	return corrupted(f, "stream-read-failed", name, why.text);
}

int sfd_fsck_stream(struct sfd_fsck *f, const char *name, int fd)
{
	sfd_cleanup(cleanup_stream_) struct sfd_splitstream *s = NULL;
	struct splitfd_error why = { 0 };
	int r = sfd_splitstream_open_fd(
		fd, f->repository->algorithm, f->repository, NULL, name, &s, &why);

	if (r < 0)
		return sfd_is_shortage(r) ? r : corrupted(f, "stream-open-failed", name, why.text);
	r = check_objects(f, name, s);
	if (r == 0)
		r = check_refs(f, name, s);
	if (r == 0 && !f->options->metadata_only)
		r = check_chunks(f, name, s);
	return r;
}

static int check_layer(struct sfd_fsck *f, void *ctx, size_t i, struct splitfd_error *err)
{
	const char *diff_id = ((char *const *)ctx)[i];
	char path[sizeof(LAYER_NAME) + 80];
	struct splitfd_error why = { 0 };
	struct splitfd_digest digest;
	int r;

	(void)err;
	/* Other algorithms name layers too, but no known program writes them. */
	if (!sfd_parse_sha256(diff_id, NULL))
		return 0;
	snprintf(path, sizeof(path), LAYER_NAME "%s", diff_id);
	/* What is not a link to an object is an error of streams/ already. */
	r = sfd_name_read(f->repository, path, &digest, &why);
	if (r < 0 && why.kind == SPLITFD_ERROR_FAILED)
		return sfd_fsck_add(
			f, &f->report->errors, "layer-read-failed: %s: %s", path, why.text);
	if (r <= 0 || !sfd_fsck_has_object(f, &digest))
		return 0;
	sfd_fsck_count(f, &f->report->layers.checked, 1);
	r = sfd_stream_verify(f->repository, &digest, diff_id, NULL, NULL, &why);
	if (r == 0 || sfd_is_shortage(r))
		return r;
	sfd_fsck_count(f, &f->report->layers.corrupted, 1);
	return sfd_fsck_add(
		f, &f->report->errors, "layer-content-mismatch: %s: %s", path, why.text);
}

int sfd_fsck_layers(struct sfd_fsck *f, struct splitfd_error *err)
{
	size_t n = 0, first = f->report->errors.n;
	char **ids = NULL;
	int r = sfd_layer_ids(f->repository, &ids, &n, err);

	if (r < 0)
		return r;
	r = sfd_fsck_spread(f, n, check_layer, ids, err);
	sfd_layer_ids_free(ids, n);
	sfd_fsck_sort(&f->report->errors, first);
	return r;
}
