/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/containers-storage/conf/docker-ref.h"
#include "transport/containers-storage/store.h"
#include "tests/unit/check.h"

#include <stdlib.h>

static struct splitfd_error err;
static struct splitfd_store_options options;
static char *spec;
static const char *rest;

static int parse(const char *reference)
{
	free(spec);
	spec = NULL;
	options = (struct splitfd_store_options){ .root = "/before", .driver = "vfs" };
	return splitfd_store_parse_reference(reference, &options, &spec, &rest, &err);
}

TEST(without_a_specifier)
{
	static const char *const same[] = { "busybox", "containers-storage:busybox" };

	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		CHECK_OK(parse(same[i]), &err);
		CHECK_STR(rest, "busybox");
		CHECK(spec == NULL && !options.from_specifier);
		CHECK_STR(options.root, "/before");
	}
}

TEST(all_parts)
{
	CHECK_OK(parse("containers-storage:[overlay@/g+/r:a=b,,overlay.imagestore=/x]q.io/i:t"),
		&err);
	CHECK_STR(options.driver, "overlay");
	CHECK_STR(options.root, "/g");
	CHECK_STR(options.runroot, "/r");
	CHECK_STR(options.options[0], "a=b");
	CHECK_STR(options.options[1], "overlay.imagestore=/x");
	CHECK(options.options[2] == NULL);
	CHECK(options.from_specifier);
	CHECK_STR(rest, "q.io/i:t");
	CHECK_OK(parse("[/g]i"), &err);
	CHECK_STR(options.root, "/g");
	CHECK(options.driver == NULL && options.runroot == NULL && options.options[0] == NULL);
	CHECK_OK(parse("[vfs@+/r]i"), &err);
	CHECK_STR(options.driver, "vfs");
	CHECK(options.root == NULL);
	/* The first ':' is looked for before the first '+'. */
	CHECK_OK(parse("[/g:x=1+/r]i"), &err);
	CHECK(options.runroot == NULL);
	CHECK_STR(options.options[0], "x=1+/r");
	CHECK_OK(parse("[/g:,,,,,,,]i"), &err);
	CHECK(options.options[0] == NULL);
}

TEST(malformed_specifiers)
{
	static const char *const wrong[] = { "[/g", "[relative]i", "[overlay@relative]i",
		"[/g+relative]i", "[]i", "[@/g]i", "[overlay@]i", "[@]i", "[:a=b]i", "[+:]i" };

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		CHECK(parse(wrong[i]) < 0);
		CHECK_INT(err.kind, SPLITFD_ERROR_USAGE);
	}
}

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

TEST(names_of_images)
{
	static const struct {
		const char *text, *repository, *tag, *digest, *normal;
	} good[] = {
		{ "busybox", "busybox", "", "", "docker.io/library/busybox" },
		{ "a/b:T_1", "a/b", "T_1", "", "docker.io/a/b" },
		{ "localhost/x", "localhost/x", "", "", "localhost/x" },
		{ "localhost:5000/x:y", "localhost:5000/x", "y", "", "localhost:5000/x" },
		{ "quay.io/a/b__c.d-e--f", "quay.io/a/b__c.d-e--f", "", "",
			"quay.io/a/b__c.d-e--f" },
		{ "docker.io/x", "docker.io/x", "", "", "docker.io/library/x" },
		{ "index.docker.io/x/y", "index.docker.io/x/y", "", "", "docker.io/x/y" },
		{ "[::1]:80/x", "[::1]:80/x", "", "", "[::1]:80/x" },
		{ "Host/x", "Host/x", "", "", "Host/x" },
		{ "x:t@sha256:" HEX64, "x", "t", "sha256:" HEX64, "docker.io/library/x" },
	};
	static const char *const bad[] = { "", ":t", "X", "a/B", "a//b", "/a", "a/", "a:", "a:.t",
		"a@", "a@sha256:12", "a___b", "a..b", "a-", "-a", "a b", "a:b:c", HEX64,
		"x/" HEX64 "@", "a@sha256:" HEX64 "0", "h_t.io/a", "[::1/x" };
	struct sfd_docker_ref ref;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		CHECK(sfd_docker_ref_parse(good[i].text, &ref) == NULL);
		CHECK_STR(ref.repository, good[i].repository);
		CHECK_STR(ref.tag, good[i].tag);
		CHECK_STR(ref.digest, good[i].digest);
		sfd_docker_ref_normalise(&ref);
		CHECK_STR(ref.repository, good[i].normal);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (sfd_docker_ref_parse(bad[i], &ref) == NULL)
			printf("# accepted: %s\n", bad[i]);
		CHECK(sfd_docker_ref_parse(bad[i], &ref) != NULL);
	}
	free(spec);
	spec = NULL;
}
