/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/base/io.h"
#include "tests/unit/check.h"
#include "transport/composefs/object-check.h"
#include "transport/composefs/object-writer.h"
#include "transport/composefs/repository-private.h"
#include "transport/composefs/verity.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* mkdtemp(3) wants six of these letters. */
static char dir[] = "/tmp/splitfd-test-repository."
		    "XX"
		    "XX"
		    "XX";
static bool dir_made;
static char path[128];

/* A fresh name for a repository below one scratch folder, which is taken away at the end. */
static const char *fresh(void)
{
	static int n;

	if (n == 0)
		CHECK(dir_made = mkdtemp(dir) != NULL);
	snprintf(path, sizeof(path), "%s/r%d", dir, n++);
	return path;
}

__attribute__((destructor)) static void remove_scratch(void)
{
	char command[256];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	if (dir_made && system(command) != 0)
		printf("# %s is left\n", dir);
}

static void write_meta(const char *text)
{
	char meta[160];
	int fd;

	snprintf(meta, sizeof(meta), "%s/meta.json", path);
	fd = open(meta, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	CHECK(fd >= 0 && sfd_write_all(fd, text, strlen(text)) == 0);
	close(fd);
}

static int try_open(bool write, struct splitfd_error *err)
{
	struct splitfd_repository *repository = NULL;
	int r;

	splitfd_error_clear(err);
	r = splitfd_repository_open(path, write, &repository, err);
	splitfd_repository_close(repository);
	return r;
}

static void init(const struct splitfd_init_options *options)
{
	struct splitfd_error err = { 0 };

	CHECK_OK(splitfd_repository_init(fresh(), options, &err), &err);
}

TEST(init_writes_what_cfsctl_writes)
{
	struct splitfd_init_options options = { .insecure = true };
	struct splitfd_error err = { 0 };
	char *text, meta[160];
	size_t n;
	int fd;
	struct stat st;

	init(&options);
	snprintf(meta, sizeof(meta), "%s/meta.json", path);
	CHECK(stat(path, &st) == 0 && (st.st_mode & 07777) == 0700);
	fd = open(meta, O_RDONLY | O_CLOEXEC);
	CHECK_INT(sfd_read_file_fd(fd, 4096, &text, &n), 0);
	sfd_close(fd);
	CHECK_INT(n, 219);
	CHECK_STR(text,
		"{\n  \"version\": 1,\n  \"algorithm\": \"fsverity-sha512-12\",\n"
		"  \"features\": {\n    \"compatible\": [],\n    \"read-only-compatible\": [\n"
		"      \"v1_erofs\"\n    ],\n    \"incompatible\": []\n  },\n"
		"  \"erofs_formats\": {\n    \"default\": 1\n  }\n}\n");
	free(text);
	CHECK_OK(splitfd_repository_init(path, &options, &err), &err);
	options.algorithm = SPLITFD_SHA256;
	CHECK_INT(splitfd_repository_init(path, &options, &err), -EEXIST);
	CHECK(strstr(err.text, "fsverity-sha512-12") != NULL);
	options = (struct splitfd_init_options){ .insecure = true, .erofs_default = 2 };
	CHECK_INT(splitfd_repository_init(path, &options, &err), -EEXIST);
	options = (struct splitfd_init_options){ .insecure = false };
	CHECK_INT(splitfd_repository_init(path, &options, &err), -EEXIST);
}

TEST(features_are_honoured)
{
	static const char *const formats[] = {
		"{\"version\":1,\"algorithm\":\"fsverity-sha256-12\"}",
		"{\"version\":1,\"algorithm\":\"fsverity-sha256-12\",\"later\":{},\"features\":"
		"{\"compatible\":[\"x\"],\"read-only-compatible\":[\"v1_erofs\"]}}",
		"{\"version\":1,\"algorithm\":\"fsverity-sha256-12\",\"erofs_formats\":"
		"{\"default\":0,\"extra\":[2,1,2,0]}}",
	};
	static const int defaults[] = { 2, 1, 0 }, extras[] = { 0, 0, 2 };
	struct splitfd_init_options options = { .insecure = true };
	struct splitfd_repository *repository;
	struct splitfd_error err = { 0 };

	init(&options);
	for (int i = 0; i < 3; i++) {
		write_meta(formats[i]);
		CHECK_OK(splitfd_repository_open(path, true, &repository, &err), &err);
		CHECK_INT(repository->algorithm, SPLITFD_SHA256);
		CHECK_INT(repository->erofs_default, defaults[i]);
		CHECK_INT(repository->n_erofs_extra, extras[i]);
		CHECK(!splitfd_repository_secure(repository));
		splitfd_repository_close(repository);
	}
	write_meta("{\"version\":1,\"algorithm\":\"fsverity-sha512-12\",\"features\":"
		   "{\"read-only-compatible\":[\"v1_erofs\",\"news\"]}}");
	CHECK_OK(try_open(false, &err), &err);
	CHECK_INT(try_open(true, &err), -EOPNOTSUPP);
	CHECK_INT(err.kind, SPLITFD_ERROR_REFUSED);
	CHECK(strstr(err.text, "'news'") != NULL);
}

TEST(what_is_not_known_is_refused)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{",
		"{\"algorithm\":\"fsverity-sha512-12\"}",
		"{\"version\":2,\"algorithm\":\"fsverity-sha512-12\"}",
		"{\"version\":0.5,\"algorithm\":\"fsverity-sha512-12\"}",
		"{\"version\":\"1\",\"algorithm\":\"fsverity-sha512-12\"}",
		"{\"version\":1}",
		"{\"version\":1,\"algorithm\":\"fsverity-sha512-16\"}",
		"{\"version\":1,\"algorithm\":\"fsverity-sha512-12\",\"features\":[]}",
		"{\"version\":1,\"algorithm\":\"fsverity-sha512-12\",\"features\":"
		"{\"incompatible\":[\"x\"]}}",
		"{\"version\":1,\"algorithm\":\"fsverity-sha512-12\",\"features\":"
		"{\"incompatible\":\"x\"}}",
		"{\"version\":1,\"algorithm\":\"fsverity-sha512-12\",\"erofs_formats\":"
		"{\"default\":3}}",
		"{\"version\":1,\"algorithm\":\"fsverity-sha512-12\",\"erofs_formats\":"
		"{\"default\":1,\"extra\":[1.5]}}",
	};
	struct splitfd_init_options options = { .insecure = true };
	struct splitfd_error err = { 0 };

	init(&options);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		write_meta(bad[i]);
		printf("# %s\n", bad[i]);
		CHECK(try_open(false, &err) < 0);
		CHECK_INT(err.kind, SPLITFD_ERROR_REFUSED);
		printf("#   %s\n", err.text);
	}
}

