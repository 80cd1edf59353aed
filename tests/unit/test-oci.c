/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/digest.h"
#include "tests/unit/temp-dir.h"
#include "transport/composefs/images/listing.h"
#include "transport/composefs/images/oci.h"
#include "transport/composefs/images/tags.h"
#include "transport/oci/go-oci.h"

#define DIFF_A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define DIFF_B "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define LAYER(digest)                                                                              \
	"{\"mediaType\":\"application/"                                                            \
	"vnd.oci.image.layer.v1.tar\",\"size\":1,\"digest\":\"" digest "\"}"
#define CONFIG                                                                                     \
	"{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\","            \
	"\"diff_ids\":[\"" DIFF_B "\",\"" DIFF_A "\",\"" DIFF_B "\"]}}"

static struct splitfd_error err;
static struct splitfd_repository *repository;
static char manifest[1024];

static void open_repository(enum splitfd_algorithm algorithm)
{
	struct splitfd_init_options options = { .algorithm = algorithm, .insecure = true };
	char config[72];

	temp_make();
	CHECK_OK(splitfd_repository_init(temp_path("r"), &options, &err), &err);
	CHECK_OK(splitfd_repository_open(temp_path("r"), true, &repository, &err), &err);
	CHECK_INT(splitfd_sha256_text(CONFIG, strlen(CONFIG), config, NULL), 0);
	snprintf(manifest, sizeof(manifest),
		"{\"schemaVersion\":2,\"config\":{\"mediaType\":"
		"\"application/vnd.oci.image.config.v1+json\",\"digest\":\"%s\",\"size\":%zu},"
		"\"layers\":[" LAYER(DIFF_A) "," LAYER(DIFF_A) "," LAYER(DIFF_A) "]}",
		config, strlen(CONFIG));
}

/* A splitstream with these bytes, as an object. */
static struct splitfd_digest put_stream(const char *type, const char *bytes)
{
	struct sfd_splitstream_writer *w = NULL;
	sfd_cleanup_free char *data = NULL;
	struct splitfd_digest digest;
	enum sfd_object_how how;
	size_t size;

	CHECK_OK(sfd_splitstream_writer_new(
			 splitfd_repository_algorithm(repository), type, -EBADF, &w, &err),
		&err);
	CHECK_OK(sfd_splitstream_inline(w, bytes, strlen(bytes), &err), &err);
	CHECK_OK(sfd_splitstream_finish(w, &data, &size, &err), &err);
	sfd_splitstream_writer_free(w);
	CHECK_OK(sfd_object_put_bytes(repository, data, size, &digest, &how, &err), &err);
	return digest;
}

static void add_layers(struct sfd_names *names, const char *bytes_a)
{
	struct splitfd_digest a = put_stream(SFD_STREAM_LAYER, bytes_a);
	struct splitfd_digest b = put_stream(SFD_STREAM_LAYER, "layer b");

	CHECK_OK(sfd_names_add_object(names, "streams/oci-layer-" DIFF_A, &a, SFD_NAME_ADOPT, &err),
		&err);
	CHECK_OK(sfd_names_add_object(names, "streams/oci-layer-" DIFF_B, &b, SFD_NAME_ADOPT, &err),
		&err);
}

static struct sfd_oci_result commit(
	const char *bytes_a, const char *tag, const struct sfd_oci_ref *images, size_t n_images)
{
	struct sfd_oci_image image = { manifest, strlen(manifest), CONFIG, strlen(CONFIG), images,
		n_images, tag };
	struct sfd_names *names = sfd_names_new(repository);
	struct sfd_oci_result result;

	CHECK(names != NULL);
	add_layers(names, bytes_a);
	CHECK_OK(sfd_oci_commit(repository, names, &image, &result, &err), &err);
	sfd_names_free(names);
	return result;
}

static bool same(const struct splitfd_digest *a, const struct splitfd_digest *b)
{
	return a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}

