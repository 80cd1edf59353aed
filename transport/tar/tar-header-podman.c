/* SPDX-License-Identifier: Apache-2.0 */
/* Header blocks and pax records as podman reads them: by the rules of Go's archive/tar. */
#include "transport/tar/tar-header.h"
#include "transport/tar/tar-fields.h"

#include <errno.h>
#include <string.h>

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\0';
}

/* Octal digits up to a NUL, with spaces and NULs around the field; nothing at all is 0. */
static bool parse_octal(const uint8_t *field, size_t n, int64_t *ret)
{
	uint64_t value = 0;

	while (n > 0 && is_blank(field[0]))
		field++, n--;
	while (n > 0 && is_blank(field[n - 1]))
		n--;
	for (size_t i = 0; i < n && field[i] != '\0'; i++) {
		if (field[i] < '0' || field[i] > '7' || value >> 61 != 0)
			return false;
		value = value << 3 | (uint64_t)(field[i] - '0');
	}
	*ret = (int64_t)value;
	return true;
}

/* Two's complement, big-endian, its first bit taken by the mark. */
static bool parse_binary(const uint8_t *field, size_t n, int64_t *ret)
{
	uint8_t invert = (field[0] & 0x40) != 0 ? 0xff : 0;
	uint64_t value = 0;

	for (size_t i = 0; i < n; i++) {
		uint8_t c = field[i] ^ invert;

		if (value >> 56 != 0)
			return false;
		value = value << 8 | (i == 0 ? c & 0x7f : c);
	}
	if (value >> 63 != 0)
		return false;
	*ret = invert != 0 ? (int64_t)~value : (int64_t)value;
	return true;
}

bool sfd_tar_number_podman(const uint8_t *field, size_t n, int64_t *ret)
{
	return (field[0] & 0x80) != 0 ? parse_binary(field, n, ret) : parse_octal(field, n, ret);
}

static int refuse(const char *text, struct splitfd_error *err)
{
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EINVAL, "%s", text);
}

/* Old tars of Sun's summed up signed bytes. */
static int check_sum(const uint8_t *block, struct splitfd_error *err)
{
	int64_t stored;
	uint32_t sum = 8 * ' ';
	int32_t negative = 0; /* the signed sum less the plain one */

	for (size_t i = 0; i < SFD_TAR_BLOCK; i++) {
		sum += block[i];
		negative -= block[i] >> 7 << 8;
	}
	for (size_t i = CHECKSUM; i < CHECKSUM + 8; i++) {
		sum -= block[i];
		negative += block[i] >> 7 << 8;
	}
	if (!parse_octal(block + CHECKSUM, 8, &stored) ||
		(stored != sum && stored != (int64_t)sum + negative))
		return refuse("this is not a tar header: its checksum is wrong", err);
	return 0;
}

static bool is_ascii(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((uint8_t)text[i] >= 0x80)
			return false;
	return true;
}

static bool is_time(const uint8_t *field)
{
	int64_t ignored;

	return field[0] == '\0' || sfd_tar_number_podman(field, 12, &ignored);
}

/* Go before 1.8 wrote a prefix under GNU's magic, where the format has two time stamps: a field
 * that is no time stamp, but plain text, is that prefix. */
static void find_prefix(const uint8_t *block, struct sfd_tar_header *h, bool star)
{
	size_t n;

	h->prefix = (const char *)block + PREFIX;
	n = strnlen(h->prefix, star ? STAR_PREFIX_LEN : PREFIX_LEN);
	if (h->ustar)
		h->prefix_len = n;
	else if (h->gnu && !(is_time(block + GNU_ATIME) && is_time(block + GNU_CTIME)) &&
		 is_ascii(h->prefix, n))
		h->prefix_len = n;
}

static bool get(const uint8_t *field, size_t n, uint64_t *ret)
{
	int64_t value;

	if (!sfd_tar_number_podman(field, n, &value))
		return false;
	*ret = (uint64_t)value;
	return true;
}

int sfd_tar_header_podman(
	const uint8_t *block, struct sfd_tar_header *ret, struct splitfd_error *err)
{
	struct sfd_tar_header h = { .old_file = block[TYPE] == '\0' };
	uint64_t mode, dev_major = 0, dev_minor = 0;
	int64_t ignored;
	bool star;

	if (check_sum(block, err) < 0)
		return -EINVAL;
	h.type = h.old_file ? '0' : (char)block[TYPE];
	h.ustar = memcmp(block + MAGIC, "ustar\0", 6) == 0;
	h.gnu = memcmp(block + MAGIC, "ustar  \0", 8) == 0;
	star = h.ustar && memcmp(block + STAR_TRAILER, "tar\0", 4) == 0;
	h.name = (const char *)block;
	h.name_len = strnlen(h.name, 100);
	h.link = (const char *)block + LINK;
	h.link_len = strnlen(h.link, 100);
	find_prefix(block, &h, star);
	if (!get(block + SIZE, 12, &h.size) || !get(block + MODE, 8, &mode) ||
		!get(block + UID, 8, &h.uid) || !get(block + GID, 8, &h.gid) ||
		!get(block + MTIME, 12, &h.mtime))
		return refuse("a number in a tar header is none", err);
	if ((h.ustar || h.gnu) &&
		(!get(block + DEV_MAJOR, 8, &dev_major) || !get(block + DEV_MINOR, 8, &dev_minor)))
		return refuse("the device number in a tar header is not a number", err);
	if (star && (!sfd_tar_number_podman(block + STAR_ATIME, 12, &ignored) ||
			    !sfd_tar_number_podman(block + STAR_CTIME, 12, &ignored)))
		return refuse("a time in a tar header is not a number", err);
	if ((int64_t)h.size < 0 && !(h.type >= '1' && h.type <= '6'))
		return refuse("the size in a tar header is negative", err);
	h.mode = (uint32_t)mode;
	h.dev_major = (uint32_t)dev_major;
	h.dev_minor = (uint32_t)dev_minor;
	*ret = h;
	return 0;
}

/* A NUL is allowed in no key, and in no value that names something. */
static bool is_valid(const struct sfd_tar_record *r)
{
	static const char *const texts[] = { "path", "linkpath", "uname", "gname" };

	if (r->key_len == 0)
		return false;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (sfd_tar_record_is(r, texts[i]))
			return r->value_len == 0 || memchr(r->value, '\0', r->value_len) == NULL;
	return memchr(r->key, '\0', r->key_len) == NULL;
}

int sfd_tar_record_podman(
	const char **data, size_t *len, struct sfd_tar_record *ret, struct splitfd_error *err)
{
	const char *record = *data, *space, *equals;
	size_t digits;
	uint64_t n;

	if (*len == 0)
		return 0;
	space = memchr(record, ' ', *len);
	if (space == NULL)
		goto malformed;
	digits = (size_t)(space - record);
	if (!sfd_tar_decimal(record, digits, &n) || n < 5 || n > *len || n < digits + 2 ||
		record[n - 1] != '\n')
		goto malformed;
	equals = memchr(space + 1, '=', n - digits - 2);
	if (equals == NULL)
		goto malformed;
	ret->key = space + 1;
	ret->key_len = (size_t)(equals - ret->key);
	ret->value = equals + 1;
	ret->value_len = (size_t)(record + n - 1 - ret->value);
	if (!is_valid(ret))
		goto malformed;
	*data += n;
	*len -= n;
	return 1;
malformed:
	return refuse("a record of a pax header is malformed", err);
}
