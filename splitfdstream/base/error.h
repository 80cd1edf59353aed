/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_BASE_ERROR_H
#define SPLITFD_BASE_ERROR_H

/*
 * Errors.
 *
 * Every function that can fail returns 0 or a positive value on success and exactly -errno on
 * failure. The text travels beside it, in a struct of fixed size on the caller's stack (nothing is
 * allocated, so it works when memory is short). The last parameter is always
 * `struct splitfd_error *err`; NULL is allowed and means that the text is not wanted.
 *
 * A text is one sentence: what (image, layer, file, byte offset), why, and the way out where there
 * is one. It is made where the failure is and wrapped where knowledge is added, not in every
 * function on the way.
 *
 * Threads: different objects may be used at once, one object by one thread at a time, except where
 * its comment allows more. No function changes the process's signal handlers, limits, environment
 * or current directory.
 */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What went wrong, as the caller can act on it. The program maps it to its exit code. */
enum splitfd_error_kind {
	SPLITFD_ERROR_NONE = 0,
	SPLITFD_ERROR_FAILED = 1,    /* the system said no: IO, memory, permission; exit code 1 */
	SPLITFD_ERROR_USAGE = 2,     /* the caller's words are wrong; exit code 2 */
	SPLITFD_ERROR_NOT_FOUND = 3, /* image, layer, store, stream is not there; exit code 3 */
	SPLITFD_ERROR_REFUSED = 4,   /* policy, failed verification, hostile input; exit code 4 */
	SPLITFD_ERROR_PEER = 5,	     /* the other process went away or is silent; exit code 1 */
};

struct splitfd_error {
	int errnum; /* positive errno, 0 while nothing failed */
	enum splitfd_error_kind kind;
	char text[1536]; /* NUL-terminated UTF-8, cut where it is too long; other bytes and controls
			    are \xHH */
};

/* Sets `err` (if not NULL) from a printf format. Returns -errnum, so that a failing function can
 * end in `return splitfd_error_set(err, KIND, EINVAL, "…")`. errnum must be positive. */
int splitfd_error_set(struct splitfd_error *err, enum splitfd_error_kind kind, int errnum,
	const char *format, ...) __attribute__((format(printf, 4, 5)));

/* The same for a failed system call: kind is chosen from errnum (FAILED; NOT_FOUND for ENOENT) and
 * ": " and the system's text for errnum are appended. */
int splitfd_error_sys(struct splitfd_error *err, int errnum, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "FORMAT: " in front of the text; kind and errnum stay. Returns r, the code of the function
 * that failed. */
int splitfd_error_wrap(struct splitfd_error *err, int r, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Sets `err` to one that was kept elsewhere. Returns r, the code of the function that failed. */
int splitfd_error_copy(struct splitfd_error *err, int r, const struct splitfd_error *from);

/* Out of memory: sets kind FAILED, ENOMEM; returns -ENOMEM. */
int splitfd_error_oom(struct splitfd_error *err);

/* Empties `err`. A struct splitfd_error starts as { 0 } or by this call. */
void splitfd_error_clear(struct splitfd_error *err);

/* The exit code of the program for a kind (see the enum); 1 for what is unknown. */
int splitfd_error_exit_code(enum splitfd_error_kind kind);

#ifdef __cplusplus
}
#endif

#endif
