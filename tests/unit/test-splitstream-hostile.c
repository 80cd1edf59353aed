/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/splitstream-fixture.h"

#include <endian.h>
#include <zstd.h>

TEST(cut_at_every_byte_is_refused)
{
	sfd_cleanup_free char *data = NULL;
	size_t size;

	make_tar_a(SPLITFD_SHA512, &data, &size);
	for (size_t n = 0; n < size; n++)
		CHECK(open_and_read(data, n, SPLITFD_SHA512) < 0);
	CHECK_INT(open_and_read(data, size, SPLITFD_SHA512), 0);
}

TEST(every_flipped_bit_ends_in_order)
{
	sfd_cleanup_free char *data = NULL;
	size_t size;

	make_tar_a(SPLITFD_SHA512, &data, &size);
	for (size_t i = 0; i < size * 8; i++) {
		data[i / 8] ^= (char)(1 << i % 8);
		(void)open_and_read(data, size, SPLITFD_SHA512);
		data[i / 8] ^= (char)(1 << i % 8);
	}
	CHECK_INT(open_and_read(data, size, SPLITFD_SHA512), 0);
}

TEST(wrong_headers_are_refused)
{
	static const struct {
		size_t at;
		char value;
	} faults[] = { { 0, 'X' }, { 11, 1 }, { 14, 1 }, { 15, 13 }, { 24, 111 }, { 96, 'x' } };
	sfd_cleanup_free char *data = NULL;
	struct sfd_splitstream *s;
	size_t size;

	make_tar_a(SPLITFD_SHA512, &data, &size);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		char was = data[faults[i].at];

		data[faults[i].at] = faults[i].value;
		CHECK(open_bytes(data, size, SPLITFD_SHA512, SFD_STREAM_LAYER, &s) < 0);
		CHECK_INT(err.kind, SPLITFD_ERROR_REFUSED);
		data[faults[i].at] = was;
	}
	data[12] = 7; /* flags are not looked at */
	CHECK_OK(open_bytes(data, size, SPLITFD_SHA512, SFD_STREAM_LAYER, &s), &err);
	sfd_splitstream_free(s);
}

TEST(the_old_header_order_is_read)
{
	sfd_cleanup_free char *data = NULL;
	char header[32];
	size_t size;

	make_tar_a(SPLITFD_SHA512, &data, &size);
	memcpy(header, data, 32);
	memcpy(data, header + 16, 16);
	memset(data + 16, 0, 2);
	memcpy(data + 18, header, 11);
	data[29] = header[11];
	data[30] = header[14];
	data[31] = header[15];
	CHECK_INT(open_and_read(data, size, SPLITFD_SHA512), 0);
	data[29] = 1;
	CHECK(open_and_read(data, size, SPLITFD_SHA512) < 0);
}

static void put_u64(char *at, uint64_t value)
{
	value = htole64(value);
	memcpy(at, &value, sizeof(value));
}

/* A file around any chunk and reference sections (already compressed), one object. */
static size_t build(
	char *file, const char *refs, size_t n_refs, const char *chunks, size_t n_chunks)
{
	const size_t refs_at = 112 + 32;

	memset(file, 0, refs_at);
	memcpy(file, "SplitStream", 11);
	file[14] = 1;
	file[15] = 12;
	put_u64(file + 16, 32);
	put_u64(file + 24, 112);
	put_u64(file + 32, 112); /* one stream reference: the object's digest again */
	put_u64(file + 40, 144);
	put_u64(file + 48, 112);
	put_u64(file + 56, 144);
	put_u64(file + 64, refs_at + n_refs);
	put_u64(file + 72, refs_at + n_refs + n_chunks);
	put_u64(file + 80, refs_at);
	put_u64(file + 88, refs_at + n_refs);
	memcpy(file + 96, "ocilayer", 8);
	if (n_refs > 0)
		memcpy(file + refs_at, refs, n_refs);
	if (n_chunks > 0)
		memcpy(file + refs_at + n_refs, chunks, n_chunks);
	return refs_at + n_refs + n_chunks;
}

