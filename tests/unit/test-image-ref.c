/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/containers-storage/image-ref.h"
#include "tests/unit/temp-dir.h"

#include <errno.h>

#define ZEROES "000000000000000000000000000000000000000000000000000000000000"
#define ONE    "e99a" ZEROES
#define TWO    "e98b" ZEROES
#define HUB    "1234" ZEROES
#define QUAY   "abcd" ZEROES
#define MORE   "beef" ZEROES
#define DIGEST "sha256:fc4b" ZEROES
#define INDEX  "sha256:1dec" ZEROES

/* The primary store and an additional one. */
static const char primary[] =
	"[{\"id\":\"" ONE "\",\"names\":[\"localhost/one:latest\",\"localhost/one:v2\"],"
	"\"digest\":\"" INDEX "\",\"big-data-digests\":{\"manifest\":\"" DIGEST "\"}},"
	"{\"id\":\"" TWO "\",\"names\":[\"localhost/two:latest\",\"quay.io/a/both:latest\"]},"
	"{\"id\":\"" HUB "\",\"names\":[\"docker.io/library/hub:latest\",\"docker.io/o/hub:1\"]}]";
static const char additional[] =
	"[{\"id\":\"" QUAY "\",\"names\":[\"quay.io/org/tool:v1\",\"quay.io/b/both:latest\","
	"\"localhost/one:latest\",\"quay.io/org/pinned@" DIGEST "\"]},"
	"{\"id\":\"" TWO "\",\"names\":[\"localhost/old-name:latest\"]},"
	"{\"id\":\"" MORE "\",\"names\":[\"localhost/more:latest\",\"localhost/e99:latest\"],"
	"\"big-data-digests\":{\"manifest-" DIGEST "\":\"" DIGEST "\",\"manifest\":\"" INDEX
	"\",\"x\":\"sha256:9999" ZEROES "\"}}]";

static struct splitfd_error err;

/* The ID that is found, or "" for none and "?" for a usage error. */
static const char *find(const char *name, enum splitfd_lookup lookup)
{
	static char id[65];
	struct sfd_image_list lists[2] = { { 0 }, { 0 } };
	struct sfd_image_db db = { .lists = lists, .n = 2 };
	struct sfd_image_found found;
	int dir, r;

	temp_make();
	temp_file("0", primary);
	temp_file("1", additional);
	dir = open(temp_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	CHECK_OK(sfd_image_list_read(&lists[0], dir, "0", "store", &err), &err);
	CHECK_OK(sfd_image_list_read(&lists[1], dir, "1", "store", &err), &err);
	close(dir);
	splitfd_error_clear(&err);
	r = sfd_image_ref_find(&db, name, lookup, &found, &err);
	if (r >= 0)
		memcpy(id, found.image->id, 65);
	sfd_image_list_done(&lists[0]);
	sfd_image_list_done(&lists[1]);
	if (r >= 0)
		return id;
	CHECK(err.kind == SPLITFD_ERROR_USAGE || err.kind == SPLITFD_ERROR_NOT_FOUND);
	return err.kind == SPLITFD_ERROR_USAGE ? "?" : "";
}

struct row {
	const char *name, *want;
};

static void check_rows(const struct row *rows, size_t n, enum splitfd_lookup lookup)
{
	for (size_t i = 0; i < n; i++) {
		const char *got = find(rows[i].name, lookup);

		if (strcmp(got, rows[i].want) != 0)
			printf("# %s: %s\n", rows[i].name, err.text);
		CHECK_STR(got, rows[i].want);
	}
}

TEST(the_transport)
{
	static const struct row rows[] = { { "localhost/one", ONE },
		{ "localhost/one:latest", ONE }, { ONE, ONE }, { "e99", ONE },
		{ "@e99a00000000", ONE }, { "localhost/one@e99a0000", ONE },
		{ "localhost/one@" ONE, ONE }, { "localhost/one@" DIGEST, ONE },
		{ "localhost/one:zzz@" DIGEST, ONE }, { "localhost/one@" INDEX, ONE },
		{ "one", "" }, { "e9", "" }, { "localhost/two@" ONE, "" },
		{ "localhost/other@" DIGEST, "" }, { "sha256:" ONE, "" }, { "@" DIGEST, "?" },
		{ "localhost/one@", "?" }, { "localhost/one@e9", "?" },
		{ "localhost/one@fff", "?" }, { "One", "?" }, { "", "?" }, { "hub", HUB },
		{ "o/hub:1", HUB }, { "quay.io/org/tool:v1", QUAY }, { "quay.io/org/tool", "" },
		{ "abc", QUAY }, { "localhost/more@" DIGEST, MORE },
		{ "localhost/more@sha256:9999" ZEROES, "" },
		/* Pulled up: the primary has this image under other names. */
		{ "localhost/old-name", "" }, { "localhost/two", TWO } };

	check_rows(rows, sizeof(rows) / sizeof(rows[0]), SPLITFD_LOOKUP_TRANSPORT);
}

TEST(as_in_podman)
{
	static const struct row rows[] = { { "one", ONE }, { "one:latest", ONE }, { "one:v2", ONE },
		{ "one:v3", "" }, { "localhost/one", ONE }, { ONE, ONE }, { "sha256:" ONE, ONE },
		{ "sha256:" QUAY, QUAY }, { "sha256:e99a", "?" }, { DIGEST, "" }, { "e99a", ONE },
		{ "1", HUB }, { "a", QUAY }, { "hub", HUB }, { "hub:1", HUB }, { "o/hub:1", HUB },
		{ "docker.io/hub", HUB }, { "library/hub", HUB }, { "one@" DIGEST, ONE },
		{ "one:zzz@" DIGEST, ONE }, { "one@" INDEX, ONE }, { "two@" DIGEST, "" },
		{ "tool:v1", QUAY }, { "org/tool:v1", QUAY }, { "ool:v1", "" }, { "tool", "" },
		{ "quay.io/org/pinned@" DIGEST, QUAY }, { "more", MORE }, { "One", "?" },
		{ "", "?" }, { "old-name", "" }, { "quay.io/one", "" }, { "@e99a00000000", ONE },
		{ "localhost/one@" ONE, ONE }, { "localhost/two@" ONE, "" },
		{ "localhost/one@fff", "?" },
		/* A name comes before a prefix of an ID. */
		{ "e99", MORE } };

	check_rows(rows, sizeof(rows) / sizeof(rows[0]), SPLITFD_LOOKUP_PODMAN);
}

TEST(ambiguous_words_list_the_candidates)
{
	CHECK_STR(find("e9", SPLITFD_LOOKUP_PODMAN), "?");
	CHECK_INT(err.errnum, ENOTUNIQ);
	CHECK_STR(err.text, "e9: 2 images fit: e99a00000000 (localhost/one:latest), e98b00000000 "
			    "(localhost/two:latest); give the whole name or a longer ID");
	CHECK_STR(find("both", SPLITFD_LOOKUP_PODMAN), "?");
	CHECK_INT(err.errnum, ENOTUNIQ);
	CHECK(strstr(err.text, "e98b00000000") != NULL);
	CHECK(strstr(err.text, "abcd00000000") != NULL);
	CHECK_STR(find("a/both", SPLITFD_LOOKUP_PODMAN), TWO);
	CHECK_STR(find("b/both", SPLITFD_LOOKUP_PODMAN), QUAY);
}
