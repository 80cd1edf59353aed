/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/base/io.h"
#include "splitfdstream/base/unnamed-file.h"
#include "tests/unit/splitstream-fixture.h"
#include "tests/unit/temp-dir.h"

#include <dirent.h>
#include <errno.h>

static int open_temp_dir(void)
{
	int fd;

	temp_make();
	fd = open(temp_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	CHECK(fd >= 0);
	return fd;
}

static bool is_empty(void)
{
	DIR *dir = opendir(temp_dir);
	size_t n = 0;

	CHECK(dir != NULL);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n == 2;
}

/* Bytes that do not compress. */
static void fill(uint8_t *data, size_t n)
{
	uint64_t x = 88172645463325252u;

	for (size_t i = 0; i < n; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		data[i] = (uint8_t)x;
	}
}

TEST(a_file_below_a_directory)
{
	sfd_cleanup_fd int dir = open_temp_dir(), fd = sfd_unnamed_file(dir);
	struct stat st, of_dir;
	char text[4] = "";

	CHECK(fd >= 0);
	CHECK(is_empty());
	CHECK_INT(fstat(fd, &st), 0);
	CHECK_INT(fstat(dir, &of_dir), 0);
	CHECK_INT(st.st_nlink, 0);
	CHECK_INT(st.st_dev, of_dir.st_dev);
	CHECK_INT(st.st_mode & 0777, 0600);
	CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	CHECK_INT(sfd_pwrite_all(fd, "abc", 3, 0), 0);
	CHECK_INT(sfd_pread_full(fd, text, 3, 0), 0);
	CHECK_STR(text, "abc");
}

TEST(without_a_directory)
{
	sfd_cleanup_fd int fd = sfd_unnamed_file(-EBADF), file = -EBADF;

	CHECK(fd >= 0);
	CHECK_INT(sfd_pwrite_all(fd, "abc", 3, 0), 0);
	file = open("/dev/null", O_RDONLY | O_CLOEXEC);
	CHECK_INT(sfd_unnamed_file(file), -ENOTDIR);
}

TEST(the_directory_for_them)
{
	sfd_cleanup_fd int dir = -EBADF;
	struct stat want, got;

	temp_make();
	CHECK_INT(setenv("TMPDIR", temp_dir, 1), 0);
	dir = sfd_unnamed_dir();
	CHECK(dir >= 0);
	CHECK_INT(stat(temp_dir, &want), 0);
	CHECK_INT(fstat(dir, &got), 0);
	CHECK_INT(got.st_ino, want.st_ino);
	CHECK_INT(setenv("TMPDIR", "relative", 1), 0);
	sfd_close(dir);
	dir = sfd_unnamed_dir();
	CHECK_INT(stat("/var/tmp", &want), 0);
	CHECK_INT(fstat(dir, &got), 0);
	CHECK_INT(got.st_ino, want.st_ino);
	CHECK_INT(unsetenv("TMPDIR"), 0);
}

/* A run and a compressed stream that are more than the writer keeps in memory. */
TEST(a_splitstream_keeps_its_bytes_there)
{
	const size_t size = (size_t)12 * 1024 * 1024;
	sfd_cleanup_fd int dir = open_temp_dir(), file = open("/dev/null", O_PATH | O_CLOEXEC);
	sfd_cleanup_free uint8_t *bytes = malloc(size);
	sfd_cleanup_free char *here = NULL, *in_memory = NULL;
	struct sfd_splitstream_writer *w = NULL;
	size_t n, n_in_memory;

	CHECK(bytes != NULL);
	fill(bytes, size);
	CHECK_OK(sfd_splitstream_writer_new(SPLITFD_SHA512, SFD_STREAM_LAYER, dir, &w, &err), &err);
	CHECK_OK(sfd_splitstream_inline(w, bytes, size, &err), &err);
	CHECK(is_empty());
	finish(w, &here, &n);
	w = new_writer(SPLITFD_SHA512);
	CHECK_OK(sfd_splitstream_inline(w, bytes, size, &err), &err);
	finish(w, &in_memory, &n_in_memory);
	CHECK_INT(n, n_in_memory);
	CHECK(n > size);
	CHECK(memcmp(here, in_memory, n) == 0);
	/* Where there is no directory for it, it says so. */
	w = NULL;
	CHECK_OK(
		sfd_splitstream_writer_new(SPLITFD_SHA512, SFD_STREAM_LAYER, file, &w, &err), &err);
	CHECK_INT(sfd_splitstream_inline(w, bytes, size, &err), -ENOTDIR);
	CHECK(strstr(err.text, "temporary file in the repository") != NULL);
	sfd_splitstream_writer_free(w);
}
