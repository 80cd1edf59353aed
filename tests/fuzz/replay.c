/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plain main for fuzz targets: runs LLVMFuzzerTestOneInput over the files named, and over every
 * file of the folders named, in the order of their names, and prints TAP. With a fuzzing engine
 * (clang -fsanitize=fuzzer) the targets are linked without it.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int n_run, n_failed;

static int run_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t *data;
	struct stat st;
	int r = -1;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -1;
	/* Exactly the file's size, so that a sanitizer sees one byte too far. */
	data = malloc(st.st_size > 0 ? (size_t)st.st_size : 1);
	if (data != NULL && read(fd, data, (size_t)st.st_size) == (ssize_t)st.st_size)
		r = LLVMFuzzerTestOneInput(data, (size_t)st.st_size);
	free(data);
	close(fd);
	return r;
}

static void report(const char *path)
{
	int r = run_file(path);

	n_failed += r != 0;
	printf("%s %d - %s\n", r == 0 ? "ok" : "not ok", ++n_run, path);
	fflush(stdout);
}

static int not_hidden(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void run_folder(const char *path)
{
	struct dirent **entries;
	int n = scandir(path, &entries, not_hidden, alphasort);

	for (int i = 0; i < n; i++) {
		char file[PATH_MAX];

		snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
		report(file);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		struct stat st;

		if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode))
			run_folder(argv[i]);
		else
			report(argv[i]);
	}
	printf("1..%d\n", n_run);
	return n_failed != 0 || n_run == 0;
}
