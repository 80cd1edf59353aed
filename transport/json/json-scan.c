/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/json/json-scan.h"

#include <errno.h>
#include <string.h>

enum state {
	START, /* the object's brace */
	NAME_OR_END,
	NAME,
	COLON,
	VALUE_OR_END,
	VALUE,
	AFTER, /* a comma or an end */
	STRING,
	ESCAPE,
	HEX,
	WORD,
	MINUS,
	ZERO,
	INTEGER,
	POINT,
	FRACTION,
	EXPONENT,
	EXPONENT_SIGN,
	EXPONENT_DIGITS,
};

bool sfd_json_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static int go(struct sfd_json_scan *s, enum state state)
{
	s->state = state;
	return 0;
}

static int count(struct sfd_json_scan *s)
{
	return s->values++ < s->values_max ? 0 : -E2BIG;
}

static int open_level(struct sfd_json_scan *s, bool object)
{
	uint64_t bit;

	if (s->depth == SFD_JSON_DEPTH_MAX)
		return -E2BIG;
	bit = (uint64_t)1 << s->depth++;
	s->objects = object ? s->objects | bit : s->objects & ~bit;
	return go(s, object ? NAME_OR_END : VALUE_OR_END);
}

static bool in_object(const struct sfd_json_scan *s)
{
	return (s->objects >> (s->depth - 1) & 1) != 0;
}

static int close_level(struct sfd_json_scan *s, bool object)
{
	if (in_object(s) != object)
		return -EBADMSG;
	s->depth--;
	s->state = AFTER;
	return s->depth == 0;
}

static int begin_string(struct sfd_json_scan *s, bool name)
{
	s->name = name;
	return go(s, STRING);
}

static int begin_word(struct sfd_json_scan *s, const char *rest)
{
	s->word = rest;
	return go(s, WORD);
}

static int begin_value(struct sfd_json_scan *s, uint8_t c)
{
	int r = count(s);

	if (r < 0)
		return r;
	switch (c) {
	case '{':
		return open_level(s, true);
	case '[':
		return open_level(s, false);
	case '"':
		return begin_string(s, false);
	case '-':
		return go(s, MINUS);
	case '0':
		return go(s, ZERO);
	case 't':
		return begin_word(s, "rue");
	case 'f':
		return begin_word(s, "alse");
	case 'n':
		return begin_word(s, "ull");
	default:
		return is_digit(c) ? go(s, INTEGER) : -EBADMSG;
	}
}

static int begin_name(struct sfd_json_scan *s, uint8_t c)
{
	int r = c == '"' ? count(s) : -EBADMSG;

	return r < 0 ? r : begin_string(s, true);
}

/* Between the tokens. */
static int between(struct sfd_json_scan *s, uint8_t c)
{
	if (sfd_json_blank(c))
		return 0;
	switch (s->state) {
	case NAME_OR_END:
		return c == '}' ? close_level(s, true) : begin_name(s, c);
	case NAME:
		return begin_name(s, c);
	case COLON:
		return c == ':' ? go(s, VALUE) : -EBADMSG;
	case VALUE_OR_END:
		return c == ']' ? close_level(s, false) : begin_value(s, c);
	case VALUE:
		return begin_value(s, c);
	default: /* AFTER */
		if (c == ',')
			return go(s, in_object(s) ? NAME : VALUE);
		return c == '}' || c == ']' ? close_level(s, c == '}') : -EBADMSG;
	}
}

static int string(struct sfd_json_scan *s, uint8_t c)
{
	if (c == '"')
		return go(s, s->name ? COLON : AFTER);
	if (c == '\\')
		return go(s, ESCAPE);
	return c >= 0x20 ? 0 : -EBADMSG;
}

static int escape(struct sfd_json_scan *s, uint8_t c)
{
	if (c == 'u') {
		s->step = 0;
		s->code = 0;
		return go(s, HEX);
	}
	return c != '\0' && strchr("\"\\/bfnrt", c) != NULL ? go(s, STRING) : -EBADMSG;
}

static int hex(struct sfd_json_scan *s, uint8_t c)
{
	uint8_t lower = c | 0x20;

	if (!is_digit(c) && (lower < 'a' || lower > 'f'))
		return -EBADMSG;
	s->code |= c ^ '0';
	if (++s->step < 4)
		return 0;
	/* A NUL would end the string for whoever reads it in C. */
	return s->code != 0 ? go(s, STRING) : -EBADMSG;
}

static int word(struct sfd_json_scan *s, uint8_t c)
{
	if (c != (uint8_t)*s->word)
		return -EBADMSG;
	s->word++;
	return *s->word == '\0' ? go(s, AFTER) : 0;
}

/* What may follow within a number; AFTER where the byte is no part of it. -EBADMSG where the number
 * is not complete without. */
static int number(struct sfd_json_scan *s, uint8_t c)
{
	bool digit = is_digit(c), e = c == 'e' || c == 'E';

	switch (s->state) {
	case MINUS:
		return digit ? (c == '0' ? ZERO : INTEGER) : -EBADMSG;
	case POINT:
		return digit ? FRACTION : -EBADMSG;
	case EXPONENT:
		if (c == '+' || c == '-')
			return EXPONENT_SIGN;
		return digit ? EXPONENT_DIGITS : -EBADMSG;
	case EXPONENT_SIGN:
		return digit ? EXPONENT_DIGITS : -EBADMSG;
	case EXPONENT_DIGITS:
		return digit ? EXPONENT_DIGITS : AFTER;
	case FRACTION:
		return digit ? FRACTION : e ? EXPONENT : AFTER;
	default: /* ZERO, INTEGER */
		if (digit)
			return s->state == INTEGER ? INTEGER : -EBADMSG;
		return c == '.' ? POINT : e ? EXPONENT : AFTER;
	}
}

static int step(struct sfd_json_scan *s, uint8_t c)
{
	int next;

	switch (s->state) {
	case START:
		return c == '{' ? begin_value(s, c) : -EBADMSG;
	case STRING:
		return string(s, c);
	case ESCAPE:
		return escape(s, c);
	case HEX:
		return hex(s, c);
	case WORD:
		return word(s, c);
	default:
		break;
	}
	if (s->state < STRING)
		return between(s, c);
	next = number(s, c);
	if (next < 0)
		return next;
	s->state = next;
	return next == AFTER ? between(s, c) : 0;
}

int sfd_json_scan(struct sfd_json_scan *s, const uint8_t *data, size_t n, size_t *ret_used)
{
	for (size_t i = 0; i < n; i++) {
		int r = step(s, data[i]);

		if (r != 0) {
			*ret_used = i + 1;
			return r;
		}
	}
	*ret_used = n;
	return 0;
}
