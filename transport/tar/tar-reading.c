/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/tar/tar-reading.h"
#include "transport/tar/tar-header.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Old GNU sparse files: where the map is in the header, and in each further block. */
enum {
	RANGE_SIZE = 24,
	GNU_MAP = 386,
	GNU_MAP_RANGES = 4,
	GNU_REAL_SIZE = 483,
	BLOCK_RANGES = 21,
};

void sfd_tar_view_done(struct sfd_tar_view *v)
{
	sfd_buffer_done(&v->path);
	free(v->xattrs.items);
	free(v->ranges.items);
	*v = (struct sfd_tar_view){ 0 };
}

static int refuse(struct splitfd_error *err, const char *text)
{
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EINVAL, "%s", text);
}

/* The entry by its header block alone. */
static int from_header(struct sfd_tar_view *v, const struct sfd_tar_header *h)
{
	v->e = (struct sfd_tar_entry){
		.type = h->type,
		.v7 = !h->ustar && !h->gnu,
		.path = h->name,
		.path_len = h->name_len,
		.link = h->link,
		.link_len = h->link_len,
		.mode = h->mode,
		.uid = h->uid,
		.gid = h->gid,
		.mtime = (int64_t)h->mtime,
		.dev_major = h->dev_major,
		.dev_minor = h->dev_minor,
		.size = h->size,
	};
	v->more_map = false;
	v->path.len = 0;
	v->path.max = 512;
	if (h->prefix_len == 0)
		return 0;
	if (sfd_buffer_append(&v->path, h->prefix, h->prefix_len) < 0 ||
		sfd_buffer_append(&v->path, "/", 1) < 0 ||
		sfd_buffer_append(&v->path, h->name, h->name_len) < 0)
		return -ENOMEM;
	v->e.path = (const char *)v->path.data;
	v->e.path_len = v->path.len;
	return 0;
}

static void take_name(struct sfd_tar_entry *e, const struct sfd_buffer *name)
{
	e->path = (const char *)name->data;
	e->path_len = name->len;
}

static void take_link(struct sfd_tar_entry *e, const struct sfd_buffer *link)
{
	e->link = (const char *)link->data;
	e->link_len = link->len;
}

int sfd_tar_view_cfsctl(struct sfd_tar_view *v, const uint8_t *block, struct sfd_tar_header *h,
	const struct sfd_tar_pending *pending, struct splitfd_error *err)
{
	struct sfd_tar_entry *e = &v->e;
	int r;

	e->path_len = 0;
	r = sfd_tar_header_numbers(block, h, err);
	if (r < 0)
		return r;
	if (from_header(v, h) < 0)
		return splitfd_error_oom(err);
	if (pending->have_name)
		take_name(e, &pending->name);
	if (pending->have_link)
		take_link(e, &pending->link);
	if (pending->have_pax)
		r = sfd_tar_pax_apply(
			(const char *)pending->pax.data, pending->pax.len, e, &v->xattrs, err);
	if (r == 0 && e->path_len == 0)
		r = refuse(err, "a tar entry has no name");
	if (r == 0 && h->type == 'S' && !e->v7)
		r = splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EOPNOTSUPP,
			"sparse tar entries are not supported");
	e->content = e->size;
	return r;
}

/* Links, devices, directories and FIFOs have no content, whatever their size says (POSIX). */
static bool is_header_only(char type)
{
	return type >= '1' && type <= '6';
}

/* Ranges of a map's part; the first that starts with a NUL ends it. */
static int read_map(struct sfd_tar_view *v, const uint8_t *map, size_t n, struct splitfd_error *err)
{
	for (size_t i = 0; i < n && map[i * RANGE_SIZE] != '\0'; i++) {
		int64_t offset, size;

		if (!sfd_tar_number_podman(map + i * RANGE_SIZE, 12, &offset) ||
			!sfd_tar_number_podman(map + i * RANGE_SIZE + 12, 12, &size))
			return refuse(err, "the map of a sparse file is damaged");
		if (v->ranges.n >= SFD_TAR_RANGES_MAX)
			return refuse(err, "the map of a sparse file is too long");
		if (sfd_tar_ranges_add(&v->ranges, offset, size) < 0)
			return splitfd_error_oom(err);
	}
	v->more_map = map[n * RANGE_SIZE] != '\0';
	return v->more_map ? 0 : sfd_tar_ranges_end(v, err);
}

