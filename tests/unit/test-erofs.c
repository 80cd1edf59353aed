/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"
#include "transport/composefs/erofs/erofs-private.h"
#include "transport/composefs/erofs/erofs-writer.h"
#include "transport/composefs/verity.h"

#include <errno.h>
#include <stdlib.h>

TEST(xxh32_vectors)
{
	/* of the xxHash project */
	CHECK_INT(sfd_xxh32((const uint8_t *)"", 0, 0), 0x02cc5d05u);
	CHECK_INT(sfd_xxh32((const uint8_t *)"a", 1, 0), 0x550d7456u);
	CHECK_INT(sfd_xxh32((const uint8_t *)"abc", 3, 0), 0x32d153ffu);
	CHECK_INT(sfd_xxh32((const uint8_t *)"Nobody inspects the spammish repetition", 39, 0),
		0xe2293b2fu);
}

TEST(chunk_bits_at_their_bounds)
{
	CHECK_INT(sfd_erofs_chunk_bits(0), 12);
	CHECK_INT(sfd_erofs_chunk_bits(4096), 12);
	CHECK_INT(sfd_erofs_chunk_bits(4097), 13);
	CHECK_INT(sfd_erofs_chunk_bits(1ULL << 43), 43);
	CHECK_INT(sfd_erofs_chunk_bits(UINT64_MAX), 43);
}

static struct sfd_tree *make_tree(size_t n_xattrs, size_t value_len)
{
	static char names[70000][16];
	static uint8_t value[65535];
	struct sfd_tree_xattr *xattrs = calloc(n_xattrs + 1, sizeof(*xattrs));
	struct sfd_tree_item root = {
		.type = SFD_TREE_DIRECTORY, .path = "/", .path_len = 1, .mode = 0755
	};
	struct sfd_tree_item file = { .type = SFD_TREE_FILE,
		.path = "f",
		.path_len = 1,
		.mode = 0644,
		.size = 3,
		.data = (const uint8_t *)"abc",
		.xattrs = xattrs,
		.n_xattrs = n_xattrs };
	struct splitfd_error err = { 0 };
	struct sfd_tree *tree;

	for (size_t i = 0; i < n_xattrs; i++) {
		snprintf(names[i], sizeof(names[i]), "user.%zu", i);
		xattrs[i] = (struct sfd_tree_xattr){ .name = names[i],
			.name_len = (uint16_t)strlen(names[i]),
			.value = value,
			.value_len = (uint16_t)value_len };
	}
	CHECK_OK(sfd_tree_new(SPLITFD_SHA256, &tree, &err), &err);
	CHECK_OK(sfd_tree_put(tree, &root, &err), &err);
	CHECK_OK(sfd_tree_put(tree, &file, &err), &err);
	CHECK_OK(sfd_tree_freeze(tree, &err), &err);
	free(xattrs);
	return tree;
}

static int to_file(void *ctx, const uint8_t *data, size_t len, struct splitfd_error *err)
{
	(void)err;
	return fwrite(data, 1, len, ctx) == len ? 0 : -EIO;
}

TEST(in_memory_and_by_digest)
{
	for (int format = 0; format < 3; format++) {
		struct sfd_tree *tree = make_tree(2, 5);
		struct splitfd_error err = { 0 };
		struct splitfd_digest a, b;
		uint64_t told;
		char *data = NULL;
		size_t size;
		FILE *out = open_memstream(&data, &size);

		CHECK_OK(sfd_erofs_write(tree, format, &told, to_file, out, &err), &err);
		CHECK_INT(fclose(out), 0);
		CHECK_INT(size, told);
		CHECK_OK(sfd_erofs_digest(tree, format, &a, &err), &err);
		CHECK_OK(sfd_verity_bytes(SPLITFD_SHA256, data, size, &b), &err);
		CHECK(memcmp(a.bytes, b.bytes, 32) == 0);
		CHECK_INT(size % 4096, 0);
		CHECK_INT(data[12], format);
		free(data);
		sfd_tree_free(tree);
	}
}

TEST(xattrs_that_do_not_fit)
{
	struct splitfd_error err = { 0 };
	struct splitfd_digest digest;
	struct sfd_tree *tree = make_tree(4, 65535);

	/* 65534 words of xattrs fit, 65536 do not */
	CHECK_INT(sfd_erofs_digest(tree, 1, &digest, &err), -E2BIG);
	CHECK(strncmp(err.text, "/f: ", 4) == 0);
	sfd_tree_free(tree);
	tree = make_tree(3, 65535);
	CHECK_OK(sfd_erofs_digest(tree, 1, &digest, &err), &err);
	sfd_tree_free(tree);
}

/* The image of `cfsctl mkcomposefs --from-file --min-version=1` for
 *	/ 0 40755 2 0 0 0 0.0 - - -
 *	/f 3 100644 1 0 0 0 0.0 - abc -
 */
TEST(the_digest_that_cfsctl_gives)
{
	static const char want[] =
		"fff491ca207c2981cd6bbe3de197380e52f85531180e1d2bc9f088df6f381b47";
	struct sfd_tree *tree = make_tree(0, 0);
	struct splitfd_error err = { 0 };
	struct splitfd_digest digest;
	char hex[2 * SPLITFD_DIGEST_MAX + 1];

	CHECK_OK(sfd_erofs_digest(tree, 1, &digest, &err), &err);
	splitfd_digest_hex(&digest, hex);
	CHECK_STR(hex, want);
	sfd_tree_free(tree);
}
