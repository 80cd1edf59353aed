/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/containers-storage/conf/toml-string.h"

#include <stdint.h>
#include <string.h>

static const char too_long[] = "a string is too long";

static bool starts_with(const struct sfd_toml_cursor *c, const char *text)
{
	size_t n = strlen(text);

	return (size_t)(c->end - c->p) >= n && memcmp(c->p, text, n) == 0;
}

static const char *append(struct sfd_buffer *out, const void *bytes, size_t n)
{
	return sfd_buffer_append(out, bytes, n) < 0 ? too_long : NULL;
}

static const char *append_utf8(struct sfd_buffer *out, uint32_t c)
{
	uint8_t bytes[4];
	size_t n = 0;

	if (c < 0x80) {
		bytes[n++] = (uint8_t)c;
	} else if (c < 0x800) {
		bytes[n++] = (uint8_t)(0xc0 | c >> 6);
		bytes[n++] = (uint8_t)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		bytes[n++] = (uint8_t)(0xe0 | c >> 12);
		bytes[n++] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
		bytes[n++] = (uint8_t)(0x80 | (c & 0x3f));
	} else {
		bytes[n++] = (uint8_t)(0xf0 | c >> 18);
		bytes[n++] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
		bytes[n++] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
		bytes[n++] = (uint8_t)(0x80 | (c & 0x3f));
	}
	return append(out, bytes, n);
}

/* \u with four digits or \U with eight; the cursor is at the first digit. */
static const char *unicode_escape(struct sfd_toml_cursor *c, int digits, struct sfd_buffer *out)
{
	uint32_t value = 0;

	for (int i = 0; i < digits; i++, c->p++) {
		const char *digit;

		if (c->p == c->end || *c->p == '\0')
			return "a \\u escape is cut off";
		digit = strchr("0123456789abcdef0123456789ABCDEF", *c->p);
		if (digit == NULL)
			return "a \\u escape holds something that is not a hexadecimal digit";
		value = value << 4 | (uint32_t)((digit - "0123456789abcdef0123456789ABCDEF") & 15);
	}
	/* A NUL could never be part of a path. */
	if (value == 0 || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
		return "a \\u escape is not a character";
	return append_utf8(out, value);
}

/* A backslash at the end of a line: drops all white space up to the next word. */
static const char *fold_lines(struct sfd_toml_cursor *c)
{
	bool newline = false;

	for (; c->p < c->end && strchr(" \t\r\n", *c->p) != NULL && *c->p != '\0'; c->p++) {
		if (*c->p == '\n') {
			newline = true;
			c->line++;
		}
	}
	return newline ? NULL : "an escape is not known";
}

static const char *escape(struct sfd_toml_cursor *c, bool multiline, struct sfd_buffer *out)
{
	static const char letters[] = "btnfr\"\\";
	static const char values[] = "\b\t\n\f\r\"\\";
	const char *letter;

	c->p++;
	if (c->p == c->end || *c->p == '\0')
		return "a string is cut off";
	if (*c->p == 'u' || *c->p == 'U') {
		int digits = *c->p == 'u' ? 4 : 8;

		c->p++;
		return unicode_escape(c, digits, out);
	}
	letter = strchr(letters, *c->p);
	if (letter != NULL) {
		c->p++;
		return append(out, &values[letter - letters], 1);
	}
	return multiline ? fold_lines(c) : "an escape is not known";
}

/* One character that is neither quote nor escape. */
static const char *plain(struct sfd_toml_cursor *c, bool multiline, struct sfd_buffer *out)
{
	uint8_t byte = (uint8_t)*c->p;

	if (byte == '\n') {
		if (!multiline)
			return "a string does not end on its line";
		c->line++;
	} else if (byte == '\r' && multiline && c->end - c->p > 1 && c->p[1] == '\n') {
		c->p++;
		c->line++;
		byte = '\n';
	} else if ((byte < 0x20 && byte != '\t') || byte == 0x7f) {
		return "a string holds a control character";
	}
	c->p++;
	return append(out, &byte, 1);
}

const char *sfd_toml_string(struct sfd_toml_cursor *c, bool multiline, struct sfd_buffer *out)
{
	char quote = *c->p;
	const char three[] = { quote, quote, quote, '\0' };
	const char *wrong = NULL;
	bool lines = multiline && starts_with(c, three);

	c->p += lines ? 3 : 1;
	if (lines && starts_with(c, "\r\n"))
		c->p++;
	if (lines && starts_with(c, "\n")) {
		c->p++;
		c->line++;
	}
	while (wrong == NULL) {
		if (c->p == c->end)
			return "a string is cut off";
		if (*c->p == quote && (!lines || starts_with(c, three))) {
			/* Of up to five quotes the last three end the string. */
			for (int extra = 0; lines && extra < 2 && c->end - c->p > 3 &&
					    c->p[3] == quote && wrong == NULL;
				extra++, c->p++)
				wrong = append(out, &quote, 1);
			c->p += lines ? 3 : 1;
			return wrong;
		}
		if (*c->p == '\\' && quote == '"')
			wrong = escape(c, lines, out);
		else
			wrong = plain(c, lines, out);
	}
	return wrong;
}
