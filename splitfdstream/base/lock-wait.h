/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_BASE_LOCK_WAIT_H
#define SPLITFD_BASE_LOCK_WAIT_H

/*
 * Wait for the shared lock of a file that another process has locked, until a deadline, or until
 * somebody cancels.
 */

#include "splitfdstream/base/error.h"

/* How long a lock is waited for where nobody says. */
#define SFD_LOCK_TIMEOUT_MS 60000

enum sfd_lock_kind {
	SFD_LOCK_FLOCK,	 /* flock(2) */
	SFD_LOCK_RECORD, /* a record lock, of the open file description; meets those of processes */
};

struct sfd_lock_options {
	int cancel_fd;		 /* the wait ends once it is readable; 0: none */
	unsigned int timeout_ms; /* 0: SFD_LOCK_TIMEOUT_MS */
	/* Called once after two seconds, with a sentence that names the holder; NULL: not at all */
	void (*notice)(void *ctx, const char *text);
	void *ctx;
};

/* 0, -ECANCELED, -ETIMEDOUT at the deadline, or -errno, with a text. `what` is for the text: "the
 * repository '/x'". `options` NULL: zeros. */
int sfd_lock_wait(int fd, enum sfd_lock_kind kind, const char *what,
	const struct sfd_lock_options *options, struct splitfd_error *err);

#endif
