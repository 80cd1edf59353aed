/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/base/text.h"
#include "tests/unit/check.h"
#include "tests/unit/gzip-memfd.h"
#include "transport/tar/gzip-reader.h"
#include "transport/containers-storage/tar-split/tar-split.h"

#include <errno.h>
#include <fcntl.h>

/* All entries as one line of text, or the error's text. */
static char told[8192];

static int tell(int fd)
{
	struct splitfd_error err = { 0 };
	struct sfd_tar_split *reader = NULL;
	struct sfd_tar_split_entry e;
	size_t n = 0;
	int r = sfd_tar_split_new(fd, "layer x", &reader, &err);

	told[0] = '\0';
	while (r >= 0 && (r = sfd_tar_split_next(reader, &e, &err)) == 1) {
		if (n > sizeof(told) - 1024)
			continue;
		n += (size_t)snprintf(told + n, sizeof(told) - n,
			"%llu:%d:%.*s:%llu:%zu:", (unsigned long long)e.number, e.type,
			(int)e.name_len, e.name, (unsigned long long)e.size, e.payload_len);
		for (size_t i = 0; i < e.payload_len && i < 16; i++)
			n += (size_t)snprintf(told + n, sizeof(told) - n, "%02x", e.payload[i]);
		n += (size_t)snprintf(told + n, sizeof(told) - n, ";");
	}
	if (r < 0)
		snprintf(told, sizeof(told), "%s", err.text);
	sfd_tar_split_free(reader);
	return r;
}

static int tell_text(const char *text)
{
	return tell(gzip_memfd(text, strlen(text)));
}

TEST(the_common_forms)
{
	CHECK_INT(tell_text("{\"type\":2,\"payload\":\"AAEC\",\"position\":0}\n"
			    "{\"type\":1,\"name\":\"usr/x\",\"size\":5,\"payload\":"
			    "\"ESIzRFVmd4g=\",\"position\":1}\n"
			    "{\"type\":1,\"name\":\"usr/\",\"payload\":null,\"position\":2}\n"
			    "{\"type\":2,\"payload\":\"\",\"position\":3}\n"),
		0);
	CHECK_STR(told, "0:2::0:3:000102;1:1:usr/x:5:8:1122334455667788;2:1:usr/:0:0:;3:2::0:0:;");
}

TEST(other_forms)
{
	CHECK_INT(tell_text(" {\"position\":0, \"payload\" : \"AA==\", \"type\":2}"
			    "{\"type\":1,\"name\":\"a\\u003c\\n\\ud83d\\ude00\\\"\\\\u0000\","
			    "\"payload\":null,\"position\":1}\r\n\t"
			    "{\"type\":1,\"name_raw\":\"/2E=\",\"size\":7,\"payload\":"
			    "\"AAAAAAAAAAA=\",\"position\":2,\"later\":{\"a\":[1,\"}\"]}}"),
		0);
	CHECK_STR(told, "0:2::0:1:00;1:1:a<\n\xf0\x9f\x98\x80\"\\u0000:0:0:;"
			"2:1:\xff"
			"a:7:8:0000000000000000;");
	CHECK_INT(tell_text("{\"type\":1,\"name\":\"big\",\"size\":9007199254740992,"
			    "\"payload\":null,\"position\":0}"),
		0);
	CHECK_STR(told, "0:1:big:9007199254740992:0:;");
	CHECK_INT(tell_text("{\"type\":1,\"payload\":null,\"position\":0}"), 0);
	CHECK_STR(told, "0:1::0:0:;");
	CHECK_INT(tell_text(""), 0);
}

TEST(lines_that_are_none)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{ "{\"type\":3,\"payload\":\"\",\"position\":0}", "neither a file nor a segment" },
		{ "{\"payload\":\"\",\"position\":0}", "neither a file nor a segment" },
		{ "{\"type\":2,\"payload\":\"A\",\"position\":0}", "not base64" },
		{ "{\"type\":2,\"payload\":\"AA=A\",\"position\":0}", "not base64" },
		{ "{\"type\":2,\"payload\":\"AA\\nAA\",\"position\":0}", "not base64" },
		{ "{\"type\":2,\"payload\":\"A\xff"
		  "AA\",\"position\":0}",
			"not base64" },
		{ "{\"type\":2,\"payload\":7,\"position\":0}", "wrong type" },
		{ "{\"type\":2,\"type\":1,\"payload\":null,\"position\":0}", "given twice" },
		{ "{\"type\":1,\"name\":\"a\\u0000b\",\"payload\":null,\"position\":0}", "NUL" },
		{ "{\"type\":1,\"name_raw\":\"AGE=\",\"payload\":null,\"position\":0}", "NUL" },
		{ "{\"type\":1,\"name\":\"a\nb\",\"payload\":null,\"position\":0}", "control" },
		{ "{\"type\":1,\"name\":\"a\",\"size\":-1,\"payload\":null}", "whole number" },
		{ "{\"type\":1,\"name\":\"a\",\"size\":1.5,\"payload\":null}", "whole number" },
		{ "{\"type\":1,\"name\":\"a\",\"size\":1e300,\"payload\":null}", "whole number" },
		{ "{\"type\":1,\"name\":\"a\",\"size\":99999999999999999999,\"payload\":null}",
			"whole number" },
		{ "{\"type\":1,\"name\":\"\\ud83d\",\"payload\":null}", "not JSON" },
		{ "{\"type\":1 \"name\":\"a\"}", "not JSON" },
		{ "[1]", "not a JSON object" },
		{ "x", "not a JSON object" },
		{ "{\"type\":2,\"payload\":\"AA", "ends inside" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		printf("# %s\n", cases[i].text);
		CHECK_INT(tell_text(cases[i].text), -EINVAL);
		if (strstr(told, cases[i].why) == NULL)
			printf("# got %s\n", told);
		CHECK(strstr(told, cases[i].why) != NULL);
		CHECK(strstr(told, "layer x") != NULL);
	}
}

