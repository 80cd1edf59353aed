/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/containers-storage/tar-split/sparse.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/base/unnamed-file.h"
#include "splitfdstream/digest.h"
#include "splitfdstream/reconstruct.h"
#include "transport/tar/tar-header.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A map with more ranges than this is no file that anyone made. */
#define RANGES_MAX ((size_t)1 << 22)

/* The sparse records of one pax header, while they are read. */
struct records {
	char major, minor; /* their only digit; 0: absent, '?': something else */
	bool has_map;
	const char *map;
	size_t map_len;
};

static int add_range(struct sfd_member *m, uint64_t offset)
{
	if (m->n_ranges == m->cap) {
		size_t cap = m->cap > 0 ? m->cap * 2 : 16;
		struct sfd_sparse_range *ranges;

		if (cap > RANGES_MAX)
			return -EINVAL;
		ranges = reallocarray(m->ranges, cap, sizeof(*ranges));
		if (ranges == NULL)
			return -ENOMEM;
		m->ranges = ranges;
		m->cap = cap;
	}
	m->ranges[m->n_ranges++] = (struct sfd_sparse_range){ offset, 0 };
	return 0;
}

/* One number of a map: offset and size take turns. */
static int add_number(struct sfd_member *m, const char *text, size_t len, bool is_size)
{
	uint64_t value;

	if (!sfd_tar_decimal(text, len, &value) || value > INT64_MAX)
		return -EINVAL;
	if (!is_size)
		return add_range(m, value);
	if (m->n_ranges == 0)
		return -EINVAL;
	m->ranges[m->n_ranges - 1].size = value;
	return 0;
}

static int parse_map(struct sfd_member *m, const struct records *rec)
{
	const char *p = rec->map, *end = rec->map + rec->map_len;
	const char *comma = p;
	bool is_size = false;

	m->n_ranges = 0;
	while (rec->map_len > 0 && comma != NULL) {
		int r;

		comma = memchr(p, ',', (size_t)(end - p));
		r = add_number(m, p, (size_t)((comma != NULL ? comma : end) - p), is_size);
		if (r < 0)
			return r;
		is_size = !is_size;
		if (comma != NULL)
			p = comma + 1;
	}
	return is_size ? -EINVAL : 0;
}

static char only_digit(const struct sfd_tar_record *r)
{
	return r->value_len == 1 ? r->value[0] : '?';
}

static int take_record(struct sfd_member *m, struct records *rec, const struct sfd_tar_record *r)
{
	if (sfd_tar_record_is(r, "GNU.sparse.major"))
		rec->major = only_digit(r);
	else if (sfd_tar_record_is(r, "GNU.sparse.minor"))
		rec->minor = only_digit(r);
	else if (sfd_tar_record_is(r, "GNU.sparse.offset"))
		return add_number(m, r->value, r->value_len, false);
	else if (sfd_tar_record_is(r, "GNU.sparse.numbytes"))
		return add_number(m, r->value, r->value_len, true);
	else if (sfd_tar_record_is(r, "GNU.sparse.map")) {
		rec->has_map = true;
		rec->map = r->value;
		rec->map_len = r->value_len;
	}
	return 0;
}

/* Ranges in order, apart from each other, their sum. */
static int check_ranges(struct sfd_member *m)
{
	uint64_t end = 0;

	m->stored = 0;
	for (size_t i = 0; i < m->n_ranges; i++) {
		if (m->ranges[i].offset < end ||
			m->ranges[i].size > INT64_MAX - m->ranges[i].offset)
			return -EINVAL;
		end = m->ranges[i].offset + m->ranges[i].size;
		m->stored += m->ranges[i].size;
	}
	return 0;
}

/* The same decision as Go's archive/tar, which wrote the tar-split: which format, if any. */
static int decide(struct sfd_member *m, const struct records *rec)
{
	int r = 0;

	if (rec->major == '1' && rec->minor == '0') {
		m->form = SFD_SPARSE_1_0;
		return 0;
	}
	if (rec->major != 0 || rec->minor != 0) {
		if (rec->major != '0' || (rec->minor != '0' && rec->minor != '1'))
			return 0;
	} else if (!rec->has_map && m->n_ranges == 0) {
		return 0;
	}
	m->form = SFD_SPARSE_MAP;
	if (rec->has_map)
		r = parse_map(m, rec);
	return r < 0 ? r : check_ranges(m);
}

