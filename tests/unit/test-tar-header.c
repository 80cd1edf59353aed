/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"
#include "transport/tar/tar-parser.h"
#include "transport/tar/tar-header.h"

#include <errno.h>
#include <stdlib.h>

static void set_sum(uint8_t *block)
{
	unsigned int sum = 0;
	char text[8];

	memset(block + 148, ' ', 8);
	for (int i = 0; i < SFD_TAR_BLOCK; i++)
		sum += block[i];
	snprintf(text, sizeof(text), "%06o", sum);
	memcpy(block + 148, text, 7);
}

static void make_header(uint8_t *block, const char *name, char type, const char *size)
{
	memset(block, 0, SFD_TAR_BLOCK);
	memcpy(block, name, strlen(name));
	memcpy(block + 100, "0000755", 8);
	memcpy(block + 108, "0001750", 8);
	memcpy(block + 116, "0000000", 8);
	memcpy(block + 124, size, strlen(size));
	memcpy(block + 136, "14473012500", 11);
	block[156] = (uint8_t)type;
	memcpy(block + 257, "ustar\00000", 8);
	set_sum(block);
}

TEST(numbers)
{
	uint8_t block[SFD_TAR_BLOCK];
	struct splitfd_error err = { 0 };
	struct sfd_tar_header h;

	make_header(block, "a", '0', "00000000017");
	CHECK_OK(sfd_tar_header_decode(block, &h, &err), &err);
	CHECK_OK(sfd_tar_header_numbers(block, &h, &err), &err);
	CHECK_INT(h.size, 15);
	CHECK_INT(h.uid, 1000);
	CHECK_INT(h.mode, 0755);
	CHECK(h.ustar && !h.gnu);
	memcpy(block + 108, "  17 \0xx", 8); /* spaces around, anything behind the NUL */
	memcpy(block + 124, "\x80\0\0\0\0\0\0\1\0\0\0\2", 12);
	memset(block + 136, 0xff, 12);
	set_sum(block);
	CHECK_OK(sfd_tar_header_decode(block, &h, &err), &err);
	CHECK_OK(sfd_tar_header_numbers(block, &h, &err), &err);
	CHECK_INT(h.uid, 15);
	CHECK(h.size == (1ULL << 32) + 2);
	CHECK_INT((int64_t)h.mtime, -1);
	memcpy(block + 124, "0000000008\0", 12);
	set_sum(block);
	CHECK_INT(sfd_tar_header_decode(block, &h, &err), -EINVAL);
}

TEST(checksum)
{
	uint8_t block[SFD_TAR_BLOCK];
	struct splitfd_error err = { 0 };
	struct sfd_tar_header h;

	make_header(block, "a", '0', "0");
	block[0] = 'b';
	CHECK_INT(sfd_tar_header_decode(block, &h, &err), -EINVAL);
	CHECK_INT(err.kind, SPLITFD_ERROR_REFUSED);
}

TEST(records)
{
	static const char text[] = "9 path=x\n14 mtime=1=2.5\nrest";
	const char *data = text;
	size_t len = strlen(text);
	struct sfd_tar_record r;
	struct splitfd_error err = { 0 };

	CHECK_INT(sfd_tar_record_next(&data, &len, &r, &err), 1);
	CHECK(r.key_len == 4 && memcmp(r.key, "path", 4) == 0);
	CHECK(r.value_len == 1 && r.value[0] == 'x');
	CHECK_INT(sfd_tar_record_next(&data, &len, &r, &err), -EINVAL);
	data = "15 mtime=1=2.5\n";
	len = 15;
	CHECK_INT(sfd_tar_record_next(&data, &len, &r, &err), 1);
	CHECK(r.value_len == 5 && memcmp(r.value, "1=2.5", 5) == 0);
	CHECK_INT(sfd_tar_record_next(&data, &len, &r, &err), 0);
	data = "5 a=b\n"; /* one byte short */
	len = 6;
	CHECK_INT(sfd_tar_record_next(&data, &len, &r, &err), -EINVAL);
	data = "99999999999999999999 a=b\n"; /* no number: the end */
	len = 25;
	CHECK_INT(sfd_tar_record_next(&data, &len, &r, &err), 0);
}

