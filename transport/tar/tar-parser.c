/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/tar/tar-parser.h"

#include "splitfdstream/base/buffer.h"
#include "splitfdstream/base/cleanup.h"
#include "transport/tar/tar-header.h"
#include "transport/tar/tar-pax.h"

#include <string.h>

#define METADATA_MAX (1024 * 1024) /* of one entry, and of one global header */
#define PENDING_MAX  16		   /* headers in front of one entry */

enum state {
	AT_HEADER,   /* collecting a header block */
	AT_METADATA, /* collecting the body of 'x', 'g', 'L' or 'K' */
	AT_SMALL,    /* collecting the content of a small file */
	AT_OBJECT,   /* the content of a large file must come as an object */
	AT_SKIP,     /* skipping padding, or the content of what is no file */
	AT_END,	     /* behind the two zero blocks: anything goes */
};

struct sfd_tar_parser {
	int (*entry)(void *ctx, const struct sfd_tar_entry *e, struct splitfd_error *err);
	void *ctx;
	enum state state;
	uint64_t offset; /* of the next byte of the tar, contents counted */
	uint64_t skip;	 /* AT_SKIP: bytes to go */
	bool zero_seen;	 /* the block before was zero */
	bool cut_only;

	uint8_t block[SFD_TAR_BLOCK]; /* the header in the making, then of the entry at hand */
	size_t n_block;
	struct sfd_buffer body; /* AT_METADATA: what has come */
	size_t body_size;
	char body_type;

	struct sfd_buffer pax, long_name, long_link; /* what the headers before said */
	bool have_pax, have_name, have_link;
	unsigned int n_pending;
	uint64_t n_metadata;

	struct sfd_tar_entry e; /* AT_SMALL, AT_OBJECT */
	bool has_path;		/* e.path is known and the entry not yet told */
	char last[256];		/* the beginning of the path of the entry before, for error texts */
	size_t n_last;
	struct sfd_buffer path; /* prefix "/" name */
	struct sfd_tar_xattrs xattrs;
	uint8_t small[SFD_TAR_INLINE_MAX];
	size_t n_small;
};

struct sfd_tar_parser *sfd_tar_parser_new(
	int (*entry)(void *ctx, const struct sfd_tar_entry *e, struct splitfd_error *err),
	void *ctx)
{
	struct sfd_tar_parser *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->entry = entry;
	p->ctx = ctx;
	p->body.max = p->pax.max = p->long_name.max = p->long_link.max = METADATA_MAX;
	p->path.max = 512;
	return p;
}

void sfd_tar_parser_cut_only(struct sfd_tar_parser *p)
{
	p->cut_only = true;
}

struct sfd_tar_parser *sfd_tar_parser_free(struct sfd_tar_parser *p)
{
	if (p == NULL)
		return NULL;
	sfd_buffer_done(&p->body);
	sfd_buffer_done(&p->pax);
	sfd_buffer_done(&p->long_name);
	sfd_buffer_done(&p->long_link);
	sfd_buffer_done(&p->path);
	free(p->xattrs.items);
	free(p);
	return NULL;
}

static int refuse(struct splitfd_error *err, const char *text)
{
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EINVAL, "%s", text);
}

static void forget_pending(struct sfd_tar_parser *p)
{
	p->have_pax = p->have_name = p->have_link = false;
	p->n_pending = 0;
	p->n_metadata = 0;
}

static int header_path(struct sfd_tar_parser *p, const struct sfd_tar_header *h)
{
	p->e.path = h->name;
	p->e.path_len = h->name_len;
	p->path.len = 0;
	if (h->prefix_len == 0)
		return 0;
	if (sfd_buffer_append(&p->path, h->prefix, h->prefix_len) < 0 ||
		sfd_buffer_append(&p->path, "/", 1) < 0 ||
		sfd_buffer_append(&p->path, h->name, h->name_len) < 0)
		return -ENOMEM;
	p->e.path = (const char *)p->path.data;
	p->e.path_len = p->path.len;
	return 0;
}

static int make_entry(
	struct sfd_tar_parser *p, const struct sfd_tar_header *h, struct splitfd_error *err)
{
	struct sfd_tar_entry *e = &p->e;
	int r = 0;

