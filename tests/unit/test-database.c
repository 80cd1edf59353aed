/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/containers-storage/database.h"
#include "transport/containers-storage/store-files.h"
#include "tests/unit/temp-dir.h"

#include <errno.h>
#include <time.h>

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static struct splitfd_error err;
static int dir = -1;

static void fresh(void)
{
	if (dir >= 0)
		close(dir);
	temp_make();
	dir = open(temp_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	CHECK(dir >= 0);
	splitfd_error_clear(&err);
}

/* Reads the text as both kinds of list; both must fail in the same way. */
static void refused(const char *text, enum splitfd_error_kind kind)
{
	struct sfd_layer_list layers = { 0 };
	struct sfd_image_list images = { 0 };
	int r;

	if (text != NULL)
		temp_file("x.json", text);
	r = sfd_layer_list_read(&layers, dir, "x.json", "store", &err);
	sfd_layer_list_done(&layers);
	if (r >= 0)
		printf("# accepted: %.80s\n", text);
	CHECK(r < 0);
	CHECK_INT(err.kind, kind);
	CHECK(sfd_image_list_read(&images, dir, "x.json", "store", &err) < 0);
	sfd_image_list_done(&images);
	CHECK_INT(err.kind, kind);
}

TEST(absent_and_empty_are_empty_lists)
{
	static const char *const texts[] = { "", "[]", "null", " [ ] \n" };
	struct sfd_layer_list layers = { 0 };

	fresh();
	CHECK_OK(sfd_layer_list_read(&layers, dir, "x.json", "store", &err), &err);
	CHECK_INT(layers.n, 0);
	CHECK(!layers.stamp.exists);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		temp_file("x.json", texts[i]);
		CHECK_OK(sfd_layer_list_read(&layers, dir, "x.json", "store", &err), &err);
		CHECK_INT(layers.n, 0);
		CHECK(sfd_layer_list_find(&layers, A) == NULL);
		sfd_layer_list_done(&layers);
	}
}

TEST(layers)
{
	static const char text[] =
		"[{\"id\":\"" B "\",\"parent\":\"" A "\",\"diff-digest\":\"sha256:" B
		"\",\"diff-size\":9007199254740991,\"flags\":{\"incomplete\":true}},"
		"{\"id\":\"" A "\",\"parent\":\"\",\"flags\":null,\"unknown\":[{}]},"
		"{\"id\":\"" A "\",\"diff-size\":7,"
		"\"flags\":{\"expected-layer-diffid\":\"sha256:" A "\",\"incomplete\":false}}]";
	struct sfd_layer_list layers = { 0 };
	const struct sfd_layer_record *record;

	fresh();
	temp_file("x.json", text);
	CHECK_OK(sfd_layer_list_read(&layers, dir, "x.json", "store", &err), &err);
	CHECK_INT(layers.n, 3);
	record = sfd_layer_list_find(&layers, B);
	CHECK(record != NULL && record->incomplete);
	CHECK_STR(record->parent, A);
	CHECK_INT(record->diff_size, 9007199254740991);
	/* Of two records with one ID the first counts. */
	record = sfd_layer_list_find(&layers, A);
	CHECK(record != NULL && record->parent == NULL && record->diff_digest == NULL);
	CHECK_INT(record->diff_size, 0);
	CHECK(!record->incomplete && !layers.v[2].incomplete);
	CHECK_STR(layers.v[2].expected_diff_id, "sha256:" A);
	sfd_layer_list_done(&layers);
}

TEST(images)
{
	static const char text[] =
		"[{\"id\":\"" A "\",\"names\":[\"localhost/x:latest\",\"b\"],\"layer\":\"" B
		"\",\"created\":\"now\",\"big-data-digests\":{\"manifest\":\"sha256:" B "\"}},"
		"{\"id\":\"" B "\",\"names\":null,\"digest\":\"sha256:" A "\"}]";
	struct sfd_image_list images = { 0 };
	const struct sfd_image_record *record;

	fresh();
	temp_file("x.json", text);
	CHECK_OK(sfd_image_list_read(&images, dir, "x.json", "store", &err), &err);
	CHECK_INT(images.n, 2);
	record = sfd_image_list_find(&images, A);
	CHECK_STR(record->names[1], "b");
	CHECK(record->names[2] == NULL);
	CHECK_STR(record->layer, B);
	CHECK_STR(sfd_image_big_data_digest(record, "manifest"), "sha256:" B);
	CHECK(sfd_image_big_data_digest(record, "other") == NULL);
	record = sfd_image_list_find(&images, B);
	CHECK(record->names[0] == NULL && record->layer == NULL);
	CHECK(sfd_image_big_data_digest(record, "manifest") == NULL);
	CHECK(sfd_image_list_find(&images, "c") == NULL);
	sfd_image_list_done(&images);
}

