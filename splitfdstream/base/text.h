/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_BASE_TEXT_H
#define SPLITFD_BASE_TEXT_H

/*
 * Text: formatted, of bytes (hexadecimal, base64, UTF-8), of numbers, random names.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A new text from a printf format, the caller's to free; NULL when memory is short. */
char *sfd_asprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Lower-case hex of n bytes and a NUL: 2n + 1 bytes at `hex`. */
void sfd_hex_encode(const uint8_t *bytes, size_t n, char *hex);

/* Exactly n bytes from 2n lower-case hex digits at `hex` (a NUL is not looked for). False where a
 * byte is no such digit. */
bool sfd_hex_decode(const char *hex, size_t n, uint8_t *bytes);

/* Standard base64 with padding, as Go's encoding/base64 StdEncoding writes it. `out` has room for
 * text_len / 4 * 3 bytes, and may be `text` itself. Returns the count of bytes, or -EINVAL. */
ptrdiff_t sfd_base64_decode(const char *text, size_t text_len, uint8_t *out);

/* The same the other way round; `text` has room for (n + 2) / 3 * 4 + 1 bytes, NUL included.
 * Returns the length without the NUL. */
size_t sfd_base64_encode(const uint8_t *bytes, size_t n, char *text);

/* True where the n bytes are valid UTF-8 (no surrogates, no overlong forms). */
bool sfd_utf8_valid(const char *text, size_t n);

/* A copy with U+FFFD for each byte that is not UTF-8, as JSON wants it; NULL when memory is short.
 * The caller's. */
char *sfd_utf8_replaced(const char *text);

/* The next character of a text that is not empty, as it may be shown: controls (C0, DEL, C1) and
 * what is not UTF-8 as \xHH for each byte, so that a hostile name cannot mislead a terminal or a
 * log. Returns its bytes in `text`. */
#define SFD_TEXT_SHOWN_MAX 9 /* with the NUL */
size_t sfd_text_shown(const char *text, char shown[SFD_TEXT_SHOWN_MAX]);

/* A decimal number without sign, space or other characters around it, at most `max`. */
bool sfd_parse_u64(const char *text, uint64_t max, uint64_t *ret);

/* True for "sha256:" and 64 lower-case hex digits and nothing else. ret (32 bytes) may be NULL. */
bool sfd_parse_sha256(const char *text, uint8_t *ret);

/* n random lower-case letters and digits and a NUL at `text` (n + 1 bytes). -errno. */
int sfd_random_name(char *text, size_t n);

#endif
