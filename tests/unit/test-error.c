/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/base/error.h"
#include "splitfdstream/base/text.h"
#include "tests/unit/check.h"

#include <errno.h>

TEST(set_sys_and_wrap)
{
	struct splitfd_error err = { 0 };

	CHECK_INT(splitfd_error_set(&err, SPLITFD_ERROR_REFUSED, EBADMSG, "byte %d", 7), -EBADMSG);
	CHECK_INT(err.errnum, EBADMSG);
	CHECK_INT(err.kind, SPLITFD_ERROR_REFUSED);
	CHECK_STR(err.text, "byte 7");
	CHECK_INT(splitfd_error_wrap(&err, -EBADMSG, "layer %s", "a"), -EBADMSG);
	CHECK_STR(err.text, "layer a: byte 7");
	CHECK_INT(err.kind, SPLITFD_ERROR_REFUSED);
	CHECK_INT(splitfd_error_sys(&err, ENOENT, "%s", "f"), -ENOENT);
	CHECK_STR(err.text, "f: No such file or directory");
	CHECK_INT(err.kind, SPLITFD_ERROR_NOT_FOUND);
	CHECK_INT(splitfd_error_sys(&err, EIO, "f"), -EIO);
	CHECK_INT(err.kind, SPLITFD_ERROR_FAILED);
	CHECK_INT(splitfd_error_sys(&err, ECANCELED, "f"), -ECANCELED);
	CHECK_STR(err.text, "f: interrupted");
	CHECK_INT(splitfd_error_oom(&err), -ENOMEM);
	splitfd_error_clear(&err);
	CHECK_INT(err.errnum, 0);
	CHECK_STR(err.text, "");
}

TEST(no_text_is_wanted)
{
	CHECK_INT(splitfd_error_set(NULL, SPLITFD_ERROR_USAGE, EINVAL, "x"), -EINVAL);
	CHECK_INT(splitfd_error_sys(NULL, EIO, "x"), -EIO);
	CHECK_INT(splitfd_error_wrap(NULL, -EIO, "x"), -EIO);
	CHECK_INT(splitfd_error_oom(NULL), -ENOMEM);
	splitfd_error_clear(NULL);
}

TEST(hostile_bytes_are_escaped)
{
	struct splitfd_error err = { 0 };

	(void)splitfd_error_set(&err, SPLITFD_ERROR_FAILED, EIO, "%s",
		"\x1b[1m\n\x7f caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \xff\xc3 \xc2\x9b "
		"\xc2\xa0");
	CHECK_STR(err.text,
		"\\x1b[1m\\x0a\\x7f caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \\xff\\xc3 "
		"\\xc2\\x9b \xc2\xa0");
}

/* Whatever is too long is cut between two characters: the text stays UTF-8. */
TEST(long_texts_are_cut)
{
	static const char *const fills[] = { "a", "\xff", "\xc3\xa9", "\xe2\x82\xac",
		"\xf0\x9f\x98\x80" };
	char text[4096];

	for (size_t i = 0; i < sizeof(fills) / sizeof(fills[0]); i++) {
		for (int shift = 0; shift < 5; shift++) {
			struct splitfd_error err = { 0 };
			size_t n = (size_t)snprintf(text, sizeof(text), "%.*s", shift, "sssss");
			size_t len;

			while (n + 5 < sizeof(text))
				n += (size_t)snprintf(text + n, sizeof(text) - n, "%s", fills[i]);
			(void)splitfd_error_set(&err, SPLITFD_ERROR_FAILED, EIO, "%s", text);
			len = strlen(err.text);
			CHECK(len > sizeof(err.text) - 6 && len < sizeof(err.text));
			CHECK(sfd_utf8_valid(err.text, len));
			(void)splitfd_error_wrap(&err, -EIO, "layer");
			len = strlen(err.text);
			CHECK(len > sizeof(err.text) - 6 && len < sizeof(err.text));
			CHECK(sfd_utf8_valid(err.text, len));
			CHECK(memcmp(err.text, "layer: ", 7) == 0);
		}
	}
}

TEST(copies)
{
	struct splitfd_error kept = { 0 }, err = { 0 };

	(void)splitfd_error_set(&kept, SPLITFD_ERROR_PEER, EPIPE, "gone");
	CHECK_INT(splitfd_error_copy(&err, -EIO, &kept), -EIO);
	CHECK_STR(err.text, "gone");
	CHECK_INT(err.errnum, EPIPE);
	CHECK_INT(err.kind, SPLITFD_ERROR_PEER);
	CHECK_INT(splitfd_error_copy(NULL, -EIO, &kept), -EIO);
}

TEST(exit_codes)
{
	CHECK_INT(splitfd_error_exit_code(SPLITFD_ERROR_NONE), 0);
	CHECK_INT(splitfd_error_exit_code(SPLITFD_ERROR_FAILED), 1);
	CHECK_INT(splitfd_error_exit_code(SPLITFD_ERROR_USAGE), 2);
	CHECK_INT(splitfd_error_exit_code(SPLITFD_ERROR_NOT_FOUND), 3);
	CHECK_INT(splitfd_error_exit_code(SPLITFD_ERROR_REFUSED), 4);
	CHECK_INT(splitfd_error_exit_code(SPLITFD_ERROR_PEER), 1);
}
