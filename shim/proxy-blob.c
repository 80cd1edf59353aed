/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/proxy-native.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"

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

static int run_layer(void *ctx, struct sfd_pipe_writer *w, struct splitfd_error *err)
{
	return sfd_pipe_write_source(w, ctx, err);
}

static void free_layer(void *ctx)
{
	splitfd_source_free(ctx);
}

struct bytes {
	size_t n;
	uint8_t data[];
};

static int run_bytes(void *ctx, struct sfd_pipe_writer *w, struct splitfd_error *err)
{
	struct bytes *b = ctx;

	return sfd_pipe_write(w, b->data, b->n, err);
}

static int bytes_work(const void *data, size_t n, struct sfd_pipe_work *ret, uint64_t *ret_size,
	struct splitfd_error *err)
{
	struct bytes *b = malloc(sizeof(*b) + n);

	if (b == NULL)
		return splitfd_error_oom(err);
	b->n = n;
	memcpy(b->data, data, n);
	*ret = (struct sfd_pipe_work){ .run = run_bytes, .free = free, .ctx = b };
	*ret_size = n;
	return 0;
}

static int layer_work(struct splitfd_image *image, size_t i, struct sfd_pipe_work *ret,
	uint64_t *ret_size, struct splitfd_error *err)
{
	struct splitfd_source *source;
	int r = splitfd_image_open_layer(image, i, &source, err);

	if (r < 0)
		return r;
	*ret = (struct sfd_pipe_work){ .run = run_layer, .free = free_layer, .ctx = source };
	*ret_size = splitfd_image_layer(image, i)->size;
	return 0;
}

/* The layer with this diff_id. 1: *ret is the work; 0: the image has none. */
static int find_layer(struct splitfd_image *image, const char *digest, struct sfd_pipe_work *ret,
	uint64_t *ret_size, struct splitfd_error *err)
{
	for (size_t i = 0; i < splitfd_image_n_layers(image); i++) {
		int r;

		if (strcmp(splitfd_image_layer(image, i)->diff_id, digest) != 0)
			continue;
		r = layer_work(image, i, ret, ret_size, err);
		return r < 0 ? r : 1;
	}
	return 0;
}

/* Looks for a layer in all images of a store. */
struct search {
	struct splitfd_store *store;
	const char *digest;
	struct sfd_pipe_work *work;
	uint64_t *size;
};

static int search_image(void *ctx, const struct splitfd_image_row *row)
{
	struct search *s = ctx;
	struct splitfd_image *image;
	int r;

	if (splitfd_image_open(s->store, row->id, SPLITFD_LOOKUP_TRANSPORT, &image, NULL) < 0)
		return 0; /* another image's trouble */
	r = find_layer(image, s->digest, s->work, s->size, NULL);
	splitfd_image_close(image);
	return r > 0;
}

/* As with skopeo, any layer of the image's store can be had, not only the image's own. */
int sfd_native_blob(struct sfd_native *native, const char *digest, struct sfd_pipe_work *ret,
	uint64_t *ret_size, struct splitfd_error *err)
{
	struct splitfd_image *image = sfd_native_image(native);
	struct search search = { sfd_native_store(native), digest, ret, ret_size };
	size_t size;
	const char *config = splitfd_image_config(image, &size);
	int r;

	if (strcmp(digest, empty_digest) == 0)
		return bytes_work(empty_layer, sizeof(empty_layer), ret, ret_size, err);
	r = find_layer(image, digest, ret, ret_size, err);
	if (r != 0)
		return r < 0 ? r : 0;
	if (strcmp(splitfd_image_config_digest(image), digest) == 0)
		return bytes_work(config, size, ret, ret_size, err);
	if (splitfd_store_list_images(search.store, search_image, &search, NULL) > 0)
		return 0;
	return splitfd_error_set(err, SPLITFD_ERROR_NOT_FOUND, ENOENT,
		"there is no blob %s for image %s; layers are named by the digest of their tar "
		"(GetLayerInfo)",
		digest, splitfd_image_id(image));
}

struct verified {
	struct sfd_pipe_work inner;
	uint64_t size;
	char digest[72];
};

static int run_verified(void *ctx, struct sfd_pipe_writer *w, struct splitfd_error *err)
{
	struct verified *v = ctx;
	uint8_t digest[32], wanted[32];
	int r;

	w->sha256 = splitfd_sha256_new();
	if (w->sha256 == NULL)
		return splitfd_error_oom(err);
	r = v->inner.run(v->inner.ctx, w, err);
	if (r == 0)
		splitfd_sha256_final(w->sha256, digest);
	w->sha256 = splitfd_sha256_free(w->sha256);
	if (r < 0)
		return r;
	if (!sfd_parse_sha256(v->digest, wanted) || memcmp(digest, wanted, 32) != 0)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"corrupted blob, expecting %s", v->digest);
	if (w->bytes != v->size)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"expected %" PRIu64 " bytes in blob, got %" PRIu64, v->size, w->bytes);
	return 0;
}

static void free_verified(void *ctx)
{
	struct verified *v = ctx;

	v->inner.free(v->inner.ctx);
	free(v);
}

int sfd_verified_blob(struct sfd_pipe_work *work, const char *digest, uint64_t size,
	struct sfd_pipe_work *ret, struct splitfd_error *err)
{
	struct verified *v = calloc(1, sizeof(*v));

	if (v == NULL) {
		work->free(work->ctx);
		return splitfd_error_oom(err);
	}
	v->inner = *work;
	v->size = size;
	strncpy(v->digest, digest, sizeof(v->digest) - 1);
	*ret = (struct sfd_pipe_work){ .run = run_verified, .free = free_verified, .ctx = v };
	return 0;
}