TEST(malformed_lists_are_refused)
{
	static const char *const texts[] = { "{}", "[", "[{}", "[{}] x", "\"a\"", "\xff\xfe",
		"[{\"id\":\"" A "\"},{\"id\":\"" B };

	fresh();
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		refused(texts[i], SPLITFD_ERROR_REFUSED);
}

/* A list of one odd record between two good ones has these two. */
static void odd_record(const char *record, bool layers)
{
	struct sfd_layer_list layer_list = { 0 };
	struct sfd_image_list image_list = { 0 };
	const struct sfd_odd_records *odd = layers ? &layer_list.odd : &image_list.odd;
	char text[1024];

	(void)snprintf(text, sizeof(text),
		"[{\"id\":\"" A "\",\"names\":[\"a\"]},%s,{\"id\":\"" B "\"}]", record);
	temp_file("x.json", text);
	if (layers)
		CHECK_OK(sfd_layer_list_read(&layer_list, dir, "x.json", "store", &err), &err);
	else
		CHECK_OK(sfd_image_list_read(&image_list, dir, "x.json", "store", &err), &err);
	if (odd->n != 1)
		printf("# %s\n", record);
	CHECK_INT(odd->n, 1);
	CHECK(strstr(odd->first, "store: x.json: record 1 is malformed: ") == odd->first);
	CHECK_INT(layers ? layer_list.n : image_list.n, 2);
	CHECK(layers ? sfd_layer_list_find(&layer_list, B) != NULL
		     : sfd_image_list_find(&image_list, B) != NULL);
	splitfd_error_set(&err, SPLITFD_ERROR_NOT_FOUND, ENOENT, "not there");
	CHECK_INT(sfd_odd_records_note(odd, -ENOENT, &err), -ENOENT);
	CHECK(strstr(err.text, "not there; 1 record could not be read, the first: store: ") ==
		err.text);
	sfd_layer_list_done(&layer_list);
	sfd_image_list_done(&image_list);
}

TEST(an_odd_record_spoils_only_itself)
{
	static const char *const both[] = { "1", "null", "{}", "{\"id\":1}", "{\"id\":\"\"}",
		"{\"id\":\"../etc\"}", "{\"id\":\"" A "0\"}",
		"{\"id\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}" };
	static const char *const layer[] = { "\"parent\":1", "\"parent\":\"../x\"",
		"\"diff-digest\":{}", "\"toc-digest\":[]", "\"diff-size\":\"1\"",
		"\"diff-size\":-1", "\"diff-size\":1.5", "\"diff-size\":1e999",
		"\"diff-size\":9007199254740994", "\"flags\":[]",
		"\"flags\":{\"expected-layer-diffid\":1}" };
	static const char *const image[] = { "\"names\":\"x\"", "\"names\":[\"a\",1]",
		"\"layer\":\"x\"", "\"layer\":1", "\"digest\":1", "\"created\":{}",
		"\"big-data-digests\":[]", "\"big-data-digests\":{\"a\":1}" };
	char text[256];

	fresh();
	for (size_t i = 0; i < sizeof(both) / sizeof(both[0]); i++) {
		odd_record(both[i], true);
		odd_record(both[i], false);
	}
	for (size_t i = 0; i < sizeof(layer) / sizeof(layer[0]); i++) {
		(void)snprintf(text, sizeof(text), "{\"id\":\"" A "\",%s}", layer[i]);
		odd_record(text, true);
	}
	for (size_t i = 0; i < sizeof(image) / sizeof(image[0]); i++) {
		(void)snprintf(text, sizeof(text), "{\"id\":\"" A "\",%s}", image[i]);
		odd_record(text, false);
	}
}