TEST(an_image_is_written_and_read_again)
{
	static const enum splitfd_algorithm algorithms[] = { SPLITFD_SHA256, SPLITFD_SHA512 };

	for (int i = 0; i < 2; i++) {
		const struct sfd_splitstream_ref *refs;
		struct splitfd_digest b, found;
		struct sfd_oci_result result;
		struct sfd_oci_stored stored;
		char *digest = NULL;
		size_t n;

		open_repository(algorithms[i]);
		result = commit("layer a", "some/tag:1%", NULL, 0);
		CHECK(result.container && !result.converted);
		CHECK_OK(sfd_tag_resolve(repository, "some/tag:1%", &digest, &err), &err);
		CHECK_STR(digest, result.manifest_digest);
		CHECK_OK(sfd_oci_stored_read(repository, digest, &stored, &err), &err);
		CHECK_STR(stored.config.json, CONFIG);
		CHECK_STR(stored.manifest.json, manifest);
		CHECK_INT(stored.config_facts.n_diff_ids, 3);
		refs = sfd_splitstream_refs(stored.config.reader, &n);
		CHECK_INT(n, 2);
		CHECK_STR(refs[0].name, DIFF_A);
		refs = sfd_splitstream_refs(stored.manifest.reader, &n);
		CHECK_INT(n, 3);
		CHECK(sfd_splitstream_find_ref(stored.manifest.reader, DIFF_B, &found));
		CHECK(sfd_name_read(repository, "streams/oci-layer-" DIFF_B, &b, &err) == 1);
		CHECK(same(&b, &found));
		sfd_oci_stored_done(&stored);
		free(digest);
		repository = splitfd_repository_close(repository);
	}
}

TEST(the_same_image_again_changes_nothing)
{
	struct sfd_oci_result one, two;
	struct stat before, after;

	open_repository(SPLITFD_SHA512);
	one = commit("layer a", "t", NULL, 0);
	CHECK(lstat(temp_path("r/streams/refs/oci/t"), &before) == 0);
	two = commit("layer a", "t", NULL, 0);
	CHECK(lstat(temp_path("r/streams/refs/oci/t"), &after) == 0);
	CHECK(same(&one.manifest, &two.manifest) && same(&one.config, &two.config));
	CHECK_INT(before.st_ino, after.st_ino);
	repository = splitfd_repository_close(repository);
}

TEST(a_layer_that_is_there_keeps_its_stream)
{
	struct splitfd_digest before, after, ref;
	struct sfd_oci_result result;
	struct sfd_oci_stored stored;

	open_repository(SPLITFD_SHA512);
	commit("layer a", NULL, NULL, 0);
	CHECK(sfd_name_read(repository, "streams/oci-layer-" DIFF_A, &before, &err) == 1);
	/* Another program's bytes for the same layer, as after a race. */
	result = commit("layer a, compressed otherwise", "t", NULL, 0);
	CHECK(sfd_name_read(repository, "streams/oci-layer-" DIFF_A, &after, &err) == 1);
	CHECK(same(&before, &after));
	CHECK_OK(sfd_oci_stored_read(repository, result.manifest_digest, &stored, &err), &err);
	CHECK(sfd_splitstream_find_ref(stored.config.reader, DIFF_A, &ref) && same(&ref, &before));
	CHECK(sfd_splitstream_find_ref(stored.manifest.reader, DIFF_A, &ref) &&
		same(&ref, &before));
	sfd_oci_stored_done(&stored);
	repository = splitfd_repository_close(repository);
}

TEST(a_layer_whose_object_is_gone_is_replaced)
{
	char path[SFD_OBJECT_PATH_SIZE], name[SFD_OBJECT_PATH_SIZE + 16];
	struct splitfd_digest gone, now;

	open_repository(SPLITFD_SHA512);
	commit("layer a", NULL, NULL, 0);
	CHECK(sfd_name_read(repository, "streams/oci-layer-" DIFF_A, &gone, &err) == 1);
	sfd_object_path(&gone, path);
	snprintf(name, sizeof(name), "r/objects/%s", path);
	CHECK(unlink(temp_path(name)) == 0);
	commit("layer a, compressed otherwise", NULL, NULL, 0);
	CHECK(sfd_name_read(repository, "streams/oci-layer-" DIFF_A, &now, &err) == 1);
	CHECK(!same(&gone, &now));
	repository = splitfd_repository_close(repository);
}

