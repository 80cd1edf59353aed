/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/base/text.h"
#include "tests/unit/splitstream-fixture.h"

/* The worked examples were observed on cfsctl 0.9.4. */
static const char *const empty_ids[] = {
	"c93c6d44a4dab11e45eb0b7c78736f03ec5276cc9d18524dd21a96591d17351b",
	"ab8dadfde0d447bc19f7f93858a451af364119f7fe8871d7caa20f3736e6e018"
	"968d95c331568891b7d3ed7e6ad50b761e5403f3cbd2279b59bd628cb9ee3b5f",
};
static const char *const zeros_ids[] = {
	"2452b5e54f4aa25b2df3d9d238c92f26e6c2dc9a805ad08f93812dd504ef45b9",
	"f5abd32fc5a00f29c1ad7fc8e28f4b456ebdb734033ff2c4997a2c5e4ba22fda"
	"584c7734261c90af7b28394939fa9db8604505ed3a1e27da39d6a125acd6a0f6",
};
static const char *const tar_ids[] = {
	"7d934ed157d330e3f311864d34085e372f39af0e62d6fde55b778c445579b327",
	"a30e3352b4b745e45b6907f42c29e752035fb40aaaa07633a05d26603cff9ea8"
	"040fc2295243d69482cb40a05ae6486e493fb17a647c8b27e5219b977365615c",
};
static const char zeros_file[] = "53706c697453747265616d000000010c20000000000000007000000000000000"
				 "7000000000000000700000000000000070000000000000007000000000000000"
				 "79000000000000008f0000000000000070000000000000007900000000000000"
				 "6f63696c617965720004000000000000"
				 "28b52ffd200001000028b52ffd00586d00002000fcff000200fc4189160c01";

static const enum splitfd_algorithm algorithms[] = { SPLITFD_SHA256, SPLITFD_SHA512 };

static void check_id(
	enum splitfd_algorithm algorithm, const char *data, size_t size, const char *id)
{
	struct splitfd_digest digest;
	char hex[2 * SPLITFD_DIGEST_MAX + 1];

	CHECK_INT(sfd_verity_bytes(algorithm, data, size, &digest), 0);
	splitfd_digest_hex(&digest, hex);
	CHECK_STR(hex, id);
}

TEST(empty_layer_is_cfsctls)
{
	for (int i = 0; i < 2; i++) {
		sfd_cleanup_free char *data = NULL;
		size_t size;

		finish(new_writer(algorithms[i]), &data, &size);
		CHECK_INT(size, 130);
		check_id(algorithms[i], data, size, empty_ids[i]);
		CHECK_INT(open_and_read(data, size, algorithms[i]), 0);
	}
}

TEST(layer_of_zeros_is_cfsctls)
{
	static const char zeros[1024];

	for (int i = 0; i < 2; i++) {
		struct sfd_splitstream_writer *w = new_writer(algorithms[i]);
		sfd_cleanup_free char *data = NULL;
		char hex[2 * 143 + 1];
		size_t size;

		for (size_t at = 0; at < sizeof(zeros); at += 256)
			CHECK_OK(sfd_splitstream_inline(w, zeros + at, 256, &err), &err);
		finish(w, &data, &size);
		CHECK_INT(size, 143);
		check_id(algorithms[i], data, size, zeros_ids[i]);
		sfd_hex_encode((const uint8_t *)data, size, hex);
		if (algorithms[i] == SPLITFD_SHA256)
			CHECK_STR(hex, zeros_file);
	}
}

TEST(tar_a_is_cfsctls)
{
	for (int i = 0; i < 2; i++) {
		sfd_cleanup_free char *data = NULL;
		struct sfd_splitstream *s;
		struct splitfd_digest digest;
		struct sums sums;
		size_t size;

		make_tar_a(algorithms[i], &data, &size);
		CHECK_INT(size, algorithms[i] == SPLITFD_SHA256 ? 246 : 278);
		check_id(algorithms[i], data, size, tar_ids[i]);
		CHECK_OK(open_bytes(data, size, algorithms[i], SFD_STREAM_LAYER, &s), &err);
		CHECK_INT(sfd_splitstream_size(s), 2048);
		CHECK_INT(sfd_splitstream_n_objects(s), 1);
		CHECK_OK(sfd_splitstream_object_ref(s, 0, &digest, &err), &err);
		if (algorithms[i] == SPLITFD_SHA256)
			CHECK_INT(digest.bytes[0], 0x60);
		CHECK(sfd_splitstream_object_ref(s, 1, &digest, &err) < 0);
		CHECK_OK(read_all(s, &sums), &err);
		CHECK_INT(sums.inline_bytes, 1948);
		CHECK_INT(sums.objects, 1);
		sfd_splitstream_rewind(s);
		CHECK_OK(read_all(s, &sums), &err);
		CHECK_INT(sums.inline_bytes, 1948);
		sfd_splitstream_free(s);
	}
}

TEST(single_object_stream_is_cfsctls)
{
	struct sfd_splitstream_writer *w = new_writer(SPLITFD_SHA256);
	struct splitfd_digest digest = digest_of(SPLITFD_SHA256, "{}", 2);
	sfd_cleanup_free char *data = NULL;
	char hex[35];
	size_t size;

	CHECK_OK(sfd_splitstream_object(w, &digest, 2, &err), &err);
	finish(w, &data, &size);
	sfd_hex_encode((const uint8_t *)data + size - 17, 17, hex);
	CHECK_STR(hex, "28b52ffd0058410000000000000000"
		       "0000");
}