TEST(times)
{
	int64_t sec;
	uint32_t nsec;

	CHECK(sfd_tar_time("12.5", 4, &sec, &nsec) && sec == 12 && nsec == 500000000);
	CHECK(sfd_tar_time("12.1234567899", 13, &sec, &nsec) && nsec == 123456789);
	CHECK(sfd_tar_time("7", 1, &sec, &nsec) && sec == 7 && nsec == 0);
	CHECK(sfd_tar_time("-1.25", 5, &sec, &nsec) && sec == -2 && nsec == 750000000);
	CHECK(!sfd_tar_time("", 0, &sec, &nsec));
	CHECK(!sfd_tar_time("x.5", 3, &sec, &nsec));
}

/* What the parser tells, as text. */
struct told {
	char text[4096];
	size_t len;
};

static int note(void *ctx, const struct sfd_tar_entry *e, struct splitfd_error *err)
{
	struct told *t = ctx;

	(void)err;
	t->len += (size_t)snprintf(t->text + t->len, sizeof(t->text) - t->len,
		"%c %.*s>%.*s %llu %s", e->type, (int)e->path_len, e->path, (int)e->link_len,
		e->link, (unsigned long long)e->size, e->external ? "object" : "");
	for (size_t i = 0; i < e->n_xattrs; i++)
		t->len += (size_t)snprintf(t->text + t->len, sizeof(t->text) - t->len, " %.*s=%.*s",
			(int)e->xattrs[i].name_len, e->xattrs[i].name, (int)e->xattrs[i].value_len,
			(const char *)e->xattrs[i].value);
	if (!e->external && e->type == '0')
		t->len += (size_t)snprintf(t->text + t->len, sizeof(t->text) - t->len, "[%.*s]",
			(int)e->size, (const char *)e->data);
	t->text[t->len++] = '\n';
	return 0;
}

static size_t add_block(uint8_t *tar, size_t at, const char *name, char type, const char *body)
{
	char size[13];

	snprintf(size, sizeof(size), "%011zo", strlen(body));
	make_header(tar + at, name, type, size);
	at += SFD_TAR_BLOCK;
	memset(tar + at, 0, SFD_TAR_BLOCK);
	memcpy(tar + at, body, strlen(body));
	return at + (body[0] != '\0' ? SFD_TAR_BLOCK : 0);
}

TEST(a_tar_in_pieces_of_any_size)
{
	static const char want[] = "5 d/> 0 \n"
				   "0 long>/ 5 [hello]\n"
				   "0 big> 100 object\n"
				   "2 p>target 0  user.a=b=c\n";
	static uint8_t tar[16 * SFD_TAR_BLOCK];
	size_t n = 0, object;
	struct splitfd_error err = { 0 };

	memset(tar, 0, sizeof(tar));
	n = add_block(tar, n, "d/", '5', "");
	n = add_block(tar, n, "x", 'L', "long");
	n = add_block(tar, n, "x", 'K', "/");
	n = add_block(tar, n, "short", '0', "hello");
	n += SFD_TAR_BLOCK; /* one zero block, skipped */
	make_header(tar + n, "big", '0', "00000000144");
	n += SFD_TAR_BLOCK;
	object = n;
	n += SFD_TAR_BLOCK - 100; /* padding */
	n = add_block(tar, n, "x", 'x', "27 SCHILY.xattr.user.a=b=c\n19 linkpath=target\n");
	n = add_block(tar, n, "p", '2', "");
	n += 2 * SFD_TAR_BLOCK;
	memset(tar + n, 'g', 100); /* garbage behind the end */
	n += 100;
	for (size_t piece = 1; piece < 1500; piece += piece < 20 ? 1 : 97) {
		struct told told = { 0 };
		struct sfd_tar_parser *p = sfd_tar_parser_new(note, &told);

		for (size_t at = 0; at < n;) {
			size_t some = piece < n - at ? piece : n - at;

			if (at < object && at + some > object)
				some = object - at;
			CHECK_OK(sfd_tar_parser_feed(p, tar + at, some, &err), &err);
			at += some;
			if (at == object)
				CHECK_OK(sfd_tar_parser_object(p, 100, &err), &err);
		}
		CHECK_OK(sfd_tar_parser_finish(p, &err), &err);
		CHECK_STR(told.text, want);
		sfd_tar_parser_free(p);
	}
}