TEST(erofs_references_are_kept_while_their_images_are_there)
{
	struct sfd_oci_ref v1 = { .name = "composefs.image.v1" };
	struct sfd_oci_ref both[2] = { { .name = "composefs.image.boot.v1" } };
	struct splitfd_digest found;
	struct sfd_oci_result result;
	struct sfd_oci_stored stored;

	open_repository(SPLITFD_SHA512);
	both[0].digest = put_stream("anything", "a boot image");
	memset(&both[1], 0, sizeof(both[1]));
	both[1].name = "composefs.image";
	both[1].digest.size = 64; /* no such object */
	commit("layer a", "t", both, 2);
	v1.digest = put_stream("anything", "an image");
	result = commit("layer a", "t", &v1, 1);
	CHECK_OK(sfd_oci_stored_read(repository, result.manifest_digest, &stored, &err), &err);
	CHECK(sfd_splitstream_find_ref(stored.config.reader, "composefs.image.v1", &found));
	CHECK(same(&found, &v1.digest));
	CHECK(sfd_splitstream_find_ref(stored.config.reader, "composefs.image.boot.v1", &found));
	CHECK(same(&found, &both[0].digest));
	CHECK(!sfd_splitstream_find_ref(stored.config.reader, "composefs.image", &found));
	sfd_oci_stored_done(&stored);
	repository = splitfd_repository_close(repository);
}

TEST(other_manifests_of_a_rewritten_config_follow)
{
	struct sfd_oci_ref v1 = { .name = "composefs.image.v1" };
	struct sfd_oci_result one, two;
	struct sfd_oci_stored stored;
	char *layers;

	open_repository(SPLITFD_SHA512);
	one = commit("layer a", "one", NULL, 0);
	layers = strstr(manifest, DIFF_A);
	memcpy(layers, DIFF_B, strlen(DIFF_B)); /* as a compressed layer has another digest */
	v1.digest = put_stream("anything", "an image");
	two = commit("layer a", "two", &v1, 1);
	CHECK(strcmp(one.manifest_digest, two.manifest_digest) != 0);
	CHECK_STR(one.config_digest, two.config_digest);
	CHECK(!same(&one.config, &two.config));
	CHECK_OK(sfd_oci_stored_read(repository, one.manifest_digest, &stored, &err), &err);
	CHECK(same(&stored.config.stream, &two.config));
	sfd_oci_stored_done(&stored);
	repository = splitfd_repository_close(repository);
}

TEST(what_does_not_fit_is_refused_and_leaves_no_name)
{
	struct sfd_oci_image image = { .manifest = manifest, .config = CONFIG };
	struct sfd_names *names;
	struct sfd_oci_result result;
	struct stat st;

	open_repository(SPLITFD_SHA512);
	image.manifest_size = strlen(manifest);
	image.config_size = strlen(CONFIG);
	names = sfd_names_new(repository);
	/* Its layers are missing. */
	CHECK_INT(sfd_oci_commit(repository, names, &image, &result, &err), -ENOENT);
	CHECK_INT(err.kind, SPLITFD_ERROR_NOT_FOUND);
	/* Another config. */
	image.config_size--;
	CHECK_INT(sfd_oci_commit(repository, names, &image, &result, &err), -EBADMSG);
	CHECK_INT(err.kind, SPLITFD_ERROR_REFUSED);
	image.config_size++;
	add_layers(names, "layer a");
	image.tag = "@sha256";
	CHECK_INT(sfd_oci_commit(repository, names, &image, &result, &err), -EINVAL);
	CHECK_INT(err.kind, SPLITFD_ERROR_USAGE);
	CHECK(lstat(temp_path("r/streams"), &st) < 0);
	sfd_names_free(names);
	repository = splitfd_repository_close(repository);
}

TEST(tags_are_encoded_as_cfsctl_does)
{
	static const char *const odd[] = { "", "..", ".", "@x" };
	char *name = NULL, *decoded, longest[300];

	CHECK_OK(sfd_tag_name("oci:/a%b/c:1", &name, &err), &err);
	CHECK_STR(name, "streams/refs/oci/oci:%2Fa%25b%2Fc:1");
	decoded = sfd_tag_decode(name + strlen("streams/refs/oci/"));
	CHECK_STR(decoded, "oci:/a%b/c:1");
	free(decoded);
	free(name);
	decoded = sfd_tag_decode("%252F%2f%3A%");
	CHECK_STR(decoded, "%2F%2f%3A%");
	free(decoded);
	for (int i = 0; i < 4; i++)
		CHECK_INT(sfd_tag_name(odd[i], &name, &err), -EINVAL);
	memset(longest, 'x', sizeof(longest));
	longest[299] = '\0';
	CHECK_INT(sfd_tag_name(longest, &name, &err), -EINVAL);
}