TEST(references_keep_their_order_and_share_digests)
{
	struct sfd_splitstream_writer *w = new_writer(SPLITFD_SHA512);
	struct splitfd_digest a = digest_of(SPLITFD_SHA512, "a", 1);
	struct splitfd_digest b = digest_of(SPLITFD_SHA512, "b", 1), found;
	const struct sfd_splitstream_ref *refs;
	sfd_cleanup_free char *data = NULL;
	struct sfd_splitstream *s;
	size_t size, n;

	CHECK_OK(sfd_splitstream_ref(w, "sha256:58", &b, &err), &err);
	CHECK_OK(sfd_splitstream_ref(w, "config:sha256:35", &a, &err), &err);
	CHECK_OK(sfd_splitstream_ref(w, "again", &b, &err), &err);
	CHECK_OK(sfd_splitstream_ref(w, "sha256:58", &b, &err), &err);
	finish(w, &data, &size);
	CHECK(memcmp(data + 112, b.bytes, 64) == 0);
	CHECK(memcmp(data + 112 + 64, a.bytes, 64) == 0);
	CHECK_OK(open_bytes(data, size, SPLITFD_SHA512, SFD_STREAM_LAYER, &s), &err);
	refs = sfd_splitstream_refs(s, &n);
	CHECK_INT(n, 3);
	CHECK_STR(refs[0].name, "again");
	CHECK_STR(refs[1].name, "config:sha256:35");
	CHECK_STR(refs[2].name, "sha256:58");
	CHECK(memcmp(refs[0].digest.bytes, b.bytes, 64) == 0);
	CHECK(sfd_splitstream_find_ref(s, "config:sha256:35", &found));
	CHECK(memcmp(found.bytes, a.bytes, 64) == 0);
	CHECK(!sfd_splitstream_find_ref(s, "sha256:59", &found));
	sfd_splitstream_free(s);
}

TEST(one_name_for_two_streams_is_refused_and_sticks)
{
	struct sfd_splitstream_writer *w = new_writer(SPLITFD_SHA512);
	struct splitfd_digest a = digest_of(SPLITFD_SHA512, "a", 1);
	struct splitfd_digest b = digest_of(SPLITFD_SHA512, "b", 1);
	char *data;
	size_t size;

	CHECK_OK(sfd_splitstream_ref(w, "x", &a, &err), &err);
	CHECK_INT(sfd_splitstream_ref(w, "x", &b, &err), -EEXIST);
	CHECK_INT(sfd_splitstream_finish(w, &data, &size, &err), -EEXIST);
	sfd_splitstream_writer_free(w);
}

TEST(long_runs_go_through_a_file_and_come_out_the_same)
{
	struct sfd_splitstream_writer *one = new_writer(SPLITFD_SHA256);
	struct sfd_splitstream_writer *two = new_writer(SPLITFD_SHA256);
	const size_t n = 9 * 1024 * 1024 + 77;
	sfd_cleanup_free uint8_t *bytes = malloc(n);
	sfd_cleanup_free char *data1 = NULL, *data2 = NULL;
	size_t size1, size2;
	struct sfd_splitstream *s;
	struct sums sums;

	CHECK(bytes != NULL);
	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)((i * i) >> 9);
	CHECK_OK(sfd_splitstream_inline(one, bytes, n, &err), &err);
	for (size_t at = 0; at < n; at += 1000)
		CHECK_OK(sfd_splitstream_inline(
				 two, bytes + at, n - at < 1000 ? n - at : 1000, &err),
			&err);
	finish(one, &data1, &size1);
	finish(two, &data2, &size2);
	CHECK_INT(size1, size2);
	CHECK(memcmp(data1, data2, size1) == 0);
	CHECK_OK(open_bytes(data1, size1, SPLITFD_SHA256, NULL, &s), &err);
	CHECK_OK(read_all(s, &sums), &err);
	CHECK_INT(sums.inline_bytes, n);
	sfd_splitstream_free(s);
}

TEST(many_objects_have_their_places)
{
	struct sfd_splitstream_writer *w = new_writer(SPLITFD_SHA256);
	sfd_cleanup_free char *data = NULL;
	struct splitfd_digest digest;
	struct sfd_splitstream *s;
	struct sums sums;
	size_t size;

	for (int i = 0; i < 10000; i++) {
		int name = i % 5000;

		digest = digest_of(SPLITFD_SHA256, (const char *)&name, sizeof(name));
		CHECK_OK(sfd_splitstream_object(w, &digest, 100, &err), &err);
	}
	finish(w, &data, &size);
	CHECK_OK(open_bytes(data, size, SPLITFD_SHA256, NULL, &s), &err);
	CHECK_INT(sfd_splitstream_n_objects(s), 5000);
	for (int i = 4999; i >= 0; i -= 7) {
		struct splitfd_digest want = digest_of(SPLITFD_SHA256, (const char *)&i, sizeof(i));

		CHECK_OK(sfd_splitstream_object_ref(s, (size_t)i, &digest, &err), &err);
		CHECK(memcmp(&digest, &want, sizeof(want)) == 0);
	}
	CHECK_OK(read_all(s, &sums), &err);
	CHECK_INT(sums.objects, 10000);
	CHECK_INT(sums.last, 4999);
	sfd_splitstream_free(s);
}
