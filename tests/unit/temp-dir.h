/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_TESTS_TEMP_DIR_H
#define SPLITFD_TESTS_TEMP_DIR_H

/*
 * A temporary directory with small files for unit tests; removed when the program ends.
 */

#include "tests/unit/check.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char temp_dir[PATH_MAX];

static int temp_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void temp_clean(void)
{
	if (temp_dir[0] != '\0')
		(void)nftw(temp_dir, temp_remove, 16, FTW_DEPTH | FTW_PHYS);
	temp_dir[0] = '\0';
}

/* A fresh directory; its path is temp_dir. */
static void temp_make(void)
{
	const char *base = getenv("TMPDIR");

	if (temp_dir[0] == '\0')
		CHECK(atexit(temp_clean) == 0);
	temp_clean();
	memset(temp_dir, 0, sizeof(temp_dir));
	(void)snprintf(temp_dir, sizeof(temp_dir) - 6, "%s/sfd-unit.",
		base != NULL && *base != '\0' ? base : "/tmp");
	memset(temp_dir + strlen(temp_dir), 'X', 6);
	CHECK(mkdtemp(temp_dir) != NULL);
}

/* The absolute path of a name in the directory; good until the eighth call after. */
static const char *temp_path(const char *name)
{
	static char paths[8][PATH_MAX];
	static unsigned int next;
	char *path = paths[next++ % 8];
	size_t n = strlen(temp_dir);

	CHECK(n + strlen(name) + 2 < PATH_MAX);
	memcpy(path, temp_dir, n);
	path[n] = '/';
	memcpy(path + n + 1, name, strlen(name) + 1);
	return path;
}

/* Writes a file and makes the directories above it. */
__attribute__((unused)) static void temp_file(const char *name, const char *text)
{
	char path[PATH_MAX];
	int fd;

	(void)snprintf(path, sizeof(path), "%s", temp_path(name));
	for (char *p = path + strlen(temp_dir) + 1; *p != '\0'; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		(void)mkdir(path, 0700);
		*p = '/';
	}
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	CHECK(fd >= 0);
	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

#endif