TEST(anything_but_false_is_incomplete)
{
	static const char *const values[] = { "true", "1", "\"false\"", "null", "{}" };
	char text[256];

	fresh();
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct sfd_layer_list list = { 0 };

		(void)snprintf(text, sizeof(text),
			"[{\"id\":\"" A "\",\"flags\":{\"incomplete\":%s}}]", values[i]);
		temp_file("x.json", text);
		CHECK_OK(sfd_layer_list_read(&list, dir, "x.json", "store", &err), &err);
		CHECK(list.v[0].incomplete);
		sfd_layer_list_done(&list);
	}
}

TEST(deep_nesting_is_refused)
{
	enum { DEPTH = 200000 };
	char *text = malloc(2 * DEPTH + 1);

	CHECK(text != NULL);
	memset(text, '[', DEPTH);
	memset(text + DEPTH, ']', DEPTH);
	text[2 * DEPTH] = '\0';
	fresh();
	refused(text, SPLITFD_ERROR_REFUSED);
	free(text);
}

TEST(what_is_no_file_is_not_opened)
{
	fresh();
	CHECK(mkfifo(temp_path("x.json"), 0600) == 0);
	refused(NULL, SPLITFD_ERROR_REFUSED);
	fresh();
	CHECK(mkdir(temp_path("x.json"), 0700) == 0);
	refused(NULL, SPLITFD_ERROR_REFUSED);
	fresh();
	temp_file("real.json", "[]");
	CHECK(symlink("real.json", temp_path("x.json")) == 0);
	refused(NULL, SPLITFD_ERROR_FAILED);
	fresh();
	CHECK(symlink("/dev/zero", temp_path("x.json")) == 0);
	refused(NULL, SPLITFD_ERROR_FAILED);
	fresh();
	temp_file("x.json", "");
	CHECK(truncate(temp_path("x.json"), 1LL << 40) == 0);
	refused(NULL, SPLITFD_ERROR_FAILED);
	CHECK_INT(err.errnum, EFBIG);
}

TEST(stamps_tell_files_apart)
{
	struct sfd_layer_list list = { 0 };

	fresh();
	CHECK_OK(sfd_layer_list_read(&list, dir, "x.json", "store", &err), &err);
	CHECK(sfd_file_stamp_same(&list.stamp, dir, "x.json"));
	temp_file("x.json", "[]");
	CHECK(!sfd_file_stamp_same(&list.stamp, dir, "x.json"));
	CHECK_OK(sfd_layer_list_read(&list, dir, "x.json", "store", &err), &err);
	CHECK(sfd_file_stamp_same(&list.stamp, dir, "x.json"));
	temp_file("y.json", "[]");
	CHECK(rename(temp_path("y.json"), temp_path("x.json")) == 0);
	CHECK(!sfd_file_stamp_same(&list.stamp, dir, "x.json"));
	CHECK(unlink(temp_path("x.json")) == 0);
	CHECK(!sfd_file_stamp_same(&list.stamp, dir, "x.json"));
	sfd_layer_list_done(&list);
}

TEST(names_of_big_data)
{
	char name[128];

	CHECK_OK(sfd_store_big_data_name("manifest", name, sizeof(name)), &err);
	CHECK_STR(name, "manifest");
	CHECK_OK(sfd_store_big_data_name("zstd-chunked-manifest", name, sizeof(name)), &err);
	CHECK_STR(name, "=enN0ZC1jaHVua2VkLW1hbmlmZXN0");
	CHECK_INT(sfd_store_big_data_name("..", name, sizeof(name)), -EINVAL);
	CHECK_INT(sfd_store_big_data_name("", name, sizeof(name)), -EINVAL);
	CHECK_INT(sfd_store_big_data_name("??x", name, sizeof(name)), 0);
	CHECK_INT(sfd_store_big_data_name("xy?", name, sizeof(name)), -EINVAL);
	CHECK_INT(sfd_store_big_data_name(A A A, name, sizeof(name)), -ENAMETOOLONG);
	CHECK(sfd_store_id_valid(A) && !sfd_store_id_valid(A "a") && !sfd_store_id_valid(NULL));
	CHECK(sfd_store_link_valid("ABCDEFGHIJKLMNOPQRSTUVWX27", 26));
	CHECK(!sfd_store_link_valid("../DEFGHIJKLMNOPQRSTUVWX27", 26));
	if (dir >= 0)
		close(dir);
	dir = -1;
}
