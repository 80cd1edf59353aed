/* SPDX-License-Identifier: Apache-2.0 */
/* Objects get their names after their data is on the disk, and what is damaged is replaced. */
#include "splitfdstream/base/io.h"
#include "tests/unit/check.h"
#include "tests/unit/temp-dir.h"
#include "transport/composefs/object-check.h"
#include "transport/composefs/object-store.h"
#include "transport/composefs/repository-private.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static struct splitfd_error err;
static char root[PATH_MAX + 32];

static struct splitfd_repository *open_new(const char *name)
{
	struct splitfd_init_options options = { .insecure = true };
	struct splitfd_repository *repository = NULL;

	temp_make();
	snprintf(root, sizeof(root), "%s/%s", temp_dir, name);
	CHECK_OK(splitfd_repository_init(root, &options, &err), &err);
	CHECK_OK(splitfd_repository_open(root, true, &repository, &err), &err);
	return repository;
}

static struct splitfd_digest put(struct splitfd_repository *repository, const char *text, int how)
{
	struct splitfd_digest digest;
	enum sfd_object_how got;

	CHECK_OK(sfd_object_put_bytes(repository, text, strlen(text), &digest, &got, &err), &err);
	CHECK_INT(got, how);
	return digest;
}

static int n_staging(const struct splitfd_repository *repository)
{
	sfd_cleanup_dir DIR *d = fdopendir(openat(repository->fd, ".", O_RDONLY | O_DIRECTORY));
	const struct dirent *entry;
	int n = 0;

	CHECK(d != NULL);
	while ((entry = readdir(d)) != NULL)
		n += strncmp(entry->d_name, ".splitfd-staging-", 17) == 0;
	return n;
}

static void overwrite(const struct splitfd_repository *repository,
	const struct splitfd_digest *digest, const char *text)
{
	char object[SFD_OBJECT_PATH_SIZE];
	int fd;

	sfd_object_path(digest, object);
	fd = openat(repository->objects_fd, object, O_WRONLY | O_TRUNC | O_CLOEXEC);
	CHECK(fd >= 0 && sfd_write_all(fd, text, strlen(text)) == 0);
	close(fd);
}

TEST(a_batch_is_named_at_once)
{
	struct splitfd_repository *repository = open_new("batch");
	struct splitfd_digest first = put(repository, "the first", SFD_OBJECT_COPIED);
	struct splitfd_digest second = put(repository, "the second", SFD_OBJECT_COPIED);

	CHECK(faccessat(repository->fd, "objects", F_OK, 0) < 0);
	CHECK_INT(n_staging(repository), 1);
	put(repository, "the first", SFD_OBJECT_PRESENT);
	CHECK_INT(sfd_objects_publish(repository, &err), 1);
	CHECK_INT(sfd_object_verify(repository, &first, &err), 1);
	CHECK_INT(sfd_object_verify(repository, &second, &err), 1);
	CHECK_INT(sfd_objects_publish(repository, &err), 0);
	splitfd_repository_close(repository);
}

/* objects/xx is there: file by file. */
TEST(later_batches_join_the_earlier)
{
	struct splitfd_repository *repository = open_new("join");
	char text[32];

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 300; i++) {
			snprintf(text, sizeof(text), "%d %d", round, i);
			put(repository, text, SFD_OBJECT_COPIED);
		}
		CHECK_INT(sfd_objects_publish(repository, &err), 1);
	}
	for (int i = 0; i < 300; i++) {
		snprintf(text, sizeof(text), "%d %d", i % 3, i);
		put(repository, text, SFD_OBJECT_PRESENT);
	}
	splitfd_repository_close(repository);
}

TEST(two_writers_make_the_same_object)
{
	struct splitfd_repository *a = open_new("two"), *b = NULL;
	struct splitfd_digest digest;

	CHECK_OK(splitfd_repository_open(root, true, &b, &err), &err);
	put(a, "the same", SFD_OBJECT_COPIED);
	digest = put(b, "the same", SFD_OBJECT_COPIED);
	put(b, "another", SFD_OBJECT_COPIED);
	CHECK_INT(n_staging(a), 2);
	CHECK(mkdirat(b->fd, "objects", 0755) == 0);
	/* It looks, and knows from here on that the object's directory is not there. */
	CHECK_INT(sfd_object_check(b, &digest, 8, &err), 0);
	CHECK_INT(sfd_objects_publish(a, &err), 1);
	CHECK_INT(sfd_objects_publish(b, &err), 1);
	CHECK_INT(sfd_object_verify(a, &digest, &err), 1);
	CHECK_INT(a->replaced + b->replaced, 0);
	splitfd_repository_close(a);
	splitfd_repository_close(b);
}

