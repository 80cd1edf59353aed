/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"
#include "transport/oci/oci-json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGEST "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define CONFIG(more)                                                                               \
	"{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_"     \
	"ids\":[]}" more "}"

static struct splitfd_error err;

static int check(const char *config)
{
	struct sfd_oci_config facts;
	int r = sfd_oci_config_parse(config, strlen(config), SFD_OCI_REPOSITORY, &facts, &err);

	sfd_oci_config_done(&facts);
	return r;
}

TEST(what_serde_takes)
{
	static const char *const good[] = { CONFIG(""), " \n" CONFIG("") "\t",
		CONFIG(",\"config\":null,\"history\":null,\"variant\":null"),
		CONFIG(",\"config\":{\"Volumes\":{\"/"
		       "v\":[]},\"Labels\":{\"a\":\"1\",\"a\":\"2\"}}"),
		CONFIG(",\"x\":[1e999,-0,\"\\ud800\",{\"\\udc00\":1}]"),
		CONFIG(",\"author\":\"\\ud83d\\ude00\\u0000\"") };

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		CHECK_OK(check(good[i]), &err);
}

TEST(what_it_does_not)
{
	static const struct {
		const char *config, *words;
	} bad[] = {
		{ CONFIG(",\"os\":\"x\""), "has 'os' twice" },
		{ CONFIG(",\"OS\":\"x\""), "in two spellings" },
		{ CONFIG(",\"\\u006fs\":\"x\""), "has 'os' twice" },
		{ CONFIG(",\"author\":\"\\ud800\""), "'author' holds half a pair" },
		{ CONFIG(",\"\\ud800\":1"), "half a pair" },
		{ CONFIG(",\"config\":{\"Volumes\":{\"/v\":{\"\\ud800\":1}}}"), "half a pair" },
		{ CONFIG(",\"config\":{\"Volumes\":{\"/v\":[1]}}"), "'config.Volumes./v'" },
		{ CONFIG(",\"history\":[{\"empty_layer\":0}]"), "'history[0].empty_layer'" },
		{ CONFIG(",\"x\":01"), "not JSON" },
		{ CONFIG(",\"x\":\"\xff\""), "not UTF-8 at byte" },
		{ CONFIG("") "x", "text follows its end" },
		{ "\xef\xbb\xbf" CONFIG(""), "not JSON" },
		{ "[]", "is an array, not an object" },
		{ "", "ends too early" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK_INT(check(bad[i].config), -EBADMSG);
		CHECK_INT(err.kind, SPLITFD_ERROR_REFUSED);
		if (strstr(err.text, bad[i].words) == NULL)
			printf("# %s: %s\n", bad[i].config, err.text);
		CHECK(strstr(err.text, bad[i].words) != NULL);
	}
}

TEST(integers_are_exact)
{
	static const struct {
		const char *size;
		bool good;
	} sizes[] = { { "0", true }, { "9007199254740993", true }, { "18446744073709551615", true },
		{ "18446744073709551616", false }, { "-0", false }, { "1.0", false },
		{ "1e2", false }, { "null", false } };
	struct sfd_oci_manifest facts;
	char text[512];

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		int n = snprintf(text, sizeof(text),
			"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"x\",\"digest\":\"" DIGEST
			"\",\"size\":%s},\"layers\":[]}",
			sizes[i].size);
		int r = sfd_oci_manifest_parse(text, (size_t)n, SFD_OCI_REPOSITORY, &facts, &err);

		CHECK_INT(r, sizes[i].good ? 0 : -EBADMSG);
		sfd_oci_manifest_done(&facts);
	}
}

TEST(digests)
{
	static const char *const good[] = { DIGEST, "a+b.c_d-e:Az0=_-", "md5:abc" };
	static const char *const bad[] = { "", ":", "a", "a:", ":a", "A:b", "a++b:c", "+a:b",
		"a+:b", "a:b:c", "a:b/c", DIGEST "a", "sha256:A",
		"sha512:"
		"aa" };

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		CHECK(sfd_oci_digest_ok(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(!sfd_oci_digest_ok(bad[i]));
}

TEST(deep_levels_end)
{
	size_t n = 20000;
	char *text = malloc(n + 1);
	struct sfd_json_value v;
	const char *why = "";
	size_t at = 0;

	CHECK(text != NULL);
	memset(text, '[', n / 2);
	memset(text + n / 2, ']', n / 2);
	CHECK_INT(sfd_json_check(text, n, &v, &why, &at), 0);
	memset(text, '[', n / 2 + 1);
	CHECK_INT(sfd_json_check(text, n, &v, &why, &at), -EBADMSG);
	CHECK_STR(why, "it is nested too deeply");
	CHECK_INT(at, n / 2);
	free(text);
}
