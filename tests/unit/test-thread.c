/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/base/thread.h"
#include "tests/unit/check.h"

#include <errno.h>
#include <signal.h>

struct seen {
	sigset_t mask;
	size_t stack;
};

static void *look(void *ctx)
{
	struct seen *seen = ctx;
	pthread_attr_t attributes;

	CHECK_INT(pthread_sigmask(SIG_SETMASK, NULL, &seen->mask), 0);
	CHECK_INT(pthread_getattr_np(pthread_self(), &attributes), 0);
	CHECK_INT(pthread_attr_getstacksize(&attributes, &seen->stack), 0);
	pthread_attr_destroy(&attributes);
	return NULL;
}

static struct seen start(size_t stack)
{
	struct seen seen;
	pthread_t thread;

	CHECK_INT(sfd_thread_start(&thread, stack, look, &seen), 0);
	CHECK_INT(pthread_join(thread, NULL), 0);
	return seen;
}

TEST(a_thread_gets_no_signal_and_its_starter_all)
{
	struct seen seen = start(SFD_STACK_SMALL);
	sigset_t mine;

	CHECK_INT(sigismember(&seen.mask, SIGTERM), 1);
	CHECK_INT(sigismember(&seen.mask, SIGINT), 1);
	CHECK_INT(sigismember(&seen.mask, SIGPIPE), 1);
	CHECK_INT(pthread_sigmask(SIG_SETMASK, NULL, &mine), 0);
	CHECK_INT(sigismember(&mine, SIGTERM), 0);
}

TEST(a_thread_has_the_stack_that_was_asked_for)
{
	CHECK_INT(start(SFD_STACK_SMALL).stack, SFD_STACK_SMALL);
	CHECK_INT(start(SFD_STACK_LARGE).stack, SFD_STACK_LARGE);
}

TEST(a_thread_that_cannot_be_started_is_an_error)
{
	struct seen seen;
	pthread_t thread;

	CHECK_INT(sfd_thread_start(&thread, 1, look, &seen), -EINVAL);
}