static int read_pax(struct sfd_member *m, const char *data, size_t len)
{
	struct records rec = { 0 };
	struct sfd_tar_record record;
	int r;

	if (memmem(data, len, "GNU.sparse.", 11) == NULL)
		return 0;
	m->n_ranges = 0;
	while ((r = sfd_tar_record_next(&data, &len, &record, NULL)) > 0) {
		r = take_record(m, &rec, &record);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : decide(m, &rec);
}

/* Headers of headers have data of their own. */
static bool is_extension(char type)
{
	return type == 'x' || type == 'L' || type == 'K';
}

int sfd_member_read(struct sfd_member *m, const uint8_t *data, size_t n, size_t padding,
	struct splitfd_error *err)
{
	m->type = 0;
	m->form = SFD_SPARSE_NONE;
	m->n_ranges = 0;
	m->stored = 0;
	if (padding + SFD_TAR_BLOCK == n && !is_extension((char)data[padding + 156])) {
		/* Nearly every member: one header and no extension. */
		m->type = data[padding + 156] != 0 ? (char)data[padding + 156] : '0';
		return 0;
	}
	while (padding <= n && n - padding >= SFD_TAR_BLOCK) {
		struct sfd_tar_header h;
		int r = 0;

		data += padding;
		n -= padding;
		if (sfd_tar_header_decode(data, &h, NULL) < 0)
			return 0;
		if (!is_extension(h.type)) {
			m->type = h.type;
			return 0;
		}
		data += SFD_TAR_BLOCK;
		n -= SFD_TAR_BLOCK;
		if (h.size > n)
			return 0;
		if (h.type == 'x')
			r = read_pax(m, (const char *)data, (size_t)h.size);
		if (r == -ENOMEM)
			return splitfd_error_oom(err);
		if (r < 0)
			return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EINVAL,
				"the map of a GNU sparse file is damaged");
		padding = (size_t)(h.size + (-h.size & (SFD_TAR_BLOCK - 1)));
	}
	return 0;
}

void sfd_member_done(struct sfd_member *m)
{
	free(m->ranges);
	*m = (struct sfd_member){ 0 };
}

/* On disk where it can be: a sparse file's data may be large. */
static int temporary_file(int spool_dir)
{
	sfd_cleanup_fd int dir = spool_dir < 0 ? sfd_unnamed_dir() : -EBADF;
	int fd = sfd_unnamed_file(dir < 0 ? spool_dir : dir);

	return fd < 0 ? sfd_unnamed_file(-EBADF) : fd;
}

struct packing {
	int spool_dir;
	const struct sfd_member *m;
	size_t i;	   /* the range that comes next or is being copied */
	uint64_t position; /* in the expanded file */
	uint64_t crc;	   /* of what was copied */
	int fd;
};

/* The next piece of the expanded file: what of it lies in ranges is copied. */
static int pack_bytes(void *ctx, const void *data, size_t n, struct splitfd_error *err)
{
	struct packing *p = ctx;
	uint64_t end = p->position + n;

	for (; p->i < p->m->n_ranges && p->m->ranges[p->i].offset < end; p->i++) {
		const struct sfd_sparse_range *range = &p->m->ranges[p->i];
		uint64_t range_end = range->offset + range->size;
		uint64_t from = range->offset > p->position ? range->offset : p->position;
		uint64_t to = range_end < end ? range_end : end;
		const uint8_t *bytes = (const uint8_t *)data + (from - p->position);
		int r = from < to ? sfd_write_all(p->fd, bytes, (size_t)(to - from)) : 0;

		if (r < 0)
			return splitfd_error_sys(err, -r, "cannot write a temporary file%s",
				p->spool_dir < 0 ? " (TMPDIR chooses another place)" : "");
		if (from < to)
			p->crc = splitfd_crc64(p->crc, bytes, (size_t)(to - from));
		if (range_end > end)
			break;
	}
	p->position = end;
	return 0;
}

int sfd_sparse_pack(const struct sfd_member *m, int spool_dir, struct splitfd_chunk *chunk,
	struct splitfd_error *err)
{
	sfd_cleanup_fd int fd = temporary_file(spool_dir);
	struct packing packing = { .spool_dir = spool_dir, .m = m, .fd = fd };
	uint64_t end = 0;
	int r;

	if (fd < 0)
		return splitfd_error_sys(err, -fd, "cannot make a temporary file");
	if (m->n_ranges > 0)
		end = m->ranges[m->n_ranges - 1].offset + m->ranges[m->n_ranges - 1].size;
	if (end > chunk->size)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EINVAL,
			"the map of the GNU sparse file %s is longer than the file", chunk->name);
	r = splitfd_chunk_read(chunk, pack_bytes, &packing, err);
	if (r < 0)
		return r;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return splitfd_error_sys(err, errno, "cannot go to a temporary file's start");
	chunk->files = NULL;
	chunk->size = m->stored;
	chunk->crc64 = packing.crc;
	chunk->fd = m->stored > 0 ? sfd_take_fd(&fd) : -EBADF;
	return 0;
}