static const char two_lines[] = "{\"type\":2,\"payload\":\"AAEC\",\"position\":0}\n"
				"{\"type\":1,\"name\":\"usr/x\",\"size\":5,\"payload\":"
				"\"ESIzRFVmd4g=\",\"position\":1}\n";

/* Both lines in two members. */
static uint8_t *two_members(size_t *ret_n, size_t *ret_first)
{
	size_t an, bn;
	uint8_t *a = gzip_member(two_lines, 60, &an);
	uint8_t *b = gzip_member(two_lines + 60, sizeof(two_lines) - 1 - 60, &bn);

	a = realloc(a, an + bn + 1);
	memcpy(a + an, b, bn);
	free(b);
	*ret_n = an + bn;
	*ret_first = an;
	return a;
}

TEST(members_and_their_end)
{
	size_t n, first;
	uint8_t *file = two_members(&n, &first);

	CHECK_INT(tell(memfd_new(file, n)), 0);
	CHECK_STR(told, "0:2::0:3:000102;1:1:usr/x:5:8:1122334455667788;");
	file[n] = 0;
	CHECK_INT(tell(memfd_new(file, n + 1)), -EINVAL);
	file[n] = 'x';
	CHECK_INT(tell(memfd_new(file, n + 1)), -EINVAL);
	CHECK_INT(tell(memfd_new(file, 0)), -EINVAL);
	CHECK(strstr(told, "empty file") != NULL);
	CHECK_INT(tell(memfd_new("(\xb5/\xfd is zstd's", 13)), -EINVAL);
	CHECK(strstr(told, "not gzip") != NULL);
	free(file);
}

TEST(cut_at_every_byte)
{
	size_t n, first;
	uint8_t *file = two_members(&n, &first);

	for (size_t i = 0; i < n; i++) {
		CHECK_INT(tell(memfd_new(file, i)), -EINVAL);
		/* The cut between the members leaves half a line instead of half a member. */
		CHECK(strstr(told, i == 0 ? "empty" : i == first ? "inside" : "truncated") != NULL);
	}
	free(file);
}

TEST(each_bit_flipped)
{
	size_t n, first;
	uint8_t *file = two_members(&n, &first);
	size_t accepted = 0;

	for (size_t i = 0; i < n * 8; i++) {
		file[i / 8] ^= (uint8_t)(1 << i % 8);
		if (tell(memfd_new(file, n)) == 0) {
			/* Only time, system and extra flags of a header carry no meaning. */
			CHECK_STR(told, "0:2::0:3:000102;1:1:usr/x:5:8:1122334455667788;");
			accepted++;
		}
		file[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	CHECK(accepted <= 2 * (8 + 4 + 1 + 1) * 8);
	free(file);
}

TEST(long_lines)
{
	static const size_t sizes[] = { 200000, 262144, 300000, 3000000, 50000000 };

	for (size_t i = 0; i < 5; i++) {
		size_t n = sizes[i] / 4 * 4;
		char *text = malloc(n + 200);
		int len = sprintf(text, "{\"type\":2,\"payload\":\"");

		memset(text + len, 'A', n);
		sprintf(text + len + n, "\",\"position\":0}\n%s", two_lines);
		CHECK_INT(tell_text(text), 0);
		CHECK(strstr(told, "0:2::0:") == told);
		CHECK(strstr(told, ";2:1:usr/x:5:8:1122334455667788;") != NULL);
		free(text);
	}
}

TEST(a_line_without_end)
{
	size_t n = SFD_TAR_SPLIT_LINE_MAX + 1000;
	char *text = malloc(n + 1);

	memset(text, 'A', n);
	text[n] = '\0';
	memcpy(text, "{\"type\":2,\"payload\":\"", 21);
	CHECK_INT(tell_text(text), -EINVAL);
	CHECK(strstr(told, "longer than 64 MiB") != NULL);
	free(text);
}

TEST(lines_across_the_buffer)
{
	size_t n = 0, count = 20000;
	char *text = malloc(count * 100);

	for (size_t i = 0; i < count; i++)
		n += (size_t)sprintf(text + n,
			"{\"type\":1,\"name\":\"d/%zu\",\"size\":%zu,\"payload\":\"ESIzRFVmd4g=\","
			"\"position\":%zu}\n",
			i, i + 1, i);
	struct sfd_tar_split *reader = NULL;
	struct sfd_tar_split_entry e;
	struct splitfd_error err = { 0 };

	CHECK_OK(sfd_tar_split_new(gzip_memfd(text, n), "layer x", &reader, &err), &err);
	for (size_t i = 0; i < count; i++) {
		char name[32];

		CHECK_OK(sfd_tar_split_next(reader, &e, &err), &err);
		sprintf(name, "d/%zu", i);
		CHECK_STR(e.name, name);
		CHECK_INT(e.size, i + 1);
		CHECK_INT(e.payload_len, 8);
		CHECK(memcmp(e.payload, "\x11\x22\x33\x44\x55\x66\x77\x88", 8) == 0);
	}
	CHECK_INT(sfd_tar_split_next(reader, &e, &err), 0);
	CHECK_INT(sfd_tar_split_next(reader, &e, &err), 0);
	sfd_tar_split_free(reader);
	free(text);
}

TEST(a_directory_is_no_tar_split)
{
	CHECK_INT(tell(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC)), -EINVAL);
}