static int read_old_sparse(
	struct sfd_tar_view *v, const uint8_t *block, bool gnu, struct splitfd_error *err)
{
	int64_t size;

	if (!gnu || !sfd_tar_number_podman(block + GNU_REAL_SIZE, 12, &size) || size < 0)
		return refuse(err, "an old sparse file has no map");
	v->e.sparse = SFD_TAR_SPARSE_MAP;
	v->e.size = (uint64_t)size;
	v->ranges.n = 0;
	return read_map(v, block + GNU_MAP, GNU_MAP_RANGES, err);
}

int sfd_tar_view_more_map(struct sfd_tar_view *v, const uint8_t *block, struct splitfd_error *err)
{
	return read_map(v, block, BLOCK_RANGES, err);
}

int sfd_tar_ranges_add(struct sfd_tar_ranges *ranges, int64_t offset, int64_t size)
{
	if (ranges->n == ranges->cap) {
		size_t cap = ranges->cap * 2 + 16;
		struct sfd_tar_range *items = reallocarray(ranges->items, cap, sizeof(*items));

		if (items == NULL)
			return -ENOMEM;
		ranges->items = items;
		ranges->cap = cap;
	}
	ranges->items[ranges->n++] = (struct sfd_tar_range){ offset, size };
	return 0;
}

bool sfd_tar_ranges_check(
	const struct sfd_tar_range *ranges, size_t n, uint64_t size, uint64_t stored)
{
	int64_t end = 0;
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++) {
		if (ranges[i].size < 0 || ranges[i].offset < end ||
			ranges[i].offset > INT64_MAX - ranges[i].size)
			return false;
		end = ranges[i].offset + ranges[i].size;
		sum += (uint64_t)ranges[i].size;
	}
	return (uint64_t)end <= size && sum == stored;
}

int sfd_tar_ranges_end(struct sfd_tar_view *v, struct splitfd_error *err)
{
	struct sfd_tar_entry *e = &v->e;

	e->ranges = v->ranges.items;
	e->n_ranges = v->ranges.n;
	if (!sfd_tar_ranges_check(e->ranges, e->n_ranges, e->size, e->content))
		return refuse(err, "the map of a sparse file does not fit its size");
	return 0;
}

/* A long name that is not empty, up to its first NUL. */
static void take_long(const struct sfd_buffer *name, bool have, const char **ret, size_t *ret_len)
{
	size_t len = have && name->len > 0 ? strnlen((const char *)name->data, name->len) : 0;

	if (len == 0)
		return;
	*ret = (const char *)name->data;
	*ret_len = len;
}

int sfd_tar_view_podman(struct sfd_tar_view *v, const uint8_t *block,
	const struct sfd_tar_header *h, const struct sfd_tar_pending *pending,
	struct splitfd_error *err)
{
	struct sfd_tar_entry *e = &v->e;
	struct sfd_tar_sparse sparse = { 0 };
	int r = 0;

	if (from_header(v, h) < 0)
		return splitfd_error_oom(err);
	if (pending->have_pax)
		r = sfd_tar_pax_podman((const char *)pending->pax.data, pending->pax.len, e,
			&v->xattrs, &sparse, err);
	if (r < 0)
		return r;
	take_long(&pending->name, pending->have_name, &e->path, &e->path_len);
	take_long(&pending->link, pending->have_link, &e->link, &e->link_len);
	/* lchown(2) takes this number for "leave the owner", which is root. */
	if ((uint32_t)e->uid == UINT32_MAX)
		e->uid = 0;
	if ((uint32_t)e->gid == UINT32_MAX)
		e->gid = 0;
	/* Directories of old archives. */
	if (h->old_file && e->path_len > 0 && e->path[e->path_len - 1] == '/')
		e->type = '5';
	if (!is_header_only(e->type) && (int64_t)e->size < 0)
		return refuse(err, "the size of a tar entry is negative");
	e->content = is_header_only(e->type) ? 0 : e->size;
	if (e->type == 'S')
		return read_old_sparse(v, block, h->gnu, err);
	r = sfd_tar_sparse_podman(&sparse, v, err);
	if (r == 0 && e->sparse != SFD_TAR_DENSE && is_header_only(e->type))
		r = refuse(err, "a sparse entry that is not a file");
	if (is_header_only(e->type))
		e->size = 0;
	return r;
}
