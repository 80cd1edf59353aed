/* SPDX-License-Identifier: Apache-2.0 */
/* Objects from files that change. */
#include "splitfdstream/base/io.h"
#include "tests/unit/temp-dir.h"
#include "transport/composefs/object-check.h"
#include "transport/composefs/object-clone.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>

#define SOURCE_SIZE PATH_MAX

static struct splitfd_repository *make_repository(void)
{
	struct splitfd_init_options options = { .insecure = true };
	struct splitfd_repository *repository;
	struct splitfd_error err = { 0 };

	temp_make();
	CHECK_OK(splitfd_repository_init(temp_path("repo"), &options, &err), &err);
	CHECK_OK(splitfd_repository_open(temp_path("repo"), true, &repository, &err), &err);
	return repository;
}

/* A file below the repository's directory, open for reading alone. */
static int make_source(char name[SOURCE_SIZE], const char *text)
{
	int fd;

	snprintf(name, SOURCE_SIZE, "%s", temp_path("source"));
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	CHECK_INT(sfd_write_all(fd, text, strlen(text)), 0);
	close(fd);
	return open(name, O_RDONLY | O_CLOEXEC);
}

/* Where the tests' directory cannot have leases there is nothing to see. */
static bool has_leases(int fd)
{
	bool has = sfd_guardable(fd) == SFD_GUARDABLE_FULLY;

	if (!has)
		printf("# no leases on this file system\n");
	return has;
}

/* A writer that does not wait: the lease is broken at once. */
static void break_lease(const char *name)
{
	int fd = open(name, O_WRONLY | O_NONBLOCK | O_CLOEXEC);

	CHECK(fd < 0 && errno == EWOULDBLOCK);
}

static void check_object(struct splitfd_repository *repository, const struct splitfd_digest *digest,
	const char *text)
{
	struct splitfd_error err = { 0 };
	char *data;
	size_t n;

	CHECK_OK(sfd_object_read(repository, digest, 100, &data, &n, &err), &err);
	CHECK(n == strlen(text) && memcmp(data, text, n) == 0);
	free(data);
}

/* What is cloned or copied must be what was hashed. */
TEST(a_source_that_may_have_changed_is_no_object)
{
	struct splitfd_repository *repository;
	struct splitfd_digest digest = { { 2 }, 64 };
	struct splitfd_error err = { 0 };
	struct sfd_cloner *cloner;
	struct sfd_content content = { .size = 10 };
	struct sfd_taken taken = SFD_TAKEN_INIT;
	enum sfd_object_how how;
	char source[SOURCE_SIZE];

	repository = make_repository();
	cloner = sfd_cloner_new(repository, SPLITFD_REFLINK_AUTO, false, NULL);
	content.fd = make_source(source, "0123456789");
	CHECK_INT(fstat(content.fd, &content.st), 0);
	CHECK_INT(sfd_cloner_put(cloner, &digest, &content, &how, &err), SFD_CLONER_AGAIN);
	sfd_cloner_guard(cloner, &content, true, false);
	if (has_leases(content.fd)) {
		CHECK_INT(content.guard, SFD_GUARD_LEASE);
		CHECK(sfd_guard_holds(content.fd, content.guard));
		break_lease(source);
		CHECK_INT(sfd_cloner_put(cloner, &digest, &content, &how, &err), SFD_CLONER_AGAIN);
	}
	CHECK(sfd_objects_publish(repository, &err) >= 0);
	CHECK_INT(sfd_object_check(repository, &digest, 10, &err), 0);
	/* The lease is gone with that. */
	close(open(source, O_WRONLY | O_TRUNC | O_CLOEXEC));
	CHECK_INT(sfd_cloner_take(cloner, &content, &taken, &err), -ESTALE);
	CHECK_INT(err.kind, SPLITFD_ERROR_REFUSED);
	sfd_taken_done(&taken);
	close(content.fd);
	content.fd = make_source(source, "9876543210");
	taken = SFD_TAKEN_INIT;
	CHECK_OK(sfd_cloner_take(cloner, &content, &taken, &err), &err);
	CHECK_OK(sfd_cloner_put_taken(cloner, &digest, &taken, &how, &err), &err);
	CHECK(how == SFD_OBJECT_COPIED || how == SFD_OBJECT_REFLINKED);
	sfd_taken_done(&taken);
	check_object(repository, &digest, "9876543210");
	CHECK_INT(fstat(content.fd, &content.st), 0);
	sfd_cloner_guard(cloner, &content, true, false);
	if (has_leases(content.fd)) {
		CHECK_OK(sfd_cloner_put(cloner, &digest, &content, &how, &err), &err);
		CHECK(how == SFD_OBJECT_PRESENT);
	}
	close(content.fd);
	sfd_cloner_free(cloner);
	splitfd_repository_close(repository);
}