TEST(no_repository_says_the_way_out)
{
	struct splitfd_error err = { 0 };
	char objects[160];

	fresh();
	CHECK_INT(try_open(true, &err), -ENOENT);
	CHECK_INT(err.kind, SPLITFD_ERROR_NOT_FOUND);
	CHECK(strstr(err.text, "init") != NULL);
	CHECK(mkdir(path, 0700) == 0);
	CHECK_INT(try_open(true, &err), -ENOENT);
	CHECK_INT(err.kind, SPLITFD_ERROR_NOT_FOUND);
	snprintf(objects, sizeof(objects), "%s/objects", path);
	CHECK(mkdir(objects, 0700) == 0);
	CHECK_INT(try_open(true, &err), -ENOENT);
	CHECK_INT(err.kind, SPLITFD_ERROR_REFUSED);
	CHECK(strstr(err.text, "older") != NULL);
}

TEST(is_locked_shared_while_open)
{
	struct splitfd_init_options options = { .insecure = true };
	struct splitfd_repository *repository, *second;
	struct splitfd_error err = { 0 };
	int fd;

	init(&options);
	CHECK_OK(splitfd_repository_open(path, true, &repository, &err), &err);
	CHECK_OK(splitfd_repository_open(path, true, &second, &err), &err);
	fd = open(path, O_RDONLY | O_DIRECTORY);
	CHECK(flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK);
	splitfd_repository_close(second);
	splitfd_repository_close(repository);
	CHECK(flock(fd, LOCK_EX | LOCK_NB) == 0);
	close(fd);
}