/* Feeds one tar; the code of the first error. */
static int feed(const uint8_t *tar, size_t n, bool object, struct splitfd_error *err)
{
	struct told told = { 0 };
	struct sfd_tar_parser *p = sfd_tar_parser_new(note, &told);
	int r = sfd_tar_parser_feed(p, tar, n, err);

	if (r == 0 && object)
		r = sfd_tar_parser_object(p, UINT64_MAX, err);
	if (r == 0)
		r = sfd_tar_parser_finish(p, err);
	sfd_tar_parser_free(p);
	return r;
}

static int feed_cfsctl(const uint8_t *tar, size_t n, struct splitfd_error *err)
{
	struct told told = { 0 };
	struct sfd_tar_parser *p = sfd_tar_parser_new(note, &told);
	int r;

	sfd_tar_parser_as_cfsctl(p);
	r = sfd_tar_parser_feed(p, tar, n, err);
	if (r == 0)
		r = sfd_tar_parser_finish(p, err);
	sfd_tar_parser_free(p);
	return r;
}

TEST(what_is_refused)
{
	static uint8_t tar[8 * SFD_TAR_BLOCK];
	struct splitfd_error err = { 0 };
	size_t n;

	n = add_block(tar, 0, "x", 'L', "long");
	CHECK_INT(feed(tar, n, false, &err), 0); /* no entry follows: cfsctl refuses it */
	CHECK_INT(feed_cfsctl(tar, n, &err), -EINVAL);
	n = add_block(tar, n, "x", 'L', "again");
	CHECK_INT(feed(tar, n, false, &err), 0);
	CHECK_INT(feed_cfsctl(tar, n, &err), -EINVAL);
	n = add_block(tar, 0, "a", '0', "small");
	CHECK_INT(feed(tar, SFD_TAR_BLOCK + 4, false, &err), -EINVAL); /* cut */
	CHECK_INT(feed(tar, n - 1, false, &err), 0);		       /* but cfsctl refuses it */
	CHECK_INT(feed_cfsctl(tar, n - 1, &err), -EOPNOTSUPP);
	CHECK_INT(feed(tar, n, true, &err), -EILSEQ); /* an object without a place */
	make_header(tar, "a", '0', "00000000145");
	memset(tar + SFD_TAR_BLOCK, 'x', SFD_TAR_BLOCK);
	CHECK_INT(feed(tar, 2 * SFD_TAR_BLOCK, false, &err), -EILSEQ); /* large and inline */
	make_header(tar, "", '0', "0");
	CHECK_INT(feed(tar, SFD_TAR_BLOCK, false, &err), 0); /* the root, for podman */
	CHECK_INT(feed_cfsctl(tar, SFD_TAR_BLOCK, &err), -EINVAL);
	make_header(tar, "a", 'S', "0");
	memcpy(tar + 257, "ustar  ", 8);
	set_sum(tar);
	CHECK_INT(feed(tar, SFD_TAR_BLOCK, false, &err), 0); /* an empty one */
	CHECK_INT(feed_cfsctl(tar, SFD_TAR_BLOCK, &err), -EOPNOTSUPP);
	make_header(tar, "a", '0', "77777777777");
	memset(tar + 124, 0xff, 12);
	set_sum(tar);
	CHECK_INT(feed(tar, SFD_TAR_BLOCK, false, &err), -EFBIG);
	make_header(tar, "x", 'x', "00010000000");
	CHECK_INT(feed(tar, SFD_TAR_BLOCK, false, &err), -EFBIG); /* 2 MiB of pax */
	n = add_block(tar, 0, "x", 'x', "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n");
	make_header(tar + n, "a", '0', "0");
	CHECK_INT(feed(tar, n + SFD_TAR_BLOCK, false, &err), -EOPNOTSUPP);
}

