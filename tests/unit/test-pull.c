/* SPDX-License-Identifier: Apache-2.0 */
/* A pull whose layer has no file tree, with and without a text for its errors. */
#include "splitfdstream/digest.h"
#include "tests/unit/temp-dir.h"
#include "transport/copy/pull.h"

#define END_SIZE 1024

/* A tar of one hard link to what is not there, which neither podman nor cfsctl takes. */
static size_t make_tar(uint8_t tar[512 + END_SIZE])
{
	static const char magic[] = "ustar\00000";
	unsigned int sum = 0;

	memset(tar, 0, 512 + END_SIZE);
	memcpy(tar, "link", 4);
	memcpy(tar + 100, "0000644", 7);
	memcpy(tar + 108, "0000000", 7);
	memcpy(tar + 116, "0000000", 7);
	memcpy(tar + 124, "00000000000", 11);
	memcpy(tar + 136, "00000000000", 11);
	memset(tar + 148, ' ', 8);
	tar[156] = '1';
	memcpy(tar + 157, "missing", 7);
	memcpy(tar + 257, magic, 8);
	for (int i = 0; i < 512; i++)
		sum += tar[i];
	(void)snprintf((char *)tar + 148, 8, "%06o", sum);
	return 512 + END_SIZE;
}

/* Everything between the repository and the end of the pull. */
static struct sfd_pull *begin(enum sfd_tree_choice tree, struct splitfd_error *err)
{
	static uint8_t tar[512 + END_SIZE];
	const struct splitfd_init_options init = { .insecure = true };
	struct sfd_pull_options options = {
		.reference = "image", .tree = tree, .no_verify_diff_id = true
	};
	struct splitfd_chunk chunk = { .kind = SPLITFD_CHUNK_INLINE, .fd = -EBADF, .data = tar };
	char diff_id[72], config_digest[72], manifest[512], config[512];
	const char *diff_ids[] = { diff_id };
	struct splitfd_sink *sink = NULL;
	struct sfd_pull *pull = NULL;

	temp_make();
	options.repository = temp_path("r");
	CHECK_INT(splitfd_repository_init(options.repository, &init, err), 0);
	CHECK_INT(sfd_pull_new(&options, &pull, err), 0);
	chunk.data_len = make_tar(tar);
	CHECK_INT(splitfd_sha256_text(tar, chunk.data_len, diff_id, err), 0);
	(void)snprintf(config, sizeof(config),
		"{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\","
		"\"diff_ids\":[\"%s\"]}}",
		diff_id);
	CHECK_INT(splitfd_sha256_text(config, strlen(config), config_digest, err), 0);
	(void)snprintf(manifest, sizeof(manifest),
		"{\"schemaVersion\":2,\"config\":{\"mediaType\":"
		"\"application/vnd.oci.image.config.v1+json\",\"digest\":\"%s\",\"size\":1},"
		"\"layers\":[{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\","
		"\"digest\":\"%s\",\"size\":1}]}",
		config_digest, diff_id);
	CHECK_INT(sfd_pull_begin(pull, manifest, strlen(manifest), config, strlen(config), diff_ids,
			  1, err),
		0);
	CHECK_INT(sfd_pull_layer_sink(pull, 0, UINT64_MAX, &sink, err), 0);
	CHECK(sink != NULL);
	CHECK_INT(splitfd_sink_put(sink, &chunk, err), 0);
	return pull;
}

/* No image, for the same reason, whether or not the caller wants a text. */
static void check_end(enum sfd_tree_choice tree)
{
	struct splitfd_error err = { 0 };
	struct sfd_pull_result result;
	char why[1024] = "";

	for (int silent = 0; silent < 2; silent++) {
		struct sfd_pull *pull = begin(tree, silent ? NULL : &err);

		CHECK_INT(sfd_pull_end(pull, silent ? NULL : &err), 0);
		sfd_pull_get_result(pull, &result);
		CHECK(result.image == NULL && result.why_no_image != NULL);
		if (silent)
			CHECK_STR(result.why_no_image, why);
		else
			(void)snprintf(why, sizeof(why), "%s", result.why_no_image);
		CHECK(strstr(why, "missing") != NULL);
		sfd_pull_free(pull);
	}
}

TEST(no_tree_by_either_program)
{
	check_end(SFD_TREE_OF_NEITHER);
}

TEST(no_tree_by_the_one_that_was_chosen)
{
	check_end(SFD_TREE_OF_PODMAN);
	check_end(SFD_TREE_OF_CFSCTL);
}
