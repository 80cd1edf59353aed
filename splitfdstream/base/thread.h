/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_BASE_THREAD_H
#define SPLITFD_BASE_THREAD_H

/*
 * Threads that do not depend on who starts them: the size of the stack is given, not the user's
 * limit, and no signal is delivered to them, so that handlers run in the threads that wait for
 * signals.
 */

#include <pthread.h>
#include <stddef.h>

/* Hashing, copying, compressing: many threads at once. */
#define SFD_STACK_SMALL ((size_t)512 * 1024)
/* Whatever else, parsers of untrusted data among it. */
#define SFD_STACK_LARGE ((size_t)8 * 1024 * 1024)

/* Starts run(ctx). *ret is to be joined or detached. 0 or -errno. */
int sfd_thread_start(pthread_t *ret, size_t stack, void *(*run)(void *ctx), void *ctx);

#endif
