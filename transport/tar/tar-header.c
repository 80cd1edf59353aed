/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/tar/tar-header.h"
#include "transport/tar/tar-fields.h"

#include "splitfdstream/base/text.h"

#include <errno.h>
#include <string.h>

bool sfd_tar_block_zero(const uint8_t *block)
{
	static const uint8_t zero[SFD_TAR_BLOCK];

	return memcmp(block, zero, SFD_TAR_BLOCK) == 0;
}

static bool is_space(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Octal digits up to the first NUL, white space around them; nothing at all is 0. */
static bool parse_octal(const uint8_t *field, size_t n, uint64_t *ret)
{
	uint64_t value = 0;
	size_t i = 0;

	n = strnlen((const char *)field, n);
	while (i < n && is_space(field[i]))
		i++;
	while (n > i && is_space(field[n - 1]))
		n--;
	*ret = 0;
	if (i == n)
		return true;
	if (field[i] == '+' && ++i == n)
		return false;
	for (; i < n; i++) {
		if (field[i] < '0' || field[i] > '7' || value >> 61 != 0)
			return false;
		value = value << 3 | (uint64_t)(field[i] - '0');
	}
	*ret = value;
	return true;
}

/* Octal, or base-256 where the first bit is set. Base-256 is taken modulo 2^64, which makes
 * negative numbers two's complement. */
static bool parse_number(const uint8_t *field, size_t n, uint64_t *ret)
{
	uint64_t value = 0;

	if ((field[0] & 0x80) == 0)
		return parse_octal(field, n, ret);
	for (size_t i = 0; i < n; i++)
		value = value << 8 | (i == 0 ? field[i] & 0x7f : field[i]);
	*ret = value;
	return true;
}

static int bad_field(const char *what, struct splitfd_error *err)
{
	return splitfd_error_set(
		err, SPLITFD_ERROR_REFUSED, EINVAL, "the %s in a tar header is not a number", what);
}

static int check_sum(const uint8_t *block, struct splitfd_error *err)
{
	uint32_t sum = 8 * ' ';
	uint64_t stored;

	/* All of it, then less the field itself: a loop without a condition becomes vectors. */
	for (size_t i = 0; i < SFD_TAR_BLOCK; i++)
		sum += block[i];
	for (size_t i = CHECKSUM; i < CHECKSUM + 8; i++)
		sum -= block[i];
	if (!parse_octal(block + CHECKSUM, 8, &stored))
		return bad_field("checksum", err);
	if (stored != sum)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EINVAL,
			"this is not a tar header: its checksum is %llu, its bytes sum up to %u",
			(unsigned long long)stored, sum);
	return 0;
}

int sfd_tar_header_decode(
	const uint8_t *block, struct sfd_tar_header *ret, struct splitfd_error *err)
{
	struct sfd_tar_header h = { 0 };
	int r;

	r = check_sum(block, err);
	if (r < 0)
		return r;
	h.type = block[TYPE] == '\0' ? '0' : (char)block[TYPE];
	h.old_file = block[TYPE] == '\0';
	h.ustar = memcmp(block + MAGIC, "ustar\00000", 8) == 0;
	h.gnu = memcmp(block + MAGIC, "ustar  \0", 8) == 0;
	h.name = (const char *)block + NAME;
	h.name_len = strnlen(h.name, NAME_LEN);
	h.link = (const char *)block + LINK;
	h.link_len = strnlen(h.link, LINK_LEN);
	h.prefix = (const char *)block + PREFIX;
	h.prefix_len = h.ustar ? strnlen(h.prefix, PREFIX_LEN) : 0;
	if (!parse_number(block + SIZE, 12, &h.size))
		return bad_field("size", err);
	*ret = h;
	return 0;
}

int sfd_tar_header_numbers(
	const uint8_t *block, struct sfd_tar_header *h, struct splitfd_error *err)
{
	uint64_t mode, dev_major = 0, dev_minor = 0;

	if (!parse_number(block + MODE, 8, &mode))
		return bad_field("mode", err);
	if (!parse_number(block + UID, 8, &h->uid))
		return bad_field("owner", err);
	if (!parse_number(block + GID, 8, &h->gid))
		return bad_field("group", err);
	if (!parse_number(block + MTIME, 12, &h->mtime))
		return bad_field("time", err);
	if (h->ustar || h->gnu) {
		if (!parse_octal(block + DEV_MAJOR, 8, &dev_major) ||
			!parse_octal(block + DEV_MINOR, 8, &dev_minor))
			return bad_field("device number", err);
	}
	h->mode = (uint32_t)mode;
	h->dev_major = (uint32_t)dev_major;
	h->dev_minor = (uint32_t)dev_minor;
	return 0;
}

bool sfd_tar_record_is(const struct sfd_tar_record *record, const char *key)
{
	return record->key_len == strlen(key) && memcmp(record->key, key, record->key_len) == 0;
}

bool sfd_tar_decimal(const char *text, size_t len, uint64_t *ret)
{
	uint64_t value = 0;

	if (len > 0 && text[0] == '+')
		text++, len--;
	if (len == 0)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9' || __builtin_mul_overflow(value, 10, &value) ||
			__builtin_add_overflow(value, (uint64_t)(text[i] - '0'), &value))
			return false;
	}
	*ret = value;
	return true;
}

static uint32_t parse_fraction(const char *text, size_t len)
{
	uint64_t value;

	if (!sfd_tar_decimal(text, len < 9 ? len : 9, &value))
		return 0;
	for (; len < 9; len++)
		value *= 10;
	return (uint32_t)value;
}

bool sfd_tar_time(const char *text, size_t len, int64_t *ret_sec, uint32_t *ret_nsec)
{
	const char *dot = memchr(text, '.', len);
	bool negative = len > 0 && text[0] == '-';
	size_t whole = dot != NULL ? (size_t)(dot - text) : len;
	uint32_t nsec = dot != NULL ? parse_fraction(dot + 1, len - whole - 1) : 0;
	uint64_t sec;

	if (!sfd_tar_decimal(text + negative, whole - negative, &sec))
		return false;
	if (negative && sec > INT64_MAX)
		return false;
	*ret_sec = negative ? -(int64_t)sec - (nsec != 0) : (int64_t)sec;
	*ret_nsec = negative && nsec != 0 ? 1000000000 - nsec : nsec;
	return true;
}

int sfd_tar_record_next(
	const char **data, size_t *len, struct sfd_tar_record *ret, struct splitfd_error *err)
{
	const char *space = *len > 0 ? memchr(*data, ' ', *len) : NULL;
	const char *record = *data, *equals;
	size_t digits;
	uint64_t n;

	if (space == NULL)
		return 0;
	digits = (size_t)(space - record);
	if (!sfd_tar_decimal(record, digits, &n))
		return 0;
	if (n > *len || n < digits + 2 || record[n - 1] != '\n')
		goto malformed;
	equals = memchr(space + 1, '=', n - digits - 2);
	if (equals == NULL)
		goto malformed;
	ret->key = space + 1;
	ret->key_len = (size_t)(equals - ret->key);
	ret->value = equals + 1;
	ret->value_len = (size_t)(record + n - 1 - ret->value);
	if (!sfd_utf8_valid(ret->key, ret->key_len))
		goto malformed;
	*data += n;
	*len -= n;
	return 1;
malformed:
	return splitfd_error_set(
		err, SPLITFD_ERROR_REFUSED, EINVAL, "a record of a pax header is malformed");
}
