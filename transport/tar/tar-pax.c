/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/tar/tar-pax.h"

#include "transport/tar/tar-header.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int refuse(struct splitfd_error *err, const char *text)
{
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EINVAL, "%s", text);
}

int sfd_tar_xattrs_add(struct sfd_tar_xattrs *xattrs, struct sfd_tar_entry *e, const char *name,
	size_t name_len, const char *value, size_t value_len)
{
	struct sfd_tar_xattr *x;

	if (e->n_xattrs == xattrs->cap) {
		size_t cap = xattrs->cap * 2 + 8;

		x = reallocarray(xattrs->items, cap, sizeof(*x));
		if (x == NULL)
			return -ENOMEM;
		xattrs->items = x;
		xattrs->cap = cap;
	}
	x = &xattrs->items[e->n_xattrs++];
	x->name = name;
	x->name_len = name_len;
	x->value = (const uint8_t *)value;
	x->value_len = value_len;
	return 0;
}

/* What the records of one header have said beside the entry itself. */
struct pax_state {
	const char *sparse_name;
	size_t sparse_name_len;
	uint64_t sparse_major, sparse_minor;
	bool have_mtime, sparse_offset, sparse_map, have_major, have_minor;
};

static int number_record(
	const struct sfd_tar_record *record, uint64_t *ret, struct splitfd_error *err)
{
	if (sfd_tar_decimal(record->value, record->value_len, ret))
		return 0;
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EINVAL,
		"the pax record %.*s is not a number", (int)record->key_len, record->key);
}

static int sparse_record(
	const struct sfd_tar_record *record, struct pax_state *s, struct splitfd_error *err)
{
	uint64_t n;
	int r = 0;

	if (sfd_tar_record_is(record, "GNU.sparse.name")) {
		s->sparse_name = record->value;
		s->sparse_name_len = record->value_len;
	} else if (sfd_tar_record_is(record, "GNU.sparse.map")) {
		s->sparse_map = true;
	} else if (sfd_tar_record_is(record, "GNU.sparse.offset")) {
		s->sparse_offset = true;
	} else if (sfd_tar_record_is(record, "GNU.sparse.numbytes")) {
		s->sparse_map = s->sparse_map || s->sparse_offset;
	} else if (sfd_tar_record_is(record, "GNU.sparse.major")) {
		s->have_major = true;
		r = number_record(record, &s->sparse_major, err);
	} else if (sfd_tar_record_is(record, "GNU.sparse.minor")) {
		s->have_minor = true;
		r = number_record(record, &s->sparse_minor, err);
	} else if (sfd_tar_record_is(record, "GNU.sparse.size") ||
		   sfd_tar_record_is(record, "GNU.sparse.realsize")) {
		r = number_record(record, &n, err);
	}
	return r;
}

static int time_record(struct sfd_tar_entry *e, const struct sfd_tar_record *record,
	struct pax_state *s, struct splitfd_error *err)
{
	uint32_t nsec;

	if (!sfd_tar_time(record->value, record->value_len, &e->mtime, &nsec))
		return refuse(err, "the pax record mtime is not a time");
	/* As cfsctl has it: of several records the first gives the fraction, the last the rest. */
	if (!s->have_mtime)
		e->mtime_nsec = nsec;
	s->have_mtime = true;
	e->pax_before_1970 = record->value[0] == '-';
	return 0;
}

static int apply_record(struct sfd_tar_entry *e, struct sfd_tar_xattrs *xattrs,
	const struct sfd_tar_record *record, struct pax_state *s, struct splitfd_error *err)
{
	static const char xattr[] = "SCHILY.xattr.", sparse[] = "GNU.sparse.";

	if (sfd_tar_record_is(record, "path")) {
		e->path = record->value;
		e->path_len = record->value_len;
	} else if (sfd_tar_record_is(record, "linkpath")) {
		e->link = record->value;
		e->link_len = record->value_len;
	} else if (sfd_tar_record_is(record, "size")) {
		return number_record(record, &e->size, err);
	} else if (sfd_tar_record_is(record, "uid")) {
		return number_record(record, &e->uid, err);
	} else if (sfd_tar_record_is(record, "gid")) {
		return number_record(record, &e->gid, err);
	} else if (sfd_tar_record_is(record, "mtime")) {
		return time_record(e, record, s, err);
	} else if (record->key_len >= strlen(xattr) &&
		   memcmp(record->key, xattr, strlen(xattr)) == 0) {
		if (sfd_tar_xattrs_add(xattrs, e, record->key + strlen(xattr),
			    record->key_len - strlen(xattr), record->value, record->value_len) < 0)
			return splitfd_error_oom(err);
	} else if (record->key_len >= strlen(sparse) &&
		   memcmp(record->key, sparse, strlen(sparse)) == 0) {
		return sparse_record(record, s, err);
	}
	return 0;
}

int sfd_tar_pax_apply(const char *data, size_t len, struct sfd_tar_entry *e,
	struct sfd_tar_xattrs *xattrs, struct splitfd_error *err)
{
	struct sfd_tar_record record;
	struct pax_state s = { 0 };
	int r;

	while ((r = sfd_tar_record_next(&data, &len, &record, err)) > 0) {
		r = apply_record(e, xattrs, &record, &s, err);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	if (s.sparse_map ||
		(s.have_major && s.have_minor && s.sparse_major == 1 && s.sparse_minor == 0))
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EOPNOTSUPP,
			"sparse tar entries are not supported");
	if (s.sparse_name != NULL) {
		e->path = s.sparse_name;
		e->path_len = s.sparse_name_len;
	}
	e->xattrs = xattrs->items;
	return 0;
}
