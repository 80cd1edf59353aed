/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

char *sfd_asprintf(const char *format, ...)
{
	char *text;
	va_list ap;
	int r;

	va_start(ap, format);
	r = vasprintf(&text, format, ap);
	va_end(ap);
	return r < 0 ? NULL : text;
}

void sfd_hex_encode(const uint8_t *bytes, size_t n, char *hex)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		hex[2 * i] = digits[bytes[i] >> 4];
		hex[2 * i + 1] = digits[bytes[i] & 15];
	}
	hex[2 * n] = '\0';
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

bool sfd_hex_decode(const char *hex, size_t n, uint8_t *bytes)
{
	for (size_t i = 0; i < n; i++) {
		int high = hex_digit(hex[2 * i]);
		int low = high < 0 ? -1 : hex_digit(hex[2 * i + 1]);

		if (low < 0)
			return false;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* The value of a base64 digit, -1 for what is none. */
static const int16_t base64_digits[128] = { -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	-1, -1, -1, -1, -1, -1, 62, -1, -1, -1, 63, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, -1, -1,
	-1, -1, -1, -1, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19,
	20, 21, 22, 23, 24, 25, -1, -1, -1, -1, -1, -1, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36,
	37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, -1, -1, -1, -1, -1 };

/* Four digits; negative where one is none. */
static inline int32_t base64_quad(const char *text)
{
	const uint8_t *t = (const uint8_t *)text;
	int32_t a = base64_digits[t[0] & 127], b = base64_digits[t[1] & 127];
	int32_t c = base64_digits[t[2] & 127], d = base64_digits[t[3] & 127];

	if (((t[0] | t[1] | t[2] | t[3]) & 128) != 0 || (a | b | c | d) < 0)
		return -1;
	return a << 18 | b << 12 | c << 6 | d;
}

/* Tar headers are zeros for the most part. */
static inline bool base64_zeros(const char *text)
{
	return memcmp(text, "AAAAAAAA", 8) == 0;
}

ptrdiff_t sfd_base64_decode(const char *text, size_t text_len, uint8_t *out)
{
	size_t n = 0, i = 0, pad = 0;
	char last[4];
	int32_t bits;

	if (text_len % 4 != 0)
		return -EINVAL;
	if (text_len == 0)
		return 0;
	for (; i + 4 < text_len; i += 4) {
		while (i + 12 < text_len && base64_zeros(text + i)) {
			memset(out + n, 0, 6);
			n += 6;
			i += 8;
		}
		bits = base64_quad(text + i);
		if (bits < 0)
			return -EINVAL;
		out[n++] = (uint8_t)(bits >> 16);
		out[n++] = (uint8_t)(bits >> 8);
		out[n++] = (uint8_t)bits;
	}
	memcpy(last, text + i, sizeof(last));
	while (pad < 2 && last[3 - pad] == '=')
		last[3 - pad++] = 'A';
	bits = base64_quad(last);
	if (bits < 0)
		return -EINVAL;
	for (size_t k = 0; k < 3 - pad; k++)
		out[n++] = (uint8_t)(bits >> (16 - 8 * k));
	return (ptrdiff_t)n;
}

size_t sfd_base64_encode(const uint8_t *bytes, size_t n, char *text)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t len = 0;

	for (size_t i = 0; i < n; i += 3) {
		size_t left = n - i;
		uint32_t bits = (uint32_t)bytes[i] << 16;

		if (left > 1)
			bits |= (uint32_t)bytes[i + 1] << 8;
		if (left > 2)
			bits |= bytes[i + 2];
		text[len++] = digits[bits >> 18];
		text[len++] = digits[bits >> 12 & 63];
		text[len++] = left > 1 ? digits[bits >> 6 & 63] : '=';
		text[len++] = left > 2 ? digits[bits & 63] : '=';
	}
	text[len] = '\0';
	return len;
}

/* Length of the valid sequence at s (at most n bytes), 0 where there is none. */
static size_t utf8_sequence(const uint8_t *s, size_t n)
{
	size_t len;
	uint32_t c;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		len = 2;
	else if ((s[0] & 0xf0) == 0xe0)
		len = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		len = 4;
	else
		return 0;
	if (n < len)
		return 0;
	c = s[0] & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3fu);
	}
	if (len == 3 && (c < 0x800 || (c >= 0xd800 && c <= 0xdfff)))
		return 0;
	if (len == 4 && (c < 0x10000 || c > 0x10ffff))
		return 0;
	return len;
}

bool sfd_utf8_valid(const char *text, size_t n)
{
	size_t i = 0;

	while (i < n) {
		size_t len = utf8_sequence((const uint8_t *)text + i, n - i);

		if (len == 0)
			return false;
		i += len;
	}
	return true;
}

char *sfd_utf8_replaced(const char *text)
{
	size_t left = strlen(text), n = 0;
	char *copy = calloc(left + 1, 3); /* U+FFFD has three bytes */

	while (copy != NULL && left > 0) {
		size_t len = utf8_sequence((const uint8_t *)text, left);

		memcpy(copy + n, len > 0 ? text : "\xef\xbf\xbd", len > 0 ? len : 3);
		n += len > 0 ? len : 3;
		text += len > 0 ? len : 1;
		left -= len > 0 ? len : 1;
	}
	return copy;
}

size_t sfd_text_shown(const char *text, char shown[SFD_TEXT_SHOWN_MAX])
{
	const uint8_t *t = (const uint8_t *)text;
	size_t len = utf8_sequence(t, strnlen(text, 4));
	bool control = (len == 1 && (t[0] < 0x20 || t[0] == 0x7f)) ||
		       (len == 2 && t[0] == 0xc2 && t[1] < 0xa0);

	if (len > 0 && !control) {
		memcpy(shown, text, len);
		shown[len] = '\0';
		return len;
	}
	snprintf(shown, SFD_TEXT_SHOWN_MAX, len == 2 ? "\\x%02x\\x%02x" : "\\x%02x", t[0],
		len == 2 ? t[1] : 0);
	return len == 2 ? 2 : 1;
}

bool sfd_parse_u64(const char *text, uint64_t max, uint64_t *ret)
{
	uint64_t value = 0;

	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return false;
		if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
			__builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
			return false;
	}
	if (value > max)
		return false;
	*ret = value;
	return true;
}

bool sfd_parse_sha256(const char *text, uint8_t *ret)
{
	uint8_t bytes[32];

	if (strncmp(text, "sha256:", 7) != 0 || strlen(text) != 71)
		return false;
	return sfd_hex_decode(text + 7, 32, ret != NULL ? ret : bytes);
}

int sfd_random_name(char *text, size_t n)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	size_t done = 0;

	while (done < n) {
		uint8_t bytes[64];
		ssize_t got = getrandom(bytes, sizeof(bytes), 0);

		if (got < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		for (ssize_t i = 0; i < got && done < n; i++) {
			/* 252 is the largest multiple of 36 in a byte: no letter is favoured. */
			if (bytes[i] < 252)
				text[done++] = letters[bytes[i] % 36];
		}
	}
	text[n] = '\0';
	return 0;
}