static size_t compress(char *out, const void *data, size_t n)
{
	size_t r = ZSTD_compress(out, 512, data, n, 1);

	CHECK(!ZSTD_isError(r));
	return r;
}

static int try_sections(const char *refs, size_t n_refs, const char *chunks, size_t n_chunks)
{
	char file[2048], c_refs[512], c_chunks[512];
	size_t cr = compress(c_refs, refs, n_refs), cc = compress(c_chunks, chunks, n_chunks);

	return open_and_read(file, build(file, c_refs, cr, c_chunks, cc), SPLITFD_SHA256);
}

TEST(hostile_references_are_refused)
{
	static const char chunk[8] = { 0 };

	CHECK_INT(try_sections("", 0, chunk, 8), 0);
	CHECK_INT(try_sections("0:a\0"
			       "0:b:c\0",
			  10, chunk, 8),
		0);
	CHECK(try_sections("0:a", 3, chunk, 8) < 0);   /* no NUL */
	CHECK(try_sections("0a\0", 3, chunk, 8) < 0);  /* no colon */
	CHECK(try_sections("1:a\0", 4, chunk, 8) < 0); /* out of range */
	CHECK(try_sections("-1:a\0", 5, chunk, 8) < 0);
	CHECK(try_sections(":a\0", 3, chunk, 8) < 0);
	CHECK(try_sections("0:\xff\0", 4, chunk, 8) < 0);
	CHECK(try_sections("99999999999999999999:a\0", 23, chunk, 8) < 0);
}

TEST(hostile_chunks_are_refused)
{
	char chunk[32] = { 0 };

	CHECK_INT(try_sections("", 0, chunk, 0), 0);
	CHECK_INT(try_sections("", 0, chunk, 16), 0);
	CHECK(try_sections("", 0, chunk, 7) < 0); /* part of a length */
	put_u64(chunk, 1);			  /* object out of range */
	CHECK(try_sections("", 0, chunk, 8) < 0);
	put_u64(chunk, INT64_MAX);
	CHECK(try_sections("", 0, chunk, 8) < 0);
	put_u64(chunk, (uint64_t)-8);
	CHECK_INT(try_sections("", 0, chunk, 16), 0);
	CHECK(try_sections("", 0, chunk, 15) < 0); /* cut in the bytes */
	CHECK(try_sections("", 0, chunk, 8) < 0);
	put_u64(chunk, (uint64_t)INT64_MIN);
	CHECK(try_sections("", 0, chunk, 8) < 0);
}

TEST(frames_are_taken_as_cfsctl_takes_them)
{
	static const char skippable[12] = "\x50\x2a\x4d\x18\x04\0\0\0abcd";
	char file[2048], chunk[8] = { 0 }, frame[512], two[1024];
	size_t n = compress(frame, chunk, 8);
	size_t at;

	/* Two frames and a skippable one between them. */
	memcpy(two, frame, n);
	memcpy(two + n, skippable, 12);
	memcpy(two + n + 12, frame, n);
	at = build(file, frame, compress(frame, "", 0), two, 2 * n + 12);
	CHECK_INT(open_and_read(file, at, SPLITFD_SHA256), 0);
	/* Junk behind the frame. */
	memcpy(two + n, "junkjunk", 8);
	at = build(file, frame, compress(frame, "", 0), two, n + 8);
	CHECK(open_and_read(file, at, SPLITFD_SHA256) < 0);
	/* Sections of no bytes hold no frame. */
	at = build(file, frame, compress(frame, "", 0), two, 0);
	CHECK(open_and_read(file, at, SPLITFD_SHA256) < 0);
	at = build(file, "", 0, two, n);
	CHECK(open_and_read(file, at, SPLITFD_SHA256) < 0);
}
