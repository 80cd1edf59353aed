/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/tree/tree-layer.h"

#include "splitfdstream/base/cleanup.h"
#include "transport/composefs/algorithm.h"
#include "transport/composefs/tree/tree-layer-private.h"
#include "transport/composefs/tree/tree-private.h"
#include "transport/tar/tar-parser.h"

#include <limits.h>
#include <string.h>
#include <sys/sysmacros.h>

/* One entry. Behind it: digest or data, path, target, and for each xattr a name_len and a value_len
 * (uint16_t), name and value. */
struct sfd_tree_record {
	struct sfd_tree_record *next;
	int64_t mtime;
	uint64_t size; /* or the device number */
	uint32_t mode, uid, gid, mtime_nsec;
	uint32_t n_xattrs;
	uint16_t path_len, target_len;
	uint8_t type;
	bool maybe_directory, external, before_1970, owner_cut;
	uint8_t bytes[];
};

static int refuse_entry(const struct sfd_tar_entry *e, const char *why, struct splitfd_error *err)
{
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EINVAL, "%.*s: %s",
		sfd_shown_length(e->path_len), e->path, why);
}

static int type_of(const struct sfd_tar_entry *e, struct splitfd_error *err)
{
	if (e->type == 'S' && e->sparse != SFD_TAR_DENSE)
		return SFD_TREE_FILE;
	switch (e->type) {
	case '0':
	case '7':
		return SFD_TREE_FILE;
	case '1':
		return SFD_TREE_HARDLINK;
	case '2':
		return SFD_TREE_SYMLINK;
	case '3':
	case '4':
		if (e->v7)
			return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EOPNOTSUPP,
				"%.*s: a device without device numbers",
				sfd_shown_length(e->path_len), e->path);
		return e->type == '3' ? SFD_TREE_CHARACTER : SFD_TREE_BLOCK;
	case '5':
		return SFD_TREE_DIRECTORY;
	case '6':
		return SFD_TREE_FIFO;
	default:
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EOPNOTSUPP,
			"%.*s: a tar entry of unknown type '%c'", sfd_shown_length(e->path_len),
			e->path, e->type);
	}
}

/* A file's content: an object or bytes. */
struct content {
	const struct splitfd_digest *object;
	const uint8_t *data;
	uint64_t size;
};

/* The bytes behind the record; counts the xattrs that are kept. */
static int measure(const struct sfd_tree_layer *layer, const struct sfd_tar_entry *e,
	const struct content *c, bool has_target, size_t *ret_size, uint32_t *ret_xattrs,
	struct splitfd_error *err)
{
	size_t size = e->path_len + (has_target ? e->link_len : 0);
	uint32_t n = 0;

	if (e->path_len > UINT16_MAX || (has_target && e->link_len > UINT16_MAX))
		return refuse_entry(e, "a path of more than 4095 bytes", err);
	size += c->object != NULL ? layer->digest_size : c->data != NULL ? c->size : 0;
	for (size_t i = 0; i < e->n_xattrs; i++) {
		const struct sfd_tar_xattr *x = &e->xattrs[i];

		if (!sfd_tree_xattr_kept(layer->keep, x->name, x->name_len))
			continue;
		if (x->name_len > NAME_MAX || x->value_len > UINT16_MAX)
			return refuse_entry(e, "an xattr that no file system can hold", err);
		size += 2 * sizeof(uint16_t) + x->name_len + x->value_len;
		n++;
	}
	*ret_size = size;
	*ret_xattrs = n;
	return 0;
}

static uint8_t *append(uint8_t *at, const void *data, size_t n)
{
	if (n > 0)
		memcpy(at, data, n);
	return at + n;
}

static void fill_bytes(const struct sfd_tree_layer *layer, const struct sfd_tar_entry *e,
	const struct content *c, struct sfd_tree_record *r)
{
	uint8_t *at = r->bytes;

	if (c->object != NULL)
		at = append(at, c->object->bytes, layer->digest_size);
	else if (c->data != NULL)
		at = append(at, c->data, c->size);
	at = append(at, e->path, e->path_len);
	at = append(at, e->link, r->target_len);
	for (size_t i = 0; i < e->n_xattrs; i++) {
		const struct sfd_tar_xattr *x = &e->xattrs[i];
		uint16_t lens[2] = { (uint16_t)x->name_len, (uint16_t)x->value_len };

		if (!sfd_tree_xattr_kept(layer->keep, x->name, x->name_len))
			continue;
		at = append(at, lens, sizeof(lens));
		at = append(at, x->name, x->name_len);
		at = append(at, x->value, x->value_len);
	}
}

/* Finds the content of a file. `made` is room for one that has to be made. */
static int find_content(struct sfd_tree_layer *layer, const struct sfd_tar_entry *e,
	struct sfd_tree_content *made, struct content *ret, struct splitfd_error *err)
{
	const struct sfd_tree_content *c = layer->content;
	int r = 0;

