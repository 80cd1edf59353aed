/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/base/error.h"
#include "splitfdstream/base/text.h"
#include "splitfdstream/digest.h"
#include "tests/unit/check.h"

#include <errno.h>
#include <stdlib.h>

TEST(hex_both_ways)
{
	uint8_t bytes[4];
	char hex[9];

	CHECK(sfd_hex_decode("00ff10a5", 4, bytes));
	sfd_hex_encode(bytes, 4, hex);
	CHECK_STR(hex, "00ff10a5");
	CHECK(!sfd_hex_decode("0", 1, bytes));
	CHECK(!sfd_hex_decode("0G", 1, bytes));
	CHECK(!sfd_hex_decode("AA", 1, bytes));
}

TEST(base64_vectors)
{
	static const char *const plain[] = { "", "f", "fo", "foo", "foob", "fooba", "foobar" };
	static const char *const coded[] = { "", "Zg==", "Zm8=", "Zm9v",
		"Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy" };
	char text[16];
	uint8_t bytes[16];

	for (size_t i = 0; i < 7; i++) {
		CHECK_INT(sfd_base64_encode((const uint8_t *)plain[i], i, text), strlen(coded[i]));
		CHECK_STR(text, coded[i]);
		CHECK_INT(sfd_base64_decode(coded[i], strlen(coded[i]), bytes), i);
		CHECK(memcmp(bytes, plain[i], i) == 0);
	}
	CHECK_INT(sfd_base64_decode("Zg=", 3, bytes), -EINVAL);
	CHECK_INT(sfd_base64_decode("Z===", 4, bytes), -EINVAL);
	CHECK_INT(sfd_base64_decode("Zm9v Zm8", 8, bytes), -EINVAL);
}

TEST(base64_runs_of_zeros_in_place)
{
	for (size_t zeros = 0; zeros < 64; zeros++) {
		for (size_t at = 0; at < 20; at++) {
			uint8_t plain[100] = { 0 };
			char text[140];
			size_t n = at + zeros + 1, len;

			memset(plain, 0x5a, at);
			plain[at + zeros] = 0xff;
			len = sfd_base64_encode(plain, n, text);
			CHECK_INT(sfd_base64_decode(text, len, (uint8_t *)text), n);
			CHECK(memcmp(text, plain, n) == 0);
		}
	}
	CHECK_INT(sfd_base64_decode("AAAAAAAAAAAA=AAA", 16, (uint8_t[12]){ 0 }), -EINVAL);
	CHECK_INT(sfd_base64_decode("AAAAAAAAAAA\xc1", 12, (uint8_t[9]){ 0 }), -EINVAL);
}

TEST(utf8)
{
	CHECK(sfd_utf8_valid("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", 14));
	CHECK(!sfd_utf8_valid("\xff", 1));
	CHECK(!sfd_utf8_valid("\xc0\xaf", 2));
	CHECK(!sfd_utf8_valid("\xed\xa0\x80", 3));
	CHECK(!sfd_utf8_valid("\xe2\x82", 2));
}

TEST(what_is_not_utf8_is_replaced)
{
	char *text = sfd_utf8_replaced("a\xff\xe2\x82 caf\xc3\xa9\xed\xa0\x80\xf0");

	CHECK(text != NULL);
	CHECK_STR(text, "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd caf\xc3\xa9"
			"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	free(text);
}

TEST(errors_show_no_controls_and_are_utf8)
{
	struct splitfd_error err = { 0 };
	char long_name[sizeof(err.text)];

	splitfd_error_set(
		&err, SPLITFD_ERROR_FAILED, EIO, "a\nb\033[m\x7f\xc2\x9b\xff caf\xc3\xa9");
	CHECK_STR(err.text, "a\\x0ab\\x1b[m\\x7f\\xc2\\x9b\\xff caf\xc3\xa9");
	/* Cut in the middle of a character, when it is made and when it is wrapped. */
	for (size_t i = 0; i < 8; i++) {
		for (size_t at = 0; at + 1 < sizeof(long_name); at++)
			long_name[at] = at < i ? 'x' : "\xf0\x9f\x98\x80"[(at - i) % 4];
		long_name[sizeof(long_name) - 1] = '\0';
		splitfd_error_set(&err, SPLITFD_ERROR_FAILED, EIO, "%s", long_name);
		CHECK(sfd_utf8_valid(err.text, strlen(err.text)));
		splitfd_error_wrap(&err, -EIO, "%s", "four");
		CHECK(sfd_utf8_valid(err.text, strlen(err.text)));
	}
}

TEST(numbers_and_digests)
{
	uint64_t n;

	CHECK(sfd_parse_u64("18446744073709551615", UINT64_MAX, &n) && n == UINT64_MAX);
	CHECK(!sfd_parse_u64("18446744073709551616", UINT64_MAX, &n));
	CHECK(!sfd_parse_u64("", 9, &n));
	CHECK(!sfd_parse_u64("-1", 9, &n));
	CHECK(!sfd_parse_u64("10", 9, &n));
	CHECK(sfd_parse_sha256(
		"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", NULL));
	CHECK(!sfd_parse_sha256("sha256:e3b0", NULL));
}

TEST(digests_of_known_bytes)
{
	char text[72];

	CHECK_INT(splitfd_sha256_text("", 0, text, NULL), 0);
	CHECK_STR(text, "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	CHECK(splitfd_crc64(0, "123456789", 9) == 0xb90956c775a41001ULL);
	CHECK(splitfd_crc64(splitfd_crc64(0, "1234", 4), "56789", 5) == 0xb90956c775a41001ULL);
}
