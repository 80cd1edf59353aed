/* SPDX-License-Identifier: Apache-2.0 */
/* Pax headers by the rules of Go's archive/tar. */
#include "splitfdstream/base/text.h"
#include "transport/tar/tar-header.h"
#include "transport/tar/tar-reading.h"

#include <errno.h>
#include <string.h>

static int refuse(struct splitfd_error *err, const char *text)
{
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EINVAL, "%s", text);
}

static bool parse_int(struct sfd_tar_text t, int64_t *ret)
{
	bool negative = t.len > 0 && t.text[0] == '-';
	uint64_t value;

	if (negative && t.len > 1 && t.text[1] == '+')
		return false;
	if (!sfd_tar_decimal(t.text + negative, t.len - negative, &value) ||
		value > (uint64_t)INT64_MAX + negative)
		return false;
	*ret = negative ? (int64_t)(0 - value) : (int64_t)value;
	return true;
}

static bool parse_time(struct sfd_tar_text t, int64_t *ret_sec, uint32_t *ret_nsec)
{
	const char *dot = memchr(t.text, '.', t.len);
	size_t whole = dot != NULL ? (size_t)(dot - t.text) : t.len;
	uint32_t nsec = 0;
	int64_t sec;

	if (!parse_int((struct sfd_tar_text){ t.text, whole }, &sec))
		return false;
	for (size_t i = whole + 1; i < t.len; i++)
		if (t.text[i] < '0' || t.text[i] > '9')
			return false;
	for (size_t i = whole + 1; i < whole + 10; i++)
		nsec = nsec * 10 + (i < t.len ? (uint32_t)(t.text[i] - '0') : 0);
	if (t.text[0] == '-' && nsec > 0) {
		if (sec == INT64_MIN)
			return false;
		sec--;
		nsec = 1000000000 - nsec;
	}
	*ret_sec = sec;
	*ret_nsec = nsec;
	return true;
}

/* The last value of each record that counts. */
struct fields {
	struct sfd_tar_text path, link, uid, gid, size, atime, mtime, ctime;
};

static bool has_prefix(const struct sfd_tar_record *r, const char *prefix)
{
	return r->key_len >= strlen(prefix) && memcmp(r->key, prefix, strlen(prefix)) == 0;
}

/* Pairs of offset and numbytes, in this order, without commas. */
static int pair_record(const struct sfd_tar_record *r, struct sfd_tar_sparse *sparse, bool is_size,
	struct splitfd_error *err)
{
	if ((sparse->n_numbers % 2 == 1) != is_size ||
		(r->value_len > 0 && memchr(r->value, ',', r->value_len) != NULL))
		return refuse(err, "the map of a sparse file is damaged");
	sparse->n_numbers++;
	sparse->has_numbers = r->value_len > 0 || sparse->n_numbers > 1;
	return 0;
}

static int take_record(const struct sfd_tar_record *r, struct fields *f,
	struct sfd_tar_sparse *sparse, struct splitfd_error *err)
{
	const struct {
		const char *key;
		struct sfd_tar_text *to;
	} keys[] = {
		{ "path", &f->path },
		{ "linkpath", &f->link },
		{ "uid", &f->uid },
		{ "gid", &f->gid },
		{ "size", &f->size },
		{ "atime", &f->atime },
		{ "mtime", &f->mtime },
		{ "ctime", &f->ctime },
		{ "GNU.sparse.major", &sparse->major },
		{ "GNU.sparse.minor", &sparse->minor },
		{ "GNU.sparse.name", &sparse->name },
		{ "GNU.sparse.size", &sparse->size },
		{ "GNU.sparse.realsize", &sparse->real_size },
		{ "GNU.sparse.numblocks", &sparse->blocks },
		{ "GNU.sparse.map", &sparse->map },
	};

	if (sfd_tar_record_is(r, "GNU.sparse.offset"))
		return pair_record(r, sparse, false, err);
	if (sfd_tar_record_is(r, "GNU.sparse.numbytes"))
		return pair_record(r, sparse, true, err);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (sfd_tar_record_is(r, keys[i].key))
			*keys[i].to = (struct sfd_tar_text){ r->value, r->value_len };
	return 0;
}

static int apply_numbers(const struct fields *f, struct sfd_tar_entry *e, struct splitfd_error *err)
{
	const struct {
		struct sfd_tar_text value;
		uint64_t *to;
	} numbers[] = { { f->uid, &e->uid }, { f->gid, &e->gid }, { f->size, &e->size } };
	uint32_t ignored_nsec;
	int64_t n;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (numbers[i].value.len == 0)
			continue;
		if (!parse_int(numbers[i].value, &n))
			return refuse(err, "a number in a pax header is none");
		*numbers[i].to = (uint64_t)n;
	}
	if (f->mtime.len > 0) {
		if (!parse_time(f->mtime, &e->mtime, &e->mtime_nsec))
			return refuse(err, "the pax record mtime is not a time");
		e->pax_before_1970 = f->mtime.text[0] == '-';
	}
	if ((f->atime.len > 0 && !parse_time(f->atime, &n, &ignored_nsec)) ||
		(f->ctime.len > 0 && !parse_time(f->ctime, &n, &ignored_nsec)))
		return refuse(err, "a time in a pax header is none");
	return 0;
}

int sfd_tar_pax_podman(const char *data, size_t len, struct sfd_tar_entry *e,
	struct sfd_tar_xattrs *xattrs, struct sfd_tar_sparse *sparse, struct splitfd_error *err)
{
	static const char xattr[] = "SCHILY.xattr.";
	struct sfd_tar_record record;
	struct fields f = { 0 };
	int r;