	if (e->sparse != SFD_TAR_DENSE && c == NULL && layer->make == NULL)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EOPNOTSUPP,
			"%.*s: a sparse file", sfd_shown_length(e->path_len), e->path);
	if (e->sparse != SFD_TAR_DENSE && c == NULL) {
		r = layer->make(layer, e, made, err);
		c = made;
	}
	*ret = (struct content){ .size = c != NULL ? c->size : e->size };
	if (c != NULL ? c->external : e->external)
		ret->object = c != NULL ? &c->digest : layer->object;
	else
		ret->data = c != NULL ? c->bytes : e->data;
	return r;
}

/* An owner of more than 32 bits; a negative one is none, but is not cut. */
static bool is_cut(uint64_t id)
{
	return id > UINT32_MAX && (int64_t)id > 0;
}

static int take_entry(void *ctx, const struct sfd_tar_entry *e, struct splitfd_error *err)
{
	struct sfd_tree_layer *layer = ctx;
	int type = type_of(e, err);
	bool has_target = type == SFD_TREE_HARDLINK || type == SFD_TREE_SYMLINK;
	struct content content = { .size = e->size };
	struct sfd_tree_content made;
	uint32_t n_xattrs = 0;
	struct sfd_tree_record *r;
	size_t size = 0;
	int found;

	if (type < 0)
		return type;
	found = type == SFD_TREE_FILE ? find_content(layer, e, &made, &content, err) : 0;
	if (found < 0)
		return found;
	if (measure(layer, e, &content, has_target, &size, &n_xattrs, err) < 0)
		return -EINVAL;
	r = sfd_arena_alloc(&layer->arena, sizeof(*r) + size, 8);
	if (r == NULL)
		return splitfd_error_oom(err);
	*r = (struct sfd_tree_record){
		.mtime = e->mtime,
		.size = content.size,
		.mode = e->mode,
		.uid = (uint32_t)e->uid, /* cut, as cfsctl does */
		.gid = (uint32_t)e->gid,
		.mtime_nsec = e->mtime_nsec,
		.n_xattrs = n_xattrs,
		.path_len = (uint16_t)e->path_len,
		.target_len = has_target ? (uint16_t)e->link_len : 0,
		.type = (uint8_t)type,
		.maybe_directory = e->type == '0' && e->path_len > 0 &&
				   e->path[e->path_len - 1] == '/',
		.external = content.object != NULL,
		.before_1970 = e->pax_before_1970,
		.owner_cut = is_cut(e->uid) || is_cut(e->gid),
	};
	if (type == SFD_TREE_CHARACTER || type == SFD_TREE_BLOCK)
		r->size = makedev(e->dev_major, e->dev_minor);
	fill_bytes(layer, e, &content, r);
	*layer->last = r;
	layer->last = &r->next;
	return 0;
}

static void keep_error(struct sfd_tree_layer *layer, int r)
{
	const char *difference;

	if (r >= 0 || layer->failed != 0)
		return;
	layer->failed = r;
	difference = sfd_tar_parser_difference(layer->parser);
	/* The stream is cut by the other program's rules. */
	if (r == -EILSEQ && difference != NULL)
		layer->failed = splitfd_error_set(
			&layer->error, SPLITFD_ERROR_REFUSED, EOPNOTSUPP, "%s", difference);
	else if (r == -EILSEQ && sfd_tar_parser_rules(layer->parser) == SFD_TAR_OF_PODMAN)
		layer->failed = -EOPNOTSUPP;
	else if (r == -EILSEQ)
		layer->failed = -EINVAL;
}

/* The layer is read to its end: where two programs read it in two ways, neither is right. */
static void check_difference(struct sfd_tree_layer *layer)
{
	const char *difference = sfd_tar_parser_difference(layer->parser);

	if (layer->failed == 0 && difference != NULL && layer->rules == SFD_TAR_OF_BOTH)
		layer->failed = splitfd_error_set(
			&layer->error, SPLITFD_ERROR_REFUSED, EOPNOTSUPP, "%s", difference);
}

static int on_inline(void *ctx, const uint8_t *data, size_t len, struct splitfd_error *err)
{
	struct sfd_tree_layer *layer = ctx;

	(void)err;
	if (layer->failed == 0)
		keep_error(layer, sfd_tar_parser_feed(layer->parser, data, len, &layer->error));
	return 0;
}

static int on_object(
	void *ctx, const struct splitfd_digest *digest, uint64_t size, struct splitfd_error *err)
{
	struct sfd_tree_layer *layer = ctx;

	(void)err;
	layer->object = digest;
	if (layer->failed == 0)
		keep_error(layer, sfd_tar_parser_object(layer->parser, size, &layer->error));
	layer->object = NULL;
	return 0;
}

