/* SPDX-License-Identifier: Apache-2.0 */
/* Where a JSON object ends, byte by byte. */
#include "transport/json/json-scan.h"
#include "tests/unit/check.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>

/* Bytes looked at, or -errno; 0 where more would be needed. */
static long scan_pieces(const char *text, size_t len, size_t piece, size_t values_max)
{
	struct sfd_json_scan s = { .values_max = values_max };
	size_t at = 0, used = 0;

	while (at < len) {
		size_t n = piece < len - at ? piece : len - at;
		int r = sfd_json_scan(&s, (const uint8_t *)text + at, n, &used);

		at += used;
		if (r != 0)
			return r < 0 ? r : (long)at;
	}
	return 0;
}

static long scan(const char *text)
{
	size_t len = strlen(text);
	long r = scan_pieces(text, len, len, 1000);

	for (size_t piece = 1; piece < len; piece++)
		CHECK_INT(scan_pieces(text, len, piece, 1000), r);
	return r;
}

TEST(objects)
{
	static const char *const good[] = {
		"{}",
		"{ }",
		"{\"a\":1}",
		"{\"a\":[]}",
		"{\"a\":[ ]}",
		"{\t\"a\" : [ 1 , -2.5e+3, 0, -0, 0.0, 1E5 , true,false,null ]\r\n}",
		"{\"\":{\"}\":\"{\"}}",
		"{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\ude00\"}",
		"{\"gr\xc3\xbc\xc3\x9f\":\"\x7f\"}",
		"{\"a\":[[[{\"b\":[{}]}]]],\"c\":{\"d\":{}}}",
		"{\"a\":10,\"b\":9.75}",
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		cJSON *json = cJSON_ParseWithLength(good[i], strlen(good[i]));
		char more[256];

		printf("# %zu\n", i);
		CHECK(json != NULL);
		cJSON_Delete(json);
		CHECK_INT(scan(good[i]), strlen(good[i]));
		snprintf(more, sizeof(more), "%s{\"next\":", good[i]);
		CHECK_INT(scan(more), strlen(good[i]));
		/* Every beginning of it is incomplete, not wrong. */
		for (size_t n = 1; n < strlen(good[i]); n++)
			CHECK_INT(scan_pieces(good[i], n, n, 1000), 0);
	}
}

TEST(no_objects)
{
	static const char *const bad[] = { "[", "1", "\"a\"", "null", "}", " {", "{a", "{1", "{,",
		"{]", "{\"a\"}", "{\"a\",", "{\"a\":}", "{\"a\":,", "{\"a\":1,}", "{\"a\":1]",
		"{\"a\":[1}", "{\"a\":[,", "{\"a\":[1,]", "{\"a\":[1 2", "{\"a\":1 \"b\"",
		"{\"a\":01", "{\"a\":-}", "{\"a\":-a", "{\"a\":1.}", "{\"a\":.5", "{\"a\":1e}",
		"{\"a\":1e+}", "{\"a\":1.5.", "{\"a\":+1", "{\"a\":0x1", "{\"a\":truE",
		"{\"a\":nul}", "{\"a\":True", "{\"a\":NaN", "{\"a\":'b'", "{\"a\":\"\n",
		"{\"a\":\"\x1f", "{\"a\":\"\\x", "{\"a\":\"\\u12g", "{\"a\":\"\\u0000", "{/",
		"{\x80", "{\"a\":\x80", "{\"a\":1\x0b" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		printf("# %zu\n", i);
		CHECK_INT(scan(bad[i]), -EBADMSG);
	}
	CHECK_INT(scan_pieces("{\0}", 3, 3, 1000), -EBADMSG);
	CHECK_INT(scan_pieces("{\"\0", 3, 3, 1000), -EBADMSG);
}

TEST(depth)
{
	char text[1024] = "{\"a\":";
	size_t at = strlen(text);

	memset(text + at, '[', SFD_JSON_DEPTH_MAX - 1);
	CHECK_INT(scan_pieces(text, strlen(text), 1024, 1000), 0);
	memset(text + at + SFD_JSON_DEPTH_MAX - 1, ']', SFD_JSON_DEPTH_MAX - 1);
	strcat(text, "}");
	CHECK_INT(scan_pieces(text, strlen(text), 1024, 1000), strlen(text));
	text[at + SFD_JSON_DEPTH_MAX - 1] = '[';
	CHECK_INT(scan_pieces(text, strlen(text), 1024, 1000), -E2BIG);
}

TEST(values)
{
	const char *text = "{\"a\":[1,\"b\",true]}"; /* with the object and the name: 6 */

	CHECK_INT(scan_pieces(text, strlen(text), 1, 6), strlen(text));
	CHECK_INT(scan_pieces(text, strlen(text), 1, 5), -E2BIG);
}

/* Whatever is taken for an object, cJSON takes as well, but for halves of surrogate pairs and what
 * is not UTF-8, which cannot be made of these bytes. */
TEST(random_bytes)
{
	static const char letters[] = "{}[]\"\"::,,0123-+.eE truefalsn\\u/b";
	unsigned int seed = 9;
	int objects = 0;

	for (int i = 0; i < 300000; i++) {
		char text[24] = "{\"";
		size_t len = 3 + (size_t)rand_r(&seed) % 20;
		long r;

		for (size_t k = 2; k < len; k++)
			text[k] = letters[(size_t)rand_r(&seed) % (sizeof(letters) - 1)];
		if (i % 2 == 0)
			memcpy(text + 2, "\":", 2);
		r = scan_pieces(text, len, 1 + (size_t)i % len, 1000);
		if (r > 0) {
			cJSON *json = cJSON_ParseWithLength(text, (size_t)r);

			CHECK(json != NULL);
			cJSON_Delete(json);
			objects++;
		}
	}
	printf("# %d objects\n", objects);
	CHECK(objects > 100);
}