	*e = (struct sfd_tar_entry){
		.type = h->type,
		.v7 = !h->ustar && !h->gnu,
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
	if (header_path(p, h) < 0)
		return splitfd_error_oom(err);
	if (p->have_name) {
		e->path = (const char *)p->long_name.data;
		e->path_len = p->long_name.len;
	}
	if (p->have_link) {
		e->link = (const char *)p->long_link.data;
		e->link_len = p->long_link.len;
	}
	if (p->have_pax)
		r = sfd_tar_pax_apply((const char *)p->pax.data, p->pax.len, e, &p->xattrs, err);
	if (r == -EOPNOTSUPP && p->cut_only) {
		splitfd_error_clear(err);
		r = 0;
	}
	if (r == 0 && e->path_len == 0)
		r = refuse(err, "a tar entry has no name");
	p->has_path = e->path_len > 0;
	return r;
}

static size_t min_size(size_t a, uint64_t b)
{
	return b < a ? (size_t)b : a;
}

static bool is_file(char type)
{
	return type == '0' || type == '7';
}

static int padded_size(uint64_t size, uint64_t *ret, struct splitfd_error *err)
{
	if (size > INT64_MAX - SFD_TAR_BLOCK)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EFBIG,
			"a size of %llu bytes in a tar header is absurd", (unsigned long long)size);
	*ret = (size + SFD_TAR_BLOCK - 1) / SFD_TAR_BLOCK * SFD_TAR_BLOCK;
	return 0;
}

/* Tells the entry at hand and goes on behind `skip` bytes. */
static int emit(struct sfd_tar_parser *p, uint64_t skip, struct splitfd_error *err)
{
	int r = p->entry(p->ctx, &p->e, err);

	p->has_path = false;
	if (r == 0) {
		p->n_last = min_size(sizeof(p->last), p->e.path_len);
		memcpy(p->last, p->e.path, p->n_last);
	}
	forget_pending(p);
	p->state = skip > 0 ? AT_SKIP : AT_HEADER;
	p->skip = skip;
	return r;
}

static int start_entry(
	struct sfd_tar_parser *p, struct sfd_tar_header *h, struct splitfd_error *err)
{
	uint64_t padded = 0;
	int r;

	r = sfd_tar_header_numbers(p->block, h, err);
	if (r == 0)
		r = make_entry(p, h, err);
	if (r == 0)
		r = padded_size(p->e.size, &padded, err);
	if (r < 0)
		return r;
	if (h->type == 'S' && !p->e.v7)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EOPNOTSUPP,
			"sparse tar entries are not supported");
	if (!is_file(h->type) || p->e.size == 0) {
		p->e.data = p->small;
		return emit(p, padded, err);
	}
	p->n_small = 0;
	p->state = p->e.size > SFD_TAR_INLINE_MAX ? AT_OBJECT : AT_SMALL;
	return 0;
}

/* The header of 'x', 'g', 'L', 'K': its body comes next. */
static int start_metadata(
	struct sfd_tar_parser *p, const struct sfd_tar_header *h, struct splitfd_error *err)
{
	uint64_t padded = 0;
	int r;

	if ((h->type == 'x' && p->have_pax) || (h->type == 'L' && p->have_name) ||
		(h->type == 'K' && p->have_link))
		return refuse(err, "a tar entry has two headers of the same kind in front");
	r = padded_size(h->size, &padded, err);
	if (r < 0)
		return r;
	if (h->size > METADATA_MAX - (h->type == 'g' ? 0 : p->n_metadata))
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EFBIG,
			"the headers of one tar entry have more than %d bytes", METADATA_MAX);
	p->body.len = 0;
	p->body_size = (size_t)h->size;
	p->body_type = h->type;
	p->skip = padded - h->size;
	p->state = AT_METADATA;
	return 0;
}

/* The body is there: keeps it for the entry that follows. */
static int end_metadata(struct sfd_tar_parser *p, struct splitfd_error *err)
{
	struct sfd_buffer *to = p->body_type == 'x'   ? &p->pax
				: p->body_type == 'L' ? &p->long_name
						      : &p->long_link;

	p->state = p->skip > 0 ? AT_SKIP : AT_HEADER;
	if (p->body_type == 'g') {
		/* cfsctl drops what came before a global header; its content says nothing. */
		forget_pending(p);
		return 0;
	}
	to->len = 0;
	if (sfd_buffer_append(to, p->body.data, p->body.len) < 0)
		return splitfd_error_oom(err);
	if (p->body_type != 'x' && to->len > 0 && to->data[to->len - 1] == '\0')
		to->len--;
	p->have_pax = p->have_pax || p->body_type == 'x';
	p->have_name = p->have_name || p->body_type == 'L';
	p->have_link = p->have_link || p->body_type == 'K';
	p->n_metadata += p->body_size;
	p->n_pending++;
	return 0;
}

static int take_block(struct sfd_tar_parser *p, struct splitfd_error *err)
{
	struct sfd_tar_header h;
	int r;

	p->n_block = 0;
	if (sfd_tar_block_zero(p->block)) {
		if (p->zero_seen && (p->have_pax || p->have_name || p->have_link))
			return refuse(err, "the tar ends behind a header without its entry");
		if (p->zero_seen)
			p->state = AT_END;
		p->zero_seen = !p->zero_seen;
		return 0;
	}
	p->zero_seen = false;
	if (p->n_pending > PENDING_MAX)
		return refuse(err, "a tar entry has too many headers in front");
	r = sfd_tar_header_decode(p->block, &h, err);
	if (r < 0)
		return r;
	if (h.type == 'g' ||
		((h.ustar || h.gnu) && (h.type == 'x' || h.type == 'L' || h.type == 'K')))
		return start_metadata(p, &h, err);
	return start_entry(p, &h, err);
}