SFD_DEFINE_CLEANUP(cleanup_layer, struct sfd_tree_layer, sfd_tree_layer_free);

int sfd_tree_layer_new(enum splitfd_algorithm algorithm, const char *name,
	enum sfd_tree_xattrs xattrs, struct sfd_tree_layer **ret, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_layer) struct sfd_tree_layer *layer = calloc(1, sizeof(*layer));

	if (layer == NULL)
		return splitfd_error_oom(err);
	layer->algorithm = algorithm;
	layer->digest_size = sfd_digest_size(algorithm);
	layer->keep = xattrs;
	layer->last = &layer->first;
	layer->listener = (struct sfd_stream_listener){ on_inline, on_object, layer };
	layer->name = strdup(name);
	layer->parser = sfd_tar_parser_new(take_entry, layer);
	if (layer->name == NULL || layer->parser == NULL)
		return splitfd_error_oom(err);
	*ret = sfd_take_ptr(&layer);
	return 0;
}

struct sfd_tree_layer *sfd_tree_layer_free(struct sfd_tree_layer *layer)
{
	if (layer == NULL)
		return NULL;
	sfd_tar_parser_free(layer->parser);
	sfd_arena_done(&layer->arena);
	free(layer->name);
	free(layer);
	return NULL;
}

const struct sfd_stream_listener *sfd_tree_layer_listener(struct sfd_tree_layer *layer)
{
	return &layer->listener;
}

int sfd_tree_layer_finish(struct sfd_tree_layer *layer, struct splitfd_error *err)
{
	if (layer->failed == 0 && layer->parser != NULL)
		keep_error(layer, sfd_tar_parser_finish(layer->parser, &layer->error));
	if (layer->parser != NULL)
		check_difference(layer);
	layer->parser = sfd_tar_parser_free(layer->parser);
	if (layer->failed == 0)
		return 0;
	(void)splitfd_error_copy(err, layer->failed, &layer->error);
	return splitfd_error_wrap(err, layer->failed, "layer %s", layer->name);
}

const char *sfd_tree_layer_name(const struct sfd_tree_layer *layer)
{
	return layer->name;
}

/* Fills `xattrs` from the bytes of a record. */
static void read_xattrs(const uint8_t *at, struct sfd_tree_xattr *xattrs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint16_t lens[2];

		memcpy(lens, at, sizeof(lens));
		at += sizeof(lens);
		xattrs[i].name_len = lens[0];
		xattrs[i].value_len = lens[1];
		xattrs[i].name = (const char *)at;
		xattrs[i].value = at + lens[0];
		at += lens[0] + lens[1];
	}
}

static int tell_record(const struct sfd_tree_layer *layer, const struct sfd_tree_record *r,
	int (*told)(void *ctx, const struct sfd_tree_item *item, struct splitfd_error *err),
	void *ctx, struct splitfd_error *err)
{
	sfd_cleanup_free struct sfd_tree_xattr *xattrs = NULL;
	const uint8_t *at = r->bytes;
	struct sfd_tree_item item = {
		.type = r->type,
		.maybe_directory = r->maybe_directory,
		.path_len = r->path_len,
		.mode = r->mode,
		.uid = r->uid,
		.gid = r->gid,
		.mtime = r->mtime,
		.mtime_nsec = r->mtime_nsec,
		.before_1970 = r->before_1970,
		.owner_cut = r->owner_cut,
		.size = r->size,
		.rdev = r->size,
		.target_len = r->target_len,
		.n_xattrs = r->n_xattrs,
	};

	if (r->external)
		item.digest = at;
	else
		item.data = at;
	at += r->external ? layer->digest_size : r->type == SFD_TREE_FILE ? r->size : 0;
	item.path = (const char *)at;
	item.target = (const char *)at + r->path_len;
	if (r->n_xattrs > 0) {
		xattrs = calloc(r->n_xattrs, sizeof(*xattrs));
		if (xattrs == NULL)
			return splitfd_error_oom(err);
		read_xattrs(at + r->path_len + r->target_len, xattrs, r->n_xattrs);
		item.xattrs = xattrs;
	}
	return told(ctx, &item, err);
}

int sfd_tree_layer_tell(const struct sfd_tree_layer *layer,
	int (*item)(void *ctx, const struct sfd_tree_item *item, struct splitfd_error *err),
	void *ctx, struct splitfd_error *err)
{
	int r = 0;

	if (layer->failed != 0)
		return splitfd_error_copy(err, layer->failed, &layer->error);
	for (const struct sfd_tree_record *record = layer->first; record != NULL && r == 0;
		record = record->next)
		r = tell_record(layer, record, item, ctx, err);
	return r;
}
