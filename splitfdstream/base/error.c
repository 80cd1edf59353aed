/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/base/error.h"
#include "splitfdstream/base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Cut between characters where it does not fit. */
static void copy_shown(char *to, size_t to_size, const char *from)
{
	char shown[SFD_TEXT_SHOWN_MAX];
	size_t n = 0;

	while (*from != '\0') {
		size_t taken = sfd_text_shown(from, shown), len = strlen(shown);

		if (n + len >= to_size)
			break;
		memcpy(to + n, shown, len);
		n += len;
		from += taken;
	}
	to[n] = '\0';
}

__attribute__((format(printf, 2, 0))) static void format_text(
	struct splitfd_error *err, const char *format, va_list ap)
{
	char text[sizeof(err->text)];

	if (vsnprintf(text, sizeof(text), format, ap) < 0)
		text[0] = '\0';
	copy_shown(err->text, sizeof(err->text), text);
}

int splitfd_error_set(struct splitfd_error *err, enum splitfd_error_kind kind, int errnum,
	const char *format, ...)
{
	va_list ap;

	if (err == NULL)
		return -errnum;
	err->errnum = errnum;
	err->kind = kind;
	va_start(ap, format);
	format_text(err, format, ap);
	va_end(ap);
	return -errnum;
}

int splitfd_error_sys(struct splitfd_error *err, int errnum, const char *format, ...)
{
	int saved = errno;
	size_t n;
	va_list ap;

	if (err == NULL)
		return -errnum;
	err->errnum = errnum;
	err->kind = errnum == ENOENT ? SPLITFD_ERROR_NOT_FOUND : SPLITFD_ERROR_FAILED;
	va_start(ap, format);
	format_text(err, format, ap);
	va_end(ap);
	n = strlen(err->text);
	errno = errnum;
	/* No system call says ECANCELED: it is the user's wish, in the words that it has elsewhere.
	 */
	snprintf(err->text + n, sizeof(err->text) - n,
		errnum == ECANCELED ? ": interrupted" : ": %m");
	errno = saved;
	return -errnum;
}

int splitfd_error_wrap(struct splitfd_error *err, int r, const char *format, ...)
{
	struct splitfd_error outer;
	size_t n;
	va_list ap;

	if (err == NULL)
		return r;
	va_start(ap, format);
	format_text(&outer, format, ap);
	va_end(ap);
	n = strlen(outer.text);
	copy_shown(outer.text + n, sizeof(outer.text) - n, ": ");
	n = strlen(outer.text);
	copy_shown(outer.text + n, sizeof(outer.text) - n, err->text);
	memcpy(err->text, outer.text, sizeof(err->text));
	return r;
}

int splitfd_error_copy(struct splitfd_error *err, int r, const struct splitfd_error *from)
{
	if (err != NULL)
		*err = *from;
	return r;
}

int splitfd_error_oom(struct splitfd_error *err)
{
	return splitfd_error_set(err, SPLITFD_ERROR_FAILED, ENOMEM, "out of memory");
}

void splitfd_error_clear(struct splitfd_error *err)
{
	if (err == NULL)
		return;
	err->errnum = 0;
	err->kind = SPLITFD_ERROR_NONE;
	err->text[0] = '\0';
}

int splitfd_error_exit_code(enum splitfd_error_kind kind)
{
	switch (kind) {
	case SPLITFD_ERROR_NONE:
		return 0;
	case SPLITFD_ERROR_USAGE:
		return 2;
	case SPLITFD_ERROR_NOT_FOUND:
		return 3;
	case SPLITFD_ERROR_REFUSED:
		return 4;
	default:
		return 1;
	}
}