/* Takes some of the bytes; returns how many, 0 for "go on by state", or -errno. */
static ssize_t feed_some(
	struct sfd_tar_parser *p, const uint8_t *data, size_t len, struct splitfd_error *err)
{
	size_t n = len;
	int r = 0;

	switch (p->state) {
	case AT_HEADER:
		n = min_size(len, SFD_TAR_BLOCK - p->n_block);
		memcpy(p->block + p->n_block, data, n);
		p->n_block += n;
		if (p->n_block == SFD_TAR_BLOCK)
			r = take_block(p, err);
		break;
	case AT_METADATA:
		n = min_size(len, p->body_size - p->body.len);
		if (sfd_buffer_append(&p->body, data, n) < 0)
			return splitfd_error_oom(err);
		if (p->body.len == p->body_size)
			r = end_metadata(p, err);
		break;
	case AT_SMALL:
		n = min_size(len, p->e.size - p->n_small);
		memcpy(p->small + p->n_small, data, n);
		p->n_small += n;
		p->e.data = p->small;
		if (p->n_small == p->e.size)
			r = emit(p, (SFD_TAR_BLOCK - p->e.size) % SFD_TAR_BLOCK, err);
		break;
	case AT_OBJECT:
		return 0; /* the caller stops here */
	case AT_SKIP:
		n = min_size(len, p->skip);
		p->skip -= n;
		if (p->skip == 0)
			p->state = AT_HEADER;
		break;
	case AT_END:
		break;
	}
	return r < 0 ? r : (ssize_t)n;
}

/* Names the place: the entry where one is at hand, else the one before, and the offset. */
static int wrap(struct sfd_tar_parser *p, int r, struct splitfd_error *err)
{
	if (p->has_path)
		return splitfd_error_wrap(err, r, "%.*s (before byte %llu of the tar)",
			(int)min_size(512, p->e.path_len), p->e.path,
			(unsigned long long)p->offset);
	if (p->n_last > 0)
		return splitfd_error_wrap(err, r, "behind %.*s, before byte %llu of the tar",
			(int)p->n_last, p->last, (unsigned long long)p->offset);
	return splitfd_error_wrap(
		err, r, "before byte %llu of the tar", (unsigned long long)p->offset);
}

int sfd_tar_parser_feed_to_object(struct sfd_tar_parser *p, const uint8_t *data, size_t len,
	size_t *ret_taken, uint64_t *ret_object, struct splitfd_error *err)
{
	size_t taken = 0;

	while (p->state != AT_OBJECT &&
		(taken < len || (p->state == AT_METADATA && p->body_size == 0))) {
		ssize_t n = feed_some(p, data + taken, len - taken, err);

		if (n < 0)
			return wrap(p, (int)n, err);
		p->offset += (uint64_t)n;
		taken += (size_t)n;
	}
	*ret_taken = taken;
	*ret_object = p->state == AT_OBJECT ? p->e.size : 0;
	return 0;
}

int sfd_tar_parser_feed(
	struct sfd_tar_parser *p, const uint8_t *data, size_t len, struct splitfd_error *err)
{
	uint64_t object;
	size_t taken;
	int r = sfd_tar_parser_feed_to_object(p, data, len, &taken, &object, err);

	if (r < 0 || taken == len)
		return r;
	return wrap(
		p, refuse(err, "the content of a file of more than 64 bytes is no object"), err);
}

int sfd_tar_parser_object(struct sfd_tar_parser *p, uint64_t size, struct splitfd_error *err)
{
	int r;

	if (p->state != AT_OBJECT)
		return wrap(p, refuse(err, "an object stands where the tar has no content for it"),
			err);
	if (size != UINT64_MAX && size != p->e.size)
		return wrap(p,
			splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EINVAL,
				"the tar says %llu bytes, the object has %llu",
				(unsigned long long)p->e.size, (unsigned long long)size),
			err);
	p->e.external = true;
	p->offset += p->e.size;
	size = p->e.size % SFD_TAR_BLOCK;
	r = emit(p, size == 0 ? 0 : SFD_TAR_BLOCK - size, err);
	return r < 0 ? wrap(p, r, err) : 0;
}

int sfd_tar_parser_finish(struct sfd_tar_parser *p, struct splitfd_error *err)
{
	if (p->state == AT_END)
		return 0;
	if (p->state == AT_SKIP && p->skip < SFD_TAR_BLOCK)
		return wrap(p,
			splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EOPNOTSUPP,
				"the padding of the last entry is missing"),
			err);
	if (p->state != AT_HEADER || p->n_block != 0 || p->have_pax || p->have_name || p->have_link)
		return wrap(p, refuse(err, "the tar ends in the middle of an entry"), err);
	return 0;
}