TEST(docker_manifests_are_converted)
{
	static const char docker[] =
		"{\"schemaVersion\":2,\"mediaType\":"
		"\"application/"
		"vnd.docker.distribution.manifest.v2+json\",\"config\":{\"mediaType\":"
		"\"application/vnd.docker.container.image.v1+json\",\"size\":7,\"digest\":\"" DIFF_A
		"\"},\"layers\":[{\"mediaType\":\"application/"
		"vnd.docker.image.rootfs.diff.tar.gzip\","
		"\"size\":9007199254740991,\"digest\":\"" DIFF_B "\"},{\"mediaType\":"
		"\"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip\",\"size\":1,"
		"\"digest\":\"" DIFF_A "\",\"urls\":[\"http://x/?a=<1>&b\"]}]}";
	static const char oci[] =
		"{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
		"\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":"
		"\"" DIFF_A "\",\"size\":7},\"layers\":[{\"mediaType\":"
		"\"application/vnd.oci.image.layer.v1.tar+gzip\",\"digest\":\"" DIFF_B
		"\",\"size\":9007199254740991},{\"mediaType\":"
		"\"application/"
		"vnd.oci.image.layer.nondistributable.v1.tar+gzip\",\"digest\":\"" DIFF_A
		"\",\"size\":1,\"urls\":[\"http://x/?a=\\u003c1\\u003e\\u0026b\"]}]}";
	sfd_cleanup_free char *out = NULL;
	size_t size = 0;

	CHECK_INT(sfd_oci_convert_docker(docker, strlen(docker), &out, &size, &err), 1);
	CHECK_STR(out, oci);
	CHECK_INT(size, strlen(oci));
	CHECK_INT(sfd_oci_convert_docker(oci, strlen(oci), &out, &size, &err), 0);
	CHECK_INT(sfd_oci_convert_docker("{\"manifests\":[]}", 16, &out, &size, &err),
		-EPROTONOSUPPORT);
	CHECK_INT(sfd_oci_convert_docker("nothing", 7, &out, &size, &err), -EBADMSG);
}

/* What a pull stores and what a client of the proxy gets is the same manifest where the config is
 * OCI's already. */
TEST(both_conversions_of_a_docker_manifest_write_the_same_bytes)
{
	sfd_cleanup_buffer struct sfd_buffer proxy = { .max = 65536 }, config = { .max = 65536 };
	sfd_cleanup_free char *stored = NULL;
	char docker[2048], digest[72];
	size_t size = 0;

	CHECK_OK(sfd_oci_config(CONFIG, strlen(CONFIG), false, &config, &err), &err);
	CHECK_INT(splitfd_sha256_text(config.data, config.len, digest, NULL), 0);
	(void)snprintf(docker, sizeof(docker),
		"{\"schemaVersion\":2,\"mediaType\":"
		"\"application/vnd.docker.distribution.manifest.v2+json\",\"config\":{\"size\":%zu,"
		"\"mediaType\":\"application/vnd.docker.container.image.v1+json\",\"digest\":"
		"\"%s\"},\"layers\":[{\"mediaType\":"
		"\"application/vnd.docker.image.rootfs.diff.tar.gzip\",\"size\":9007199254740991,"
		"\"digest\":\"" DIFF_B "\",\"urls\":[]},{\"mediaType\":"
		"\"application/vnd.docker.image.rootfs.foreign.diff.tar\",\"size\":0,"
		"\"digest\":\"" DIFF_A "\",\"urls\":[\"\\b\\f\\u001f\\/\\\"<>&\\u2028\",\"\"]}]}",
		config.len, digest);
	CHECK_OK(sfd_oci_manifest(docker, strlen(docker), CONFIG, strlen(CONFIG), &proxy, &err),
		&err);
	CHECK_INT(sfd_oci_convert_docker(docker, strlen(docker), &stored, &size, &err), 1);
	CHECK_INT(sfd_buffer_append(&proxy, "", 1), 0);
	CHECK_STR((const char *)proxy.data, stored);
	CHECK(strstr(stored, "[\"\\b\\f\\u001f/\\\"\\u003c\\u003e\\u0026\\u2028\",\"\"]") != NULL);
}
