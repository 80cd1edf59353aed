/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"
#include "transport/composefs/images/sync-ahead.h"

#include <errno.h>

/* Counts its calls. */
static int fails(void *ctx)
{
	++*(int *)ctx;
	return -EIO;
}

static int succeeds(void *ctx)
{
	++*(int *)ctx;
	return 0;
}

TEST(little_is_left_to_the_sync_before_the_names)
{
	int calls = 0;
	struct sfd_sync_ahead *s = sfd_sync_ahead_new(fails, &calls);

	CHECK(s != NULL);
	for (int i = 0; i < 100; i++)
		sfd_sync_ahead_wrote(s, 0);
	sfd_sync_ahead_pause(s);
	CHECK_INT(sfd_sync_ahead_finish(s), 0);
	sfd_sync_ahead_free(s);
}

TEST(many_objects_are_synced_and_a_failure_is_kept)
{
	int calls = 0;
	struct sfd_sync_ahead *s = sfd_sync_ahead_new(fails, &calls);

	CHECK(s != NULL);
	for (int i = 0; i < 5000; i++)
		sfd_sync_ahead_wrote(s, 0);
	CHECK_INT(sfd_sync_ahead_finish(s), -EIO);
	CHECK_INT(sfd_sync_ahead_finish(s), -EIO);
	sfd_sync_ahead_free(s);
}

TEST(much_data_is_synced)
{
	int calls = 0;
	struct sfd_sync_ahead *s = sfd_sync_ahead_new(fails, &calls);

	CHECK(s != NULL);
	sfd_sync_ahead_wrote(s, (uint64_t)1024 * 1024 * 1024);
	CHECK_INT(sfd_sync_ahead_finish(s), -EIO);
	sfd_sync_ahead_free(s);
}

TEST(a_pause_syncs_what_is_not_enough_by_itself)
{
	int calls = 0;
	struct sfd_sync_ahead *s = sfd_sync_ahead_new(fails, &calls);

	CHECK(s != NULL);
	for (int i = 0; i < 1000; i++)
		sfd_sync_ahead_wrote(s, 0);
	CHECK_INT(sfd_sync_ahead_finish(s), 0);
	sfd_sync_ahead_pause(s);
	CHECK_INT(sfd_sync_ahead_finish(s), -EIO);
	sfd_sync_ahead_free(s);
}

TEST(much_is_synced_again_and_again)
{
	int calls = 0;
	struct sfd_sync_ahead *s = sfd_sync_ahead_new(succeeds, &calls);

	CHECK(s != NULL);
	for (int i = 0; i < 10; i++) {
		sfd_sync_ahead_wrote(s, (uint64_t)1024 * 1024 * 1024);
		CHECK_INT(sfd_sync_ahead_finish(s), 0);
	}
	sfd_sync_ahead_free(s);
	CHECK_INT(calls, 10);
}
