/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/tar/tar-parser.h"

#include "splitfdstream/base/cleanup.h"
#include "transport/tar/tar-parser-private.h"

#include <stdio.h>
#include <string.h>

struct sfd_tar_parser *sfd_tar_parser_new(
	int (*entry)(void *ctx, const struct sfd_tar_entry *e, struct splitfd_error *err),
	void *ctx)
{
	struct sfd_tar_parser *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->entry = entry;
	p->ctx = ctx;
	p->body.max = p->pending.pax.max = p->pending.name.max = p->pending.link.max =
		SFD_TAR_METADATA_MAX;
	p->e = &p->podman.e;
	return p;
}

void sfd_tar_parser_as_cfsctl(struct sfd_tar_parser *p)
{
	p->rules = SFD_TAR_OF_CFSCTL;
}

enum sfd_tar_rules sfd_tar_parser_rules(const struct sfd_tar_parser *p)
{
	return p->rules;
}

const char *sfd_tar_parser_difference(const struct sfd_tar_parser *p)
{
	return p->differs ? p->difference : NULL;
}

struct sfd_tar_parser *sfd_tar_parser_free(struct sfd_tar_parser *p)
{
	if (p == NULL)
		return NULL;
	sfd_buffer_done(&p->body);
	sfd_buffer_done(&p->pending.pax);
	sfd_buffer_done(&p->pending.name);
	sfd_buffer_done(&p->pending.link);
	sfd_tar_view_done(&p->podman);
	sfd_tar_view_done(&p->cfsctl);
	free(p);
	return NULL;
}

int sfd_tar_padded_size(uint64_t size, uint64_t *ret, struct splitfd_error *err)
{
	if (size > INT64_MAX - SFD_TAR_BLOCK)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EFBIG,
			"a size of %llu bytes in a tar header is absurd", (unsigned long long)size);
	*ret = (size + SFD_TAR_BLOCK - 1) / SFD_TAR_BLOCK * SFD_TAR_BLOCK;
	return 0;
}

static int refuse(struct splitfd_error *err, const char *text)
{
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EINVAL, "%s", text);
}

int sfd_tar_cfsctl_refuses(struct sfd_tar_parser *p, const char *why, struct splitfd_error *err)
{
	if (p->rules == SFD_TAR_OF_CFSCTL)
		return refuse(err, why);
	p->rules = SFD_TAR_OF_PODMAN;
	return 0;
}

int sfd_tar_podman_refuses(struct sfd_tar_parser *p, const char *why, struct splitfd_error *err)
{
	if (p->rules == SFD_TAR_OF_PODMAN)
		return refuse(err, why);
	p->rules = SFD_TAR_OF_CFSCTL;
	return 0;
}

static void differ(struct sfd_tar_parser *p)
{
	p->rules = SFD_TAR_OF_PODMAN;
	p->differs = true;
	if (p->podman.e.content == 0 && p->podman.e.type == p->cfsctl.e.type &&
		sfd_tar_padded_size(p->cfsctl.e.content, &p->undo, NULL) < 0)
		p->undo = 0;
}

/* The block is no header to podman: it is content that cfsctl skips. */
static void undo(struct sfd_tar_parser *p)
{
	p->rules = SFD_TAR_OF_CFSCTL;
	p->differs = false;
	p->padding = 0;
	p->skip = p->undo - SFD_TAR_BLOCK;
	p->state = p->skip > 0 ? AT_SKIP : AT_HEADER;
	p->undo = 0;
}

/* What each program says of the same thing: 0 or -errno. 0 where one of those that still count
 * takes it. */
static int judge(struct sfd_tar_parser *p, int podman, const struct splitfd_error *podman_error,
	int cfsctl, const struct splitfd_error *cfsctl_error, struct splitfd_error *err)
{
	bool takes_podman = p->rules != SFD_TAR_OF_CFSCTL && podman == 0;
	bool takes_cfsctl = p->rules != SFD_TAR_OF_PODMAN && cfsctl == 0;

	if (podman == -ENOMEM || cfsctl == -ENOMEM)
		return splitfd_error_oom(err);
	if (!takes_podman && !takes_cfsctl) {
		bool by_podman = p->rules == SFD_TAR_OF_PODMAN;

		return by_podman ? splitfd_error_copy(err, podman, podman_error)
				 : splitfd_error_copy(err, cfsctl, cfsctl_error);
	}
	if (!takes_cfsctl)
		p->rules = SFD_TAR_OF_PODMAN;
	else if (!takes_podman)
		p->rules = SFD_TAR_OF_CFSCTL;
	return 0;
}

static bool is_file(const struct sfd_tar_entry *e)
{
	return e->type == '0' || e->type == '7' || (e->type == 'S' && e->sparse != SFD_TAR_DENSE);
}

/* Tells the entry at hand and goes on after `skip` bytes, of which `padding` are the last. */
static int emit(
	struct sfd_tar_parser *p, uint64_t skip, uint64_t padding, struct splitfd_error *err)
{
	int r = p->entry(p->ctx, p->e, err);

