/* SPDX-License-Identifier: Apache-2.0 */
/* GetBlob and GetRawBlob of an image that is read here: a layer as a tar, a config or manifest. */
#include "shim/proxy/proxy-native.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"
#include "splitfdstream/digest.h"
#include "transport/containers-storage/layer-lookup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The layer that stands for "no change" in docker's oldest manifests: a gzip of two empty blocks,
 * fixed bytes with a fixed digest (docker registry API v2). */
static const char empty_digest[] =
	"sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4";
static const uint8_t empty_layer[32] = { 0x1f, 0x8b, 0x08, 0x00, 0x00, 0x09, 0x6e, 0x88, 0x00, 0xff,
	0x62, 0x18, 0x05, 0xa3, 0x60, 0x14, 0x8c, 0x58, 0x00, 0x08, 0x00, 0x00, 0xff, 0xff, 0x2e,
	0xaf, 0xb5, 0xef, 0x00, 0x04, 0x00, 0x00 };

struct blob {
	struct splitfd_source *layer, *again; /* twice, for the check */
	void *bytes;			      /* or these, the blob's own */
	uint64_t size;			      /* UINT64_MAX: not known */
	bool verified;			      /* against: */
	uint64_t wanted_size;
	char wanted[72];
};

static struct blob *free_blob(struct blob *blob)
{
	splitfd_source_free(blob->layer);
	splitfd_source_free(blob->again);
	free(blob->bytes);
	free(blob);
	return NULL;
}

SFD_DEFINE_CLEANUP(cleanup_blob, struct blob, free_blob);

static int verify(
	const struct blob *blob, uint64_t sent, const uint8_t digest[32], struct splitfd_error *err)
{
	uint8_t wanted[32];

	if (!sfd_parse_sha256(blob->wanted, wanted) || memcmp(digest, wanted, 32) != 0)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"corrupted blob, expecting %s", blob->wanted);
	if (sent != blob->wanted_size)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"expected %" PRIu64 " bytes in blob, got %" PRIu64, blob->wanted_size,
			sent);
	return 0;
}

static int write_bytes(const struct blob *blob, struct sfd_pipe_writer *w, uint8_t digest[32],
	struct splitfd_error *err)
{
	char text[72];
	int r = splitfd_sha256_text(blob->bytes, blob->size, text, err);

	if (r < 0)
		return r;
	(void)sfd_parse_sha256(text, digest);
	return sfd_pipe_write(w, blob->bytes, blob->size, err);
}

static int run(void *ctx, struct sfd_pipe_writer *w, struct splitfd_error *err)
{
	struct blob *blob = ctx;
	uint8_t digest[32];
	int r;

	if (blob->layer == NULL)
		r = write_bytes(blob, w, digest, err);
	else
		r = sfd_pipe_write_layer(w, blob->layer, blob->again, blob->size,
			blob->verified ? digest : NULL, err);
	return r == 0 && blob->verified ? verify(blob, w->bytes, digest, err) : r;
}

static void free_ctx(void *ctx)
{
	free_blob(ctx);
}

static int set_layer(
	struct blob *blob, struct splitfd_image *image, size_t i, struct splitfd_error *err)
{
	int r = sfd_image_open_layer_bytes(image, i, &blob->layer, err);

	if (r < 0)
		return r;
	r = sfd_image_open_layer_bytes(image, i, &blob->again, err);
	if (r < 0) /* another image may have the layer, too */
		blob->layer = splitfd_source_free(blob->layer);
	blob->size = splitfd_image_layer(image, i)->size;
	return r;
}

/* The layer with this diff_id. 1: the blob is it; 0: the image has none. */
static int find_layer(struct blob *blob, struct splitfd_image *image, const char *digest,
	struct splitfd_error *err)
{
	for (size_t i = 0; i < splitfd_image_n_layers(image); i++) {
		int r;

		if (strcmp(splitfd_image_layer(image, i)->diff_id, digest) != 0)
			continue;
		r = set_layer(blob, image, i, err);
		return r < 0 ? r : 1;
	}
	return 0;
}

/* Looks for a layer in all images of a store. */
struct search {
	struct splitfd_store *store;
	const char *digest;
	struct blob *blob;
};

static int search_image(void *ctx, const struct splitfd_image_row *row)
{
	struct search *s = ctx;
	struct splitfd_image *image;
	int r;

	if (splitfd_image_open(s->store, row->id, SPLITFD_LOOKUP_TRANSPORT, &image, NULL) < 0)
		return 0; /* another image's trouble */
	r = find_layer(s->blob, image, s->digest, NULL);
	splitfd_image_close(image);
	return r > 0;
}

/* Always copies: the image may be closed while the blob is sent. */
static int set_bytes(struct blob *blob, const void *data, size_t n, struct splitfd_error *err)
{
	blob->bytes = malloc(n);
	if (blob->bytes == NULL)
		return splitfd_error_oom(err);
	memcpy(blob->bytes, data, n);
	blob->size = n;
	return 0;
}

/* As with skopeo, any layer of the image's store can be had, not only the image's own. */
static int find(
	struct blob *blob, struct sfd_native *native, const char *digest, struct splitfd_error *err)
{
	struct splitfd_image *image = sfd_native_image(native);
	struct search search = { sfd_native_store(native), digest, blob };
	size_t size;
	const char *config = splitfd_image_config(image, &size);
	int r;

	if (strcmp(digest, empty_digest) == 0)
		return set_bytes(blob, empty_layer, sizeof(empty_layer), err);
	r = find_layer(blob, image, digest, err);
	if (r != 0)
		return r < 0 ? r : 0;
	if (strcmp(splitfd_image_config_digest(image), digest) == 0)
		return set_bytes(blob, config, size, err);
	if (splitfd_store_list_images(search.store, search_image, &search, NULL) > 0)
		return 0;
	return splitfd_error_set(err, SPLITFD_ERROR_NOT_FOUND, ENOENT,
		"there is no blob %s for image %s; layers are named by the digest of their tar "
		"(GetLayerInfo)",
		digest, splitfd_image_id(image));
}

int sfd_native_blob(struct sfd_native *native, const char *digest, const uint64_t *wanted_size,
	struct sfd_pipe_work *ret, uint64_t *ret_size, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_blob) struct blob *blob = calloc(1, sizeof(*blob));
	int r;

	if (blob == NULL)
		return splitfd_error_oom(err);
	r = find(blob, native, digest, err);
	if (r < 0)
		return r;
	if (wanted_size != NULL) {
		blob->verified = true;
		blob->wanted_size = *wanted_size;
		snprintf(blob->wanted, sizeof(blob->wanted), "%s", digest);
	}
	*ret_size = blob->size;
	*ret = (struct sfd_pipe_work){ .run = run, .free = free_ctx, .ctx = sfd_take_ptr(&blob) };
	return 0;
}
