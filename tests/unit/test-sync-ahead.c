/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"
#include "transport/composefs/sync-ahead.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* A sync of a descriptor that is none fails: so it shows whether there was one. */
#define NO_FD 1000000

TEST(little_is_left_to_the_sync_before_the_names)
{
	struct sfd_sync_ahead *s = sfd_sync_ahead_new(NO_FD);

	CHECK(s != NULL);
	for (int i = 0; i < 100; i++)
		sfd_sync_ahead_wrote(s, 0);
	sfd_sync_ahead_pause(s);
	CHECK_INT(sfd_sync_ahead_finish(s), 0);
	sfd_sync_ahead_free(s);
}

TEST(many_objects_are_synced_and_a_failure_is_kept)
{
	struct sfd_sync_ahead *s = sfd_sync_ahead_new(NO_FD);

	CHECK(s != NULL);
	for (int i = 0; i < 5000; i++)
		sfd_sync_ahead_wrote(s, 0);
	CHECK_INT(sfd_sync_ahead_finish(s), -EBADF);
	CHECK_INT(sfd_sync_ahead_finish(s), -EBADF);
	sfd_sync_ahead_free(s);
}

TEST(much_data_is_synced)
{
	struct sfd_sync_ahead *s = sfd_sync_ahead_new(NO_FD);

	CHECK(s != NULL);
	sfd_sync_ahead_wrote(s, (uint64_t)1024 * 1024 * 1024);
	CHECK_INT(sfd_sync_ahead_finish(s), -EBADF);
	sfd_sync_ahead_free(s);
}

TEST(a_pause_syncs_what_is_not_enough_by_itself)
{
	struct sfd_sync_ahead *s = sfd_sync_ahead_new(NO_FD);

	CHECK(s != NULL);
	for (int i = 0; i < 1000; i++)
		sfd_sync_ahead_wrote(s, 0);
	CHECK_INT(sfd_sync_ahead_finish(s), 0);
	sfd_sync_ahead_pause(s);
	CHECK_INT(sfd_sync_ahead_finish(s), -EBADF);
	sfd_sync_ahead_free(s);
}

TEST(a_real_directory_is_synced_again_and_again)
{
	int fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct sfd_sync_ahead *s = sfd_sync_ahead_new(fd);

	CHECK(fd >= 0 && s != NULL);
	for (int i = 0; i < 10; i++)
		sfd_sync_ahead_wrote(s, (uint64_t)1024 * 1024 * 1024);
	CHECK_INT(sfd_sync_ahead_finish(s), 0);
	sfd_sync_ahead_free(s);
	close(fd);
}