/* The bytes that were hashed are in memory: whatever the source has become, they are stored. */
TEST(a_changed_source_does_not_change_what_is_in_memory)
{
	struct splitfd_repository *repository;
	struct splitfd_digest digest = { { 3 }, 64 };
	struct splitfd_error err = { 0 };
	struct sfd_cloner *cloner;
	struct sfd_content content = { .size = 10, .data = (const uint8_t *)"0123456789" };
	enum sfd_object_how how;
	char source[SOURCE_SIZE];

	repository = make_repository();
	cloner = sfd_cloner_new(repository, SPLITFD_REFLINK_AUTO, false, NULL);
	content.fd = make_source(source, "changed");
	CHECK_INT(fstat(content.fd, &content.st), 0);
	CHECK_OK(sfd_cloner_put(cloner, &digest, &content, &how, &err), &err);
	CHECK_INT(how, SFD_OBJECT_COPIED);
	check_object(repository, &digest, "0123456789");
	/* With a lease that was broken. */
	digest.bytes[0] = 4;
	sfd_cloner_guard(cloner, &content, false, true);
	if (has_leases(content.fd))
		break_lease(source);
	CHECK_OK(sfd_cloner_put(cloner, &digest, &content, &how, &err), &err);
	CHECK_INT(how, SFD_OBJECT_COPIED);
	check_object(repository, &digest, "0123456789");
	close(content.fd);
	sfd_cloner_free(cloner);
	splitfd_repository_close(repository);
}

/* Nobody can write what has these seals; SHRINK keeps it from being cut off and growing again. */
TEST(sealed_memory_needs_no_lease)
{
	int fd = memfd_create("source", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	CHECK_INT(sfd_write_all(fd, "0123456789", 10), 0);
	CHECK_INT(sfd_guardable(fd), SFD_GUARDABLE_SEALS);
	CHECK_INT(sfd_guard_take(fd, SFD_GUARDABLE_SEALS, true), SFD_GUARD_NONE);
	CHECK_INT(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	CHECK_INT(sfd_guard_take(fd, SFD_GUARDABLE_SEALS, true), SFD_GUARD_NONE);
	CHECK_INT(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	CHECK_INT(sfd_guard_take(fd, SFD_GUARDABLE_SEALS, false), SFD_GUARD_SEALED);
	CHECK(sfd_guard_holds(fd, SFD_GUARD_SEALED));
	close(fd);
}

static volatile sig_atomic_t n_sigio;

static void count_sigio(int sig)
{
	(void)sig;
	n_sigio++;
}

/* A lease is refused while the file is mapped for writing, and its break kills nobody. */
TEST(leases)
{
	char source[SOURCE_SIZE];
	int fd, writer;
	void *map;

	temp_make();
	fd = make_source(source, "0123456789");
	writer = open(source, O_RDWR | O_CLOEXEC);
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, writer, 0);
	CHECK(map != MAP_FAILED);
	if (!has_leases(fd))
		return;
	CHECK_INT(sfd_guard_take(fd, SFD_GUARDABLE_FULLY, true), SFD_GUARD_NONE);
	close(writer);
	CHECK_INT(sfd_guard_take(fd, SFD_GUARDABLE_FULLY, true), SFD_GUARD_NONE);
	munmap(map, 4096);
	CHECK_INT(sfd_guard_take(fd, SFD_GUARDABLE_FULLY, false), SFD_GUARD_NONE);
	signal(SIGIO, count_sigio);
	CHECK_INT(sfd_guard_take(fd, SFD_GUARDABLE_FULLY, true), SFD_GUARD_LEASE);
	break_lease(source);
	CHECK(!sfd_guard_holds(fd, SFD_GUARD_LEASE));
	CHECK_INT(n_sigio, 0);
	signal(SIGIO, SIG_DFL);
	writer = open(source, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	CHECK(writer >= 0);
	close(writer);
	close(fd);
}