	sparse->records = data;
	sparse->records_len = len;
	while ((r = sfd_tar_record_podman(&data, &len, &record, err)) > 0) {
		r = take_record(&record, &f, sparse, err);
		if (r == 0 && has_prefix(&record, xattr) &&
			sfd_tar_xattrs_add(xattrs, e, record.key + strlen(xattr),
				record.key_len - strlen(xattr), record.value, record.value_len) < 0)
			r = splitfd_error_oom(err);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	if (f.path.len > 0) {
		e->path = f.path.text;
		e->path_len = f.path.len;
	}
	if (f.link.len > 0) {
		e->link = f.link.text;
		e->link_len = f.link.len;
	}
	e->xattrs = xattrs->items;
	return apply_numbers(&f, e, err);
}

int sfd_tar_pax_check_podman(const char *data, size_t len, struct splitfd_error *err)
{
	struct sfd_tar_sparse sparse = { 0 };
	struct sfd_tar_record record;
	struct fields f = { 0 };
	int r;

	while ((r = sfd_tar_record_podman(&data, &len, &record, err)) > 0) {
		r = take_record(&record, &f, &sparse, err);
		if (r < 0)
			return r;
	}
	return r;
}

static bool is(struct sfd_tar_text t, const char *text)
{
	return t.len == strlen(text) && (t.len == 0 || memcmp(t.text, text, t.len) == 0);
}

/* Numbers of a map: offset and size take turns. */
struct numbers {
	struct sfd_tar_ranges *to;
	size_t n;
	int64_t offset;
};

static int add_number(struct numbers *numbers, struct sfd_tar_text text, struct splitfd_error *err)
{
	int64_t value;

	if (!parse_int(text, &value) || numbers->n >= 2 * SFD_TAR_RANGES_MAX)
		return refuse(err, "the map of a sparse file is damaged");
	if (numbers->n++ % 2 == 0) {
		numbers->offset = value;
		return 0;
	}
	return sfd_tar_ranges_add(numbers->to, numbers->offset, value) < 0 ? splitfd_error_oom(err)
									   : 0;
}

/* Format 0.0: a record for each number. */
static int numbers_of_records(
	const struct sfd_tar_sparse *sparse, struct numbers *numbers, struct splitfd_error *err)
{
	const char *data = sparse->records;
	size_t len = sparse->records_len;
	struct sfd_tar_record r;
	int result = 0;

	while (result == 0 && sfd_tar_record_podman(&data, &len, &r, NULL) > 0)
		if (sfd_tar_record_is(&r, "GNU.sparse.offset") ||
			sfd_tar_record_is(&r, "GNU.sparse.numbytes"))
			result = add_number(
				numbers, (struct sfd_tar_text){ r.value, r.value_len }, err);
	return result;
}

/* Format 0.1: all in one record. */
static int numbers_of_map(
	struct sfd_tar_text map, struct numbers *numbers, struct splitfd_error *err)
{
	const char *p = map.text, *end = map.text + map.len, *comma = p;

	while (map.len > 0 && comma != NULL) {
		int r;

		comma = memchr(p, ',', (size_t)(end - p));
		r = add_number(numbers,
			(struct sfd_tar_text){ p, (size_t)((comma != NULL ? comma : end) - p) },
			err);
		if (r < 0)
			return r;
		if (comma != NULL)
			p = comma + 1;
	}
	return 0;
}

static int read_map(
	const struct sfd_tar_sparse *sparse, struct sfd_tar_view *v, struct splitfd_error *err)
{
	struct numbers numbers = { .to = &v->ranges };
	int64_t blocks;
	int r;

	v->ranges.n = 0;
	if (sparse->n_numbers > 0)
		r = numbers_of_records(sparse, &numbers, err);
	else
		r = numbers_of_map(sparse->map, &numbers, err);
	if (r < 0)
		return r;
	if (!parse_int(sparse->blocks, &blocks) || blocks < 0 || numbers.n % 2 != 0 ||
		(uint64_t)blocks != numbers.n / 2)
		return refuse(err, "the map of a sparse file is damaged");
	return sfd_tar_ranges_end(v, err);
}

int sfd_tar_sparse_podman(
	const struct sfd_tar_sparse *sparse, struct sfd_tar_view *v, struct splitfd_error *err)
{
	struct sfd_tar_entry *e = &v->e;
	struct sfd_tar_text size = sparse->size.len > 0 ? sparse->size : sparse->real_size;
	int64_t n;

	if (is(sparse->major, "0") && (is(sparse->minor, "0") || is(sparse->minor, "1")))
		e->sparse = SFD_TAR_SPARSE_MAP;
	else if (is(sparse->major, "1") && is(sparse->minor, "0"))
		e->sparse = SFD_TAR_SPARSE_FRONT;
	else if (sparse->major.len > 0 || sparse->minor.len > 0)
		return 0;
	else if (sparse->n_numbers > 0 ? sparse->has_numbers : sparse->map.len > 0)
		e->sparse = SFD_TAR_SPARSE_MAP;
	else
		return 0;
	if (sparse->name.len > 0) {
		e->path = sparse->name.text;
		e->path_len = sparse->name.len;
	}
	if (size.len > 0) {
		if (!parse_int(size, &n) || n < 0)
			return refuse(err, "the size of a sparse file is none");
		e->size = (uint64_t)n;
	}
	if (e->sparse == SFD_TAR_SPARSE_MAP)
		return read_map(sparse, v, err);
	if (e->content < SFD_TAR_BLOCK)
		return refuse(err, "the map of a sparse file is missing");
	return 0;
}