TEST(objects_by_digest)
{
	struct splitfd_init_options options = { .insecure = true };
	struct splitfd_repository *repository;
	struct splitfd_digest digest, missing = { { 1 }, 64 };
	struct splitfd_error err = { 0 };
	enum sfd_object_how how;
	char *text, name[SFD_OBJECT_PATH_SIZE];
	struct stat st;
	size_t n;
	mode_t mask;

	init(&options);
	CHECK_OK(splitfd_repository_open(path, true, &repository, &err), &err);
	CHECK_INT(sfd_object_check(repository, &missing, 11, &err), 0);
	mask = umask(077);
	CHECK_OK(sfd_object_put_bytes(repository, "hello world", 11, &digest, &how, &err), &err);
	umask(mask);
	CHECK_INT(how, SFD_OBJECT_COPIED);
	sfd_object_path(&digest, name);
	/* No name before the data is on the disk. */
	CHECK_INT(sfd_object_check(repository, &digest, 11, &err), 0);
	CHECK_OK(sfd_object_read(repository, &digest, 100, &text, &n, &err), &err);
	free(text);
	CHECK_INT(sfd_objects_publish(repository, &err), 1);
	CHECK_INT(sfd_objects_publish(repository, &err), 0);
	CHECK(strncmp(name, "18/430270729d162d4e469daca123ae61", 33) == 0);
	CHECK_INT(strlen(name), 129);
	CHECK(fstatat(repository->objects_fd, name, &st, 0) == 0 && (st.st_mode & 07777) == 0644 &&
		st.st_nlink == 1);
	CHECK_OK(sfd_object_put_bytes(repository, "hello world", 11, &digest, &how, &err), &err);
	CHECK_INT(how, SFD_OBJECT_PRESENT);
	CHECK_INT(sfd_object_check(repository, &digest, 11, &err), 1);
	CHECK_INT(sfd_object_check(repository, &digest, 12, &err), 0);
	CHECK_INT(sfd_object_verify(repository, &digest, &err), 1);
	CHECK_OK(sfd_object_read(repository, &digest, 100, &text, &n, &err), &err);
	CHECK_STR(text, "hello world");
	free(text);
	CHECK_INT(sfd_object_read(repository, &digest, 10, &text, &n, &err), -EFBIG);
	CHECK_INT(sfd_object_read(repository, &missing, 10, &text, &n, &err), -ENOENT);
	CHECK_INT(err.kind, SPLITFD_ERROR_NOT_FOUND);
	splitfd_repository_close(repository);
}

/* Written piece by piece or at once, an object is the same; what is not finished is gone. */
TEST(objects_in_pieces)
{
	struct splitfd_init_options options = { .insecure = true };
	struct splitfd_repository *repository;
	struct sfd_object_writer *writer;
	struct splitfd_digest digest, again;
	struct splitfd_error err = { 0 };
	enum sfd_object_how how;
	uint8_t *data = calloc(1, 3000001);
	char name[SFD_OBJECT_PATH_SIZE];
	struct stat st;

	init(&options);
	CHECK_OK(splitfd_repository_open(path, true, &repository, &err), &err);
	for (size_t n = 0; n < 3000001; n++)
		data[n] = (uint8_t)(n * 7 >> 3);
	CHECK_OK(sfd_object_writer_new(repository, &writer, &err), &err);
	CHECK_OK(sfd_object_writer_add(writer, data, 3000001, &err), &err);
	sfd_object_writer_free(writer);
	for (int round = 0; round < 2; round++) {
		CHECK_OK(sfd_object_writer_new(repository, &writer, &err), &err);
		for (size_t at = 0, n = 1; at < 3000001; at += n, n = n * 2 + 1)
			CHECK_OK(sfd_object_writer_add(writer, data + at,
					 n < 3000001 - at ? n : 3000001 - at, &err),
				&err);
		CHECK_OK(sfd_object_writer_finish(writer, &digest, &how, &err), &err);
		CHECK_INT(how, round == 0 ? SFD_OBJECT_COPIED : SFD_OBJECT_PRESENT);
		sfd_object_writer_free(writer);
	}
	CHECK_OK(sfd_object_put_bytes(repository, data, 3000001, &again, &how, &err), &err);
	CHECK_INT(how, SFD_OBJECT_PRESENT);
	CHECK(splitfd_digest_equal(&digest, &again));
	CHECK_INT(sfd_objects_publish(repository, &err), 1);
	sfd_object_path(&digest, name);
	CHECK(fstatat(repository->objects_fd, name, &st, 0) == 0 && st.st_size == 3000001 &&
		(st.st_mode & 07777) == 0644 && st.st_nlink == 1);
	splitfd_repository_close(repository);
	free(data);
}