/* What the parser says of a tar with one construct that two programs read in two ways. */
static void check_reading(const uint8_t *tar, size_t n, const char *entries,
	enum sfd_tar_rules rules, const char *difference)
{
	struct told told = { 0 };
	struct splitfd_error err = { 0 };
	struct sfd_tar_parser *p = sfd_tar_parser_new(note, &told);
	const char *found;

	CHECK_OK(sfd_tar_parser_feed(p, tar, n, &err), &err);
	CHECK_OK(sfd_tar_parser_finish(p, &err), &err);
	CHECK_STR(told.text, entries);
	CHECK_INT(sfd_tar_parser_rules(p), rules);
	found = sfd_tar_parser_difference(p);
	CHECK_STR(found != NULL ? found : "", difference);
	sfd_tar_parser_free(p);
}

TEST(two_readings)
{
	static uint8_t tar[8 * SFD_TAR_BLOCK];
	size_t n;

	/* Go before 1.8: a prefix under GNU's magic. */
	make_header(tar, "file", '0', "0");
	memcpy(tar + 257, "ustar  ", 8);
	memcpy(tar + 345, "dir/sub", 7);
	set_sum(tar);
	check_reading(tar, SFD_TAR_BLOCK, "0 dir/sub/file> 0 []\n", SFD_TAR_OF_PODMAN,
		"podman reads the name dir/sub/file where cfsctl reads file");
	/* Two time stamps are no prefix. */
	memcpy(tar + 345, "00000000017", 12);
	memcpy(tar + 357, "00000000017", 12);
	set_sum(tar);
	check_reading(tar, SFD_TAR_BLOCK, "0 file> 0 []\n", SFD_TAR_OF_BOTH, "");
	/* A directory with a size: what comes after it is a header. */
	make_header(tar, "d/", '5', "00000001000");
	n = add_block(tar, SFD_TAR_BLOCK, "d/f", '0', "small");
	check_reading(tar, n, "5 d/> 0 \n0 d/f> 5 [small]\n", SFD_TAR_OF_PODMAN,
		"a directory, d/, has a size in its header: cfsctl skips 512 bytes behind it, "
		"podman 0");
	/* The same with content: podman refuses it. */
	make_header(tar, "l", '1', "00000001000");
	memset(tar + SFD_TAR_BLOCK, 'x', SFD_TAR_BLOCK);
	n = add_block(tar, 2 * (size_t)SFD_TAR_BLOCK, "f", '0', "small");
	check_reading(tar, n, "1 l> 0 \n0 f> 5 [small]\n", SFD_TAR_OF_CFSCTL, "");
	/* Empty records, for cfsctl none at all. */
	n = add_block(tar, 0, "x", 'x', "8 path=\n8 size=\n7 uid=\n9 mtime=\n");
	n = add_block(tar, n, "f", '0', "small");
	check_reading(tar, n, "0 f> 5 [small]\n", SFD_TAR_OF_PODMAN, "");
	/* A directory of an old archive. */
	make_header(tar, "old/", '\0', "0");
	check_reading(tar, SFD_TAR_BLOCK, "5 old/> 0 \n", SFD_TAR_OF_PODMAN,
		"old/ is a directory for podman and a file for cfsctl");
}
