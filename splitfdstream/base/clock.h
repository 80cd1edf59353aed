/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_BASE_CLOCK_H
#define SPLITFD_BASE_CLOCK_H

/*
 * Time for timeouts: no change of the wall clock moves it.
 */

#include <stdint.h>
#include <time.h>

/* Milliseconds of CLOCK_MONOTONIC. */
static inline int64_t sfd_now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* An option's seconds (at most 1,000,000; 0: for ever) as poll(2) takes them. */
static inline int sfd_timeout_ms(long seconds)
{
	return seconds > 0 ? (int)(seconds * 1000) : -1;
}

#endif