TEST(a_damaged_object_is_replaced)
{
	struct splitfd_repository *repository = open_new("damaged");
	struct splitfd_digest digest = put(repository, "the content", SFD_OBJECT_COPIED);

	CHECK_INT(sfd_objects_publish(repository, &err), 1);
	overwrite(repository, &digest, "");
	CHECK_INT(sfd_object_check(repository, &digest, 11, &err), 0);
	put(repository, "the content", SFD_OBJECT_COPIED);
	CHECK_INT(sfd_objects_publish(repository, &err), 1);
	CHECK_INT(sfd_object_verify(repository, &digest, &err), 1);
	/* Of the right size: seen where the content is read. */
	overwrite(repository, &digest, "the_content");
	CHECK_INT(sfd_object_check(repository, &digest, 11, &err), 1);
	CHECK_INT(sfd_object_verify(repository, &digest, &err), 0);
	repository->distrust = true;
	CHECK_INT(sfd_object_check(repository, &digest, 11, &err), 0);
	put(repository, "the content", SFD_OBJECT_COPIED);
	CHECK_INT(sfd_objects_publish(repository, &err), 1);
	CHECK_INT(sfd_object_verify(repository, &digest, &err), 1);
	CHECK_INT(repository->replaced, 2);
	splitfd_repository_close(repository);
}

/* Neither a directory nor a symlink in an object's place is a dead end. */
TEST(what_is_no_object_makes_room)
{
	struct splitfd_repository *repository = open_new("room");
	struct splitfd_digest digest = put(repository, "the content", SFD_OBJECT_COPIED);
	char object[SFD_OBJECT_PATH_SIZE], below[SFD_OBJECT_PATH_SIZE + 8];

	CHECK_INT(sfd_objects_publish(repository, &err), 1);
	sfd_object_path(&digest, object);
	snprintf(below, sizeof(below), "%s/below", object);
	CHECK(unlinkat(repository->objects_fd, object, 0) == 0);
	CHECK(mkdirat(repository->objects_fd, object, 0755) == 0);
	CHECK(mkdirat(repository->objects_fd, below, 0755) == 0);
	put(repository, "the content", SFD_OBJECT_COPIED);
	CHECK_INT(sfd_objects_publish(repository, &err), 1);
	CHECK_INT(sfd_object_verify(repository, &digest, &err), 1);
	CHECK(unlinkat(repository->objects_fd, object, 0) == 0);
	CHECK(symlinkat("/etc/passwd", repository->objects_fd, object) == 0);
	put(repository, "the content", SFD_OBJECT_COPIED);
	CHECK_INT(sfd_objects_publish(repository, &err), 1);
	CHECK_INT(sfd_object_verify(repository, &digest, &err), 1);
	splitfd_repository_close(repository);
	CHECK_OK(splitfd_repository_open(root, true, &repository, &err), &err);
	CHECK_INT(n_staging(repository), 0);
	splitfd_repository_close(repository);
}

/* What a living process has locked stays; the rest goes. */
TEST(the_next_writer_cleans_up)
{
	struct splitfd_repository *living = open_new("clean"), *next = NULL;

	put(living, "in the making", SFD_OBJECT_COPIED);
	CHECK(mkdirat(living->fd, ".splitfd-staging-aaaaaaaaaaaa", 0700) == 0);
	CHECK(mkdirat(living->fd, ".splitfd-staging-aaaaaaaaaaaa/0", 0700) == 0);
	CHECK(mkdirat(living->fd, ".splitfd-staging-aaaaaaaaaaaa/0/ab", 0700) == 0);
	CHECK(symlinkat("/etc", living->fd, ".splitfd-staging-bbbbbbbbbbbb") == 0);
	CHECK_OK(splitfd_repository_open(root, false, &next, &err), &err);
	CHECK_INT(n_staging(living), 3);
	splitfd_repository_close(next);
	CHECK_OK(splitfd_repository_open(root, true, &next, &err), &err);
	CHECK_INT(n_staging(living), 2); /* a symlink is not ours, and is not followed */
	CHECK_INT(sfd_objects_publish(living, &err), 1);
	splitfd_repository_close(next);
	splitfd_repository_close(living);
}

/* Nothing that was made before a failed sync gets a name. */
TEST(a_failed_sync_takes_all_with_it)
{
	struct splitfd_repository *repository = open_new("sync");
	struct splitfd_digest digest = put(repository, "lost", SFD_OBJECT_COPIED);
	int fd = repository->fd;

	repository->fd = 1000000; /* no descriptor: syncfs fails */
	CHECK(sfd_repository_sync(repository, &err) < 0);
	repository->fd = fd;
	CHECK_INT(sfd_objects_publish(repository, &err), -EIO);
	CHECK_INT(sfd_object_check(repository, &digest, 4, &err), 0);
	put(repository, "lost", SFD_OBJECT_COPIED);
	CHECK_INT(sfd_objects_publish(repository, &err), 1);
	CHECK_INT(sfd_object_verify(repository, &digest, &err), 1);
	splitfd_repository_close(repository);
}