	p->has_path = false;
	if (r == 0) {
		p->n_last = sfd_tar_min(sizeof(p->last), p->e->path_len);
		memcpy(p->last, p->e->path, p->n_last);
	}
	sfd_tar_extensions_forget(p);
	p->state = skip > 0 ? AT_SKIP : AT_HEADER;
	p->skip = skip;
	p->padding = padding;
	return r;
}

/* The header of the entry is complete: its content comes next. */
static int start_content(struct sfd_tar_parser *p, struct splitfd_error *err)
{
	uint64_t padded = 0;
	int r = sfd_tar_padded_size(p->e->content, &padded, err);

	if (r < 0)
		return r;
	if (!is_file(p->e) || p->e->content == 0) {
		p->e->data = p->small;
		return emit(p, padded, padded - p->e->content, err);
	}
	p->n_small = 0;
	p->state = p->e->content > SFD_TAR_INLINE_MAX ? AT_OBJECT : AT_SMALL;
	return 0;
}

static int start_entry(struct sfd_tar_parser *p, const struct sfd_tar_header *podman_header,
	struct sfd_tar_header *cfsctl_header, struct splitfd_error *err)
{
	struct splitfd_error podman_error, cfsctl_error;
	int podman = 0, cfsctl = 0, r;

	if (p->rules != SFD_TAR_OF_CFSCTL)
		podman = sfd_tar_view_podman(
			&p->podman, p->block, podman_header, &p->pending, &podman_error);
	if (p->rules != SFD_TAR_OF_PODMAN)
		cfsctl = sfd_tar_view_cfsctl(
			&p->cfsctl, p->block, cfsctl_header, &p->pending, &cfsctl_error);
	p->e = p->rules == SFD_TAR_OF_PODMAN ? &p->podman.e : &p->cfsctl.e;
	p->has_path = p->e->path_len > 0;
	r = judge(p, podman, &podman_error, cfsctl, &cfsctl_error, err);
	if (r < 0)
		return r;
	if (p->rules == SFD_TAR_OF_BOTH && !sfd_tar_views_agree(&p->podman.e, &p->cfsctl.e,
						   p->difference, sizeof(p->difference)))
		differ(p);
	p->e = p->rules == SFD_TAR_OF_CFSCTL ? &p->cfsctl.e : &p->podman.e;
	p->has_path = p->e->path_len > 0;
	if (p->rules != SFD_TAR_OF_PODMAN || !p->podman.more_map)
		return start_content(p, err);
	p->state = AT_MAP;
	return 0;
}

static int more_map(struct sfd_tar_parser *p, struct splitfd_error *err)
{
	int r = sfd_tar_view_more_map(&p->podman, p->map, err);

	p->n_block = 0;
	return r < 0 || p->podman.more_map ? r : start_content(p, err);
}

static int take_zero_block(struct sfd_tar_parser *p, struct splitfd_error *err)
{
	int r = 0;

	if (p->zero_seen && sfd_tar_extensions_pending(p))
		r = sfd_tar_cfsctl_refuses(p, "the tar ends after a header without its entry", err);
	if (p->zero_seen)
		p->state = AT_END;
	p->zero_seen = !p->zero_seen;
	return r;
}

/* 'x', 'L', 'K', 'g'. cfsctl takes the first three in old tars for entries of a type that it does
 * not know, of which it makes no image. */
static bool is_metadata(struct sfd_tar_parser *p, const struct sfd_tar_header *podman,
	const struct sfd_tar_header *cfsctl)
{
	const struct sfd_tar_header *h = p->rules == SFD_TAR_OF_PODMAN ? podman : cfsctl;

	if (h->type == 'g')
		return true;
	if (h->type != 'x' && h->type != 'L' && h->type != 'K')
		return false;
	if (p->rules == SFD_TAR_OF_BOTH && !cfsctl->ustar && !cfsctl->gnu)
		p->rules = SFD_TAR_OF_PODMAN;
	return p->rules != SFD_TAR_OF_CFSCTL || cfsctl->ustar || cfsctl->gnu;
}

