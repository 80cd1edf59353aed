/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/base/lock-wait.h"
#include "splitfdstream/base/clock.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/base/lock-holder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>

/* Only a blocking call is woken when a lock is free, and that call has no deadline: the lock is
 * tried again, at first often. */
#define FIRST_MS 1
#define LAST_MS	 40

#define NOTICE_MS 2000

static int try_lock(int fd, enum sfd_lock_kind kind)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };

	if ((kind == SFD_LOCK_FLOCK ? flock(fd, LOCK_SH | LOCK_NB)
				    : fcntl(fd, F_OFD_SETLK, &lock)) == 0)
		return 0;
	/* What the two calls say of a lock that is held, and a signal. */
	return errno == EACCES || errno == EINTR ? -EAGAIN : -errno;
}

static void notify(
	int fd, enum sfd_lock_kind kind, const char *what, const struct sfd_lock_options *o)
{
	char holder[SFD_LOCK_HOLDER_SIZE], text[SFD_LOCK_HOLDER_SIZE + 512];

	if (o->notice == NULL)
		return;
	sfd_lock_holder(fd, kind == SFD_LOCK_FLOCK, holder);
	(void)snprintf(
		text, sizeof(text), "waiting for the lock of %s, which %s holds", what, holder);
	o->notice(o->ctx, text);
}

static int timed_out(int fd, enum sfd_lock_kind kind, const char *what, unsigned int timeout_ms,
	struct splitfd_error *err)
{
	char holder[SFD_LOCK_HOLDER_SIZE];

	sfd_lock_holder(fd, kind == SFD_LOCK_FLOCK, holder);
	return splitfd_error_set(err, SPLITFD_ERROR_FAILED, ETIMEDOUT,
		"%s has been locked for %.4g seconds by %s; --lock-timeout sets how long to wait",
		what, timeout_ms / 1000.0, holder);
}

int sfd_lock_wait(int fd, enum sfd_lock_kind kind, const char *what,
	const struct sfd_lock_options *options, struct splitfd_error *err)
{
	const struct sfd_lock_options o = options != NULL ? *options
							  : (struct sfd_lock_options){ 0 };
	unsigned int timeout_ms = o.timeout_ms != 0 ? o.timeout_ms : SFD_LOCK_TIMEOUT_MS;
	int64_t start = sfd_now_ms();
	int pause_ms = FIRST_MS, r;
	bool noticed = false;

	while ((r = try_lock(fd, kind)) == -EAGAIN) {
		int64_t waited = sfd_now_ms() - start, left = timeout_ms - waited;

		if (left <= 0)
			return timed_out(fd, kind, what, timeout_ms, err);
		if (!noticed && waited >= NOTICE_MS) {
			notify(fd, kind, what, &o);
			noticed = true;
		}
		r = sfd_wait_or_cancel(-1, 0, o.cancel_fd, left < pause_ms ? (int)left : pause_ms);
		if (r == -ECANCELED)
			return splitfd_error_set(
				err, SPLITFD_ERROR_FAILED, ECANCELED, "interrupted");
		if (r < 0)
			break;
		if (pause_ms < LAST_MS)
			pause_ms *= 2;
	}
	return r < 0 ? splitfd_error_sys(err, -r, "cannot lock %s", what) : 0;
}
