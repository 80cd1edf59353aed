/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/common/confined-child.h"
#include "tests/unit/check.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int give(void *ctx, void *result, struct splitfd_error *err)
{
	(void)err;
	memcpy(result, ctx, sizeof(int));
	return 0;
}

static int refuse(void *ctx, void *result, struct splitfd_error *err)
{
	(void)ctx;
	(void)result;
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG, "the manifest is wrong");
}

static int die(void *ctx, void *result, struct splitfd_error *err)
{
	(void)ctx;
	(void)result;
	(void)err;
	_exit(3);
}

/* What a child says that is not ours any more. */
struct lie {
	int result;
	struct splitfd_error err;
};

static int lie(void *ctx, void *result, struct splitfd_error *err)
{
	struct lie l = { .result = -EBADMSG };

	(void)ctx;
	(void)result;
	(void)err;
	memset(&l.err, 0x7f, sizeof(l.err));
	l.err.text[0] = '\033';
	l.err.errnum = -5;
	for (int fd = 3; fd < 64; fd++) {
		struct stat st;

		if (fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode) &&
			(fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY &&
			write(fd, &l, sizeof(l)) == (ssize_t)sizeof(l) && write(fd, "1234", 4) == 4)
			_exit(0);
	}
	_exit(1);
}

TEST(result_and_error_come_back)
{
	struct splitfd_error err = { 0 };
	int seven = 7, got = 0;

	CHECK_INT(sfd_in_child(give, &seven, &got, sizeof(got), &err), 0);
	CHECK_INT(got, 7);
	CHECK_INT(sfd_in_child(refuse, NULL, &got, sizeof(got), &err), -EBADMSG);
	CHECK_INT(err.kind, SPLITFD_ERROR_REFUSED);
	CHECK_INT(err.errnum, EBADMSG);
	CHECK_STR(err.text, "the manifest is wrong");
	CHECK_INT(sfd_in_child(refuse, NULL, &got, sizeof(got), NULL), -EBADMSG);
}

TEST(a_child_that_dies_is_an_error)
{
	struct splitfd_error err = { 0 };

	CHECK_INT(sfd_in_child(die, NULL, NULL, 0, &err), -EPIPE);
	CHECK(strstr(err.text, "exit status 3") != NULL);
}

TEST(a_child_that_was_taken_over_is_not_believed)
{
	struct splitfd_error err = { 0 };
	int got;

	CHECK(sfd_in_child(lie, NULL, &got, sizeof(got), &err) < 0);
	CHECK_INT(err.kind, SPLITFD_ERROR_FAILED);
	CHECK_INT(err.errnum, EIO);
	CHECK(strnlen(err.text, sizeof(err.text)) < sizeof(err.text));
	CHECK(memchr(err.text, '\033', sizeof(err.text)) == NULL);
}