static int take_block(struct sfd_tar_parser *p, struct splitfd_error *err)
{
	struct splitfd_error podman_error, cfsctl_error;
	struct sfd_tar_header podman_header = { 0 }, cfsctl_header = { 0 };
	int podman = 0, cfsctl = 0, r = 0;

	p->n_block = 0;
	if (sfd_tar_block_zero(p->block))
		return take_zero_block(p, err);
	if (p->zero_seen)
		r = sfd_tar_podman_refuses(p, "a block of zeros stands between two entries", err);
	if (r < 0)
		return r;
	p->zero_seen = false;
	if (p->rules != SFD_TAR_OF_CFSCTL)
		podman = sfd_tar_header_podman(p->block, &podman_header, &podman_error);
	if (p->rules != SFD_TAR_OF_PODMAN)
		cfsctl = sfd_tar_header_decode(p->block, &cfsctl_header, &cfsctl_error);
	if (podman == -EINVAL && p->undo > 0) {
		undo(p);
		return 0;
	}
	p->undo = 0;
	r = judge(p, podman, &podman_error, cfsctl, &cfsctl_error, err);
	if (r < 0)
		return r;
	if (!is_metadata(p, &podman_header, &cfsctl_header))
		return start_entry(p, &podman_header, &cfsctl_header, err);
	if (p->rules == SFD_TAR_OF_BOTH && podman_header.size != cfsctl_header.size) {
		snprintf(p->difference, sizeof(p->difference),
			"an extension header has %llu bytes for podman and %llu for cfsctl",
			(unsigned long long)podman_header.size,
			(unsigned long long)cfsctl_header.size);
		differ(p);
	}
	return sfd_tar_extension_start(
		p, p->rules == SFD_TAR_OF_CFSCTL ? &cfsctl_header : &podman_header, err);
}

/* Takes some of the bytes; returns how many, 0 for "go on by state", or -errno. */
static ssize_t feed_some(
	struct sfd_tar_parser *p, const uint8_t *data, size_t len, struct splitfd_error *err)
{
	size_t n = len;
	int r = 0;

	switch (p->state) {
	case AT_HEADER:
		n = sfd_tar_min(len, SFD_TAR_BLOCK - p->n_block);
		memcpy(p->block + p->n_block, data, n);
		p->n_block += n;
		if (p->n_block == SFD_TAR_BLOCK)
			r = take_block(p, err);
		break;
	case AT_METADATA:
		n = sfd_tar_min(len, p->body_size - p->body.len);
		if (sfd_buffer_append(&p->body, data, n) < 0)
			return splitfd_error_oom(err);
		if (p->body.len == p->body_size)
			r = sfd_tar_extension_end(p, err);
		break;
	case AT_MAP:
		n = sfd_tar_min(len, SFD_TAR_BLOCK - p->n_block);
		memcpy(p->map + p->n_block, data, n);
		p->n_block += n;
		if (p->n_block == SFD_TAR_BLOCK)
			r = more_map(p, err);
		break;
	case AT_SMALL:
		n = sfd_tar_min(len, p->e->content - p->n_small);
		memcpy(p->small + p->n_small, data, n);
		p->n_small += n;
		p->e->data = p->small;
		if (p->n_small == p->e->content)
			r = emit(p, -p->e->content % SFD_TAR_BLOCK, -p->e->content % SFD_TAR_BLOCK,
				err);
		break;
	case AT_OBJECT:
		return 0; /* the caller stops here */
	case AT_SKIP:
		n = sfd_tar_min(len, p->skip);
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
			(int)sfd_tar_min(512, p->e->path_len), p->e->path,
			(unsigned long long)p->offset);
	if (p->n_last > 0)
		return splitfd_error_wrap(err, r, "after %.*s, before byte %llu of the tar",
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
	*ret_object = p->state == AT_OBJECT ? p->e->content : 0;
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
	return wrap(p,
		splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EILSEQ,
			"the content of a file of more than 64 bytes is not an object"),
		err);
}

const struct sfd_tar_entry *sfd_tar_parser_at_object(const struct sfd_tar_parser *p)
{
	return p->state == AT_OBJECT ? p->e : NULL;
}

int sfd_tar_parser_object(struct sfd_tar_parser *p, uint64_t size, struct splitfd_error *err)
{
	int r;

	if (p->state != AT_OBJECT)
		return wrap(p,
			splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EILSEQ,
				"an object stands where the tar has no content for it"),
			err);
	if (size != UINT64_MAX && size != p->e->content)
		return wrap(p,
			splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EILSEQ,
				"the tar says %llu bytes, the object has %llu",
				(unsigned long long)p->e->content, (unsigned long long)size),
			err);
	p->e->external = true;
	p->offset += p->e->content;
	size = -p->e->content % SFD_TAR_BLOCK;
	r = emit(p, size, size, err);
	return r < 0 ? wrap(p, r, err) : 0;
}

int sfd_tar_parser_finish(struct sfd_tar_parser *p, struct splitfd_error *err)
{
	int r = 0;

	if (p->state == AT_END)
		return 0;
	if (p->state == AT_SKIP && p->skip <= p->padding && p->rules == SFD_TAR_OF_CFSCTL)
		return wrap(p,
			splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EOPNOTSUPP,
				"the padding of the last entry is missing"),
			err);
	if (p->state == AT_SKIP && p->skip <= p->padding) {
		p->rules = SFD_TAR_OF_PODMAN;
		return 0;
	}
	if (p->state != AT_HEADER || p->n_block != 0)
		r = refuse(err, "the tar ends in the middle of an entry");
	else if (sfd_tar_extensions_pending(p))
		r = sfd_tar_cfsctl_refuses(p, "the tar ends in the middle of an entry", err);
	return r < 0 ? wrap(p, r, err) : 0;
}
