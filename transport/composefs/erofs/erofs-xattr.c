/* SPDX-License-Identifier: Apache-2.0 */
/* Xattrs of the EROFS image: prefixes, shared and inline ones, overlay's own, the name filter. */
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"
#include "transport/composefs/erofs/erofs-private.h"

#include <limits.h>
#include <string.h>

#define OVERLAY "trusted.overlay."

/* The prefixes that EROFS has numbers for. lustre is format 2's only: mkcomposefs knows none. */
static const char *const prefixes[] = {
	"",
	"user.",
	"system.posix_acl_access",
	"system.posix_acl_default",
	"trusted.",
	"lustre.",
	"security.",
};
enum { ACL_ACCESS = 2, ACL_DEFAULT = 3, LUSTRE = 5, N_PREFIXES = 7 };

/* A name in full, escaped where it is overlay's. */
struct full_name {
	char text[UINT8_MAX + sizeof(OVERLAY)];
	size_t len;
};

static void set_text(struct full_name *name, const char *text)
{
	name->len = strlen(text);
	memcpy(name->text, text, name->len);
}

static void full_name(const struct sfd_erofs *e, struct sfd_xref ref, struct full_name *ret)
{
	const struct sfd_tree_xattr_entry *x;
	size_t skip = 0;

	switch (ref.kind) {
	case SFD_XREF_METACOPY:
		set_text(ret, OVERLAY "metacopy");
		return;
	case SFD_XREF_REDIRECT:
		set_text(ret, OVERLAY "redirect");
		return;
	case SFD_XREF_ROOT_OPAQUE:
		set_text(ret, OVERLAY "opaque");
		return;
	default:
		break;
	}
	x = &e->tree->xattrs[ref.id];
	ret->len = 0;
	if (x->name_len >= strlen(OVERLAY) && memcmp(x->name, OVERLAY, strlen(OVERLAY)) == 0) {
		set_text(ret, OVERLAY "overlay.");
		skip = strlen(OVERLAY);
	}
	memcpy(ret->text + ret->len, x->name + skip, x->name_len - skip);
	ret->len += x->name_len - skip;
}

/* The number of the longest prefix; *ret_len is its length. */
static int prefix_of(const struct sfd_erofs *e, const struct full_name *name, size_t *ret_len)
{
	for (int i = N_PREFIXES - 1; i > 0; i--) {
		size_t len = strlen(prefixes[i]);

		if (i == LUSTRE && e->first)
			continue;
		if (name->len >= len && memcmp(name->text, prefixes[i], len) == 0) {
			*ret_len = len;
			return i;
		}
	}
	*ret_len = 0;
	return 0;
}

static size_t value_size(const struct sfd_erofs *e, struct sfd_xref ref)
{
	switch (ref.kind) {
	case SFD_XREF_METACOPY:
		return 4 + e->tree->digest_size;
	case SFD_XREF_REDIRECT:
		return 2 + 2 * e->tree->digest_size;
	case SFD_XREF_ROOT_OPAQUE:
		return 1;
	default:
		return e->tree->xattrs[ref.id].value_len;
	}
}

/* "/xx/yyyy…" */
static void redirect_value(const struct sfd_erofs *e, uint32_t object, uint8_t *to)
{
	char hex[2 * SPLITFD_DIGEST_MAX + 1];
	size_t n = e->tree->digest_size;

	sfd_hex_encode(sfd_tree_digest(e->tree, object), n, hex);
	to[0] = '/';
	memcpy(to + 1, hex, 2);
	to[3] = '/';
	memcpy(to + 4, hex + 2, 2 * n - 2);
}

static void put_value(const struct sfd_erofs *e, struct sfd_xref ref, uint8_t *to)
{
	const struct sfd_tree_xattr_entry *x;

	switch (ref.kind) {
	case SFD_XREF_METACOPY:
		to[0] = 0; /* version, length, flags, algorithm, digest */
		to[1] = (uint8_t)(4 + e->tree->digest_size);
		to[2] = 0;
		to[3] = (uint8_t)e->tree->algorithm;
		memcpy(to + 4, sfd_tree_digest(e->tree, ref.id), e->tree->digest_size);
		break;
	case SFD_XREF_REDIRECT:
		redirect_value(e, ref.id, to);
		break;
	case SFD_XREF_ROOT_OPAQUE:
		to[0] = 'y';
		break;
	default:
		x = &e->tree->xattrs[ref.id];
		if (x->value_len > 0)
			memcpy(to, x->value, x->value_len);
		break;
	}
}

static uint32_t measure_entry(const struct sfd_erofs *e, struct sfd_xref ref)
{
	struct full_name name;
	size_t prefix;

	full_name(e, ref, &name);
	prefix_of(e, &name, &prefix);
	return (uint32_t)sfd_round_up(
		SFD_EROFS_XATTR_ENTRY + name.len - prefix + value_size(e, ref), 4);
}

static uint32_t entry_size(const struct sfd_erofs *e, struct sfd_xref ref)
{
	return ref.kind == SFD_XREF_PLAIN ? measure_entry(e, ref) : e->entry_size[ref.kind];
}

uint32_t sfd_erofs_entry(const struct sfd_erofs *e, struct sfd_xref ref, uint8_t *to)
{
	struct full_name name;
	size_t prefix, size = value_size(e, ref), n;

	full_name(e, ref, &name);
	to[1] = (uint8_t)prefix_of(e, &name, &prefix);
	to[0] = (uint8_t)(name.len - prefix);
	sfd_put16(to + 2, (uint32_t)size);
	n = SFD_EROFS_XATTR_ENTRY;
	memcpy(to + n, name.text + prefix, name.len - prefix);
	n += name.len - prefix;
	put_value(e, ref, to + n);
	n += size;
	while (n % 4 != 0)
		to[n++] = 0;
	return (uint32_t)n;
}

static uint32_t find_filter_bit(const struct sfd_erofs *e, struct sfd_xref ref)
{
	struct full_name name;
	size_t prefix;
	int index;

	full_name(e, ref, &name);
	index = prefix_of(e, &name, &prefix);
	return 1u << sfd_xxh32((const uint8_t *)name.text + prefix, name.len - prefix,
			     SFD_EROFS_FILTER_SEED + (uint32_t)index) %
			     32;
}

uint32_t sfd_erofs_filter_bit(const struct sfd_erofs *e, struct sfd_xref ref)
{
	return ref.kind == SFD_XREF_PLAIN ? find_filter_bit(e, ref) : e->filter_bit[ref.kind];
}

/* Names of all kinds but PLAIN are the same for every inode. */
static void measure_own(struct sfd_erofs *e)
{
	for (int kind = SFD_XREF_PLAIN + 1; kind < SFD_XREF_KINDS; kind++) {
		struct sfd_xref ref = { (enum sfd_xref_kind)kind, 0 };

		e->entry_size[kind] = measure_entry(e, ref);
		e->filter_bit[kind] = find_filter_bit(e, ref);
	}
}

static int compare_bytes(const void *a, size_t a_len, const void *b, size_t b_len)
{
	size_t n = a_len < b_len ? a_len : b_len;
	int c = n > 0 ? memcmp(a, b, n) : 0;

	return c != 0 ? c : (a_len > b_len) - (a_len < b_len);
}

static int compare_names(const struct sfd_erofs *e, struct sfd_xref a, struct sfd_xref b)
{
	struct full_name x, y;
	size_t x_prefix = 0, y_prefix = 0;
	int c = 0;

	full_name(e, a, &x);
	full_name(e, b, &y);
	if (!e->first)
		c = prefix_of(e, &x, &x_prefix) - prefix_of(e, &y, &y_prefix);
	return c != 0 ? c
		      : compare_bytes(x.text + x_prefix, x.len - x_prefix, y.text + y_prefix,
				y.len - y_prefix);
}

/* By name, then value. Formats 0 and 1: by the name in full, a shorter value first. Format 2: by
 * the prefix's number and the rest of the name, values as strings are compared. */
static int compare(const struct sfd_erofs *e, struct sfd_xref a, struct sfd_xref b)
{
	const struct sfd_tree_xattr_entry *x, *y;
	int c;

	if (a.kind == b.kind && a.id == b.id)
		return 0;
	if (a.kind == b.kind && a.kind != SFD_XREF_PLAIN)
		return memcmp(sfd_tree_digest(e->tree, a.id), sfd_tree_digest(e->tree, b.id),
			e->tree->digest_size);
	c = compare_names(e, a, b);
	if (c != 0)
		return c;
	if (a.kind != SFD_XREF_PLAIN || b.kind != SFD_XREF_PLAIN)
		return (int)a.kind - (int)b.kind; /* escaping keeps such names apart */
	x = &e->tree->xattrs[a.id];
	y = &e->tree->xattrs[b.id];
	if (e->first && x->value_len != y->value_len)
		return (int)x->value_len - (int)y->value_len;
	return compare_bytes(x->value, x->value_len, y->value, y->value_len);
}

static int compare_refs(const void *a, const void *b, void *ctx)
{
	return compare(ctx, *(const struct sfd_xref *)a, *(const struct sfd_xref *)b);
}

static int scratch_room(struct sfd_erofs *e, uint32_t n)
{
	struct sfd_xref *more;

	if (n <= e->cap_scratch)
		return 0;
	more = reallocarray(e->scratch, n, sizeof(*more));
	if (more == NULL)
		return -ENOMEM;
	e->scratch = more;
	e->cap_scratch = n;
	return 0;
}

static uint32_t add_markers(struct sfd_erofs *e, uint32_t n, enum sfd_tree_marker from)
{
	for (int i = 0; i < 2; i++)
		e->scratch[n++] = (struct sfd_xref){ SFD_XREF_PLAIN, e->tree->markers[from + i] };
	return n;
}

int sfd_erofs_xattrs_of(struct sfd_erofs *e, uint32_t number)
{
	const struct sfd_tree_inode *inode = e->order[number];
	const struct sfd_xattr_set *set = inode->xattrs;
	uint32_t n = 0;
	bool sorted = true;

	if (scratch_room(e, (set != NULL ? set->n : 0) + 16) < 0)
		return -ENOMEM;
	if (inode->external) {
		e->scratch[n++] = (struct sfd_xref){ SFD_XREF_METACOPY, inode->object };
		e->scratch[n++] = (struct sfd_xref){ SFD_XREF_REDIRECT, inode->object };
	}
	for (uint32_t i = 0; set != NULL && i < set->n; i++)
		e->scratch[n++] = (struct sfd_xref){ SFD_XREF_PLAIN, set->ids[i] };
	if ((e->flags[number] & SFD_ESCAPED_WHITEOUT) != 0)
		n = add_markers(e, n, SFD_MARKER_WHITEOUT);
	if ((e->flags[number] & SFD_HAS_WHITEOUTS) != 0)
		n = add_markers(e, n, SFD_MARKER_WHITEOUTS);
	if ((e->flags[number] & SFD_HAS_WHITEOUTS) != 0 && e->format == 1)
		n = add_markers(e, n, SFD_MARKER_OPAQUE);
	if (e->first && number == 0)
		e->scratch[n++] = (struct sfd_xref){ SFD_XREF_ROOT_OPAQUE, 0 };
	/* metacopy and redirect are in order as they are. */
	for (uint32_t i = inode->external ? 2 : 1; e->first && sorted && i < n; i++)
		sorted = compare(e, e->scratch[i - 1], e->scratch[i]) <= 0;
	if (!sorted)
		qsort_r(e->scratch, n, sizeof(*e->scratch), compare_refs, e);
	return (int)n;
}

static uint32_t *use_of(const struct sfd_xref_uses *uses, struct sfd_xref ref)
{
	switch (ref.kind) {
	case SFD_XREF_METACOPY:
		return &uses->metacopy[ref.id];
	case SFD_XREF_REDIRECT:
		return &uses->redirect[ref.id];
	case SFD_XREF_PLAIN:
		return &uses->plain[ref.id];
	default:
		return NULL;
	}
}

static void note_acl(struct sfd_erofs *e, struct sfd_xref ref)
{
	struct full_name name;
	size_t len;
	int prefix;

	if (ref.kind != SFD_XREF_PLAIN || e->has_acl)
		return;
	full_name(e, ref, &name);
	prefix = prefix_of(e, &name, &len);
	e->has_acl = prefix == ACL_ACCESS || prefix == ACL_DEFAULT;
}

/* The xattrs that two or more inodes have, sorted. */
static int collect_shared(struct sfd_erofs *e, const struct sfd_xref_uses *uses)
{
	const struct sfd_tree *tree = e->tree;
	uint32_t n = 0;

	for (int pass = 0; pass < 2; pass++) {
		n = 0;
		for (uint32_t i = 0; i < tree->n_xattrs; i++) {
			if (uses->plain[i] < 2)
				continue;
			if (pass == 1)
				e->shared[n] = (struct sfd_xref){ SFD_XREF_PLAIN, i };
			n++;
		}
		for (uint32_t i = 0; i < tree->n_objects; i++) {
			if (uses->metacopy[i] < 2)
				continue;
			if (pass == 1) {
				e->shared[n] = (struct sfd_xref){ SFD_XREF_METACOPY, i };
				e->shared[n + 1] = (struct sfd_xref){ SFD_XREF_REDIRECT, i };
			}
			n += 2;
		}
		if (pass == 0)
			e->shared = calloc(n > 0 ? n : 1, sizeof(*e->shared));
		if (e->shared == NULL)
			return -ENOMEM;
	}
	e->n_shared = n;
	qsort_r(e->shared, n, sizeof(*e->shared), compare_refs, e);
	if (!e->first)
		return 0;
	for (uint32_t i = 0; i < n / 2; i++) {
		struct sfd_xref swap = e->shared[i];

		e->shared[i] = e->shared[n - 1 - i];
		e->shared[n - 1 - i] = swap;
	}
	return 0;
}

int sfd_erofs_share_xattrs(struct sfd_erofs *e, struct splitfd_error *err)
{
	const struct sfd_xref_uses uses = {
		.plain = calloc(e->tree->n_xattrs + 1u, sizeof(uint32_t)),
		.metacopy = calloc(e->tree->n_objects + 1u, sizeof(uint32_t)),
		.redirect = calloc(e->tree->n_objects + 1u, sizeof(uint32_t)),
	};

	e->uses = uses;
	if (uses.plain == NULL || uses.metacopy == NULL || uses.redirect == NULL)
		return splitfd_error_oom(err);
	measure_own(e);
	for (uint32_t i = 0; i < e->n_inodes; i++) {
		int n = sfd_erofs_xattrs_of(e, i);

		if (n < 0)
			return splitfd_error_oom(err);
		for (int k = 0; k < n; k++) {
			uint32_t *use = use_of(&uses, e->scratch[k]);

			if (use != NULL)
				(*use)++;
			note_acl(e, e->scratch[k]);
		}
	}
	return collect_shared(e, &uses) < 0 ? splitfd_error_oom(err) : 0;
}

static bool is_shared(const struct sfd_erofs *e, struct sfd_xref ref)
{
	const uint32_t *use = use_of(&e->uses, ref);

	return use != NULL && *use > 1;
}

static int too_much(
	struct sfd_erofs *e, uint32_t number, const char *what, struct splitfd_error *err)
{
	char path[1024];

	sfd_erofs_path(e, e->order[number], path, sizeof(path));
	return splitfd_error_set(
		err, SPLITFD_ERROR_REFUSED, E2BIG, "%s: %s for an EROFS image", path, what);
}

/* Bytes of the name behind its prefix; 0 for those that are never too long. */
static size_t name_size(const struct sfd_erofs *e, struct sfd_xref ref)
{
	struct full_name name;
	size_t prefix;

	if (ref.kind != SFD_XREF_PLAIN)
		return 0;
	full_name(e, ref, &name);
	prefix_of(e, &name, &prefix);
	return name.len - prefix;
}

int64_t sfd_erofs_xattr_size(struct sfd_erofs *e, uint32_t number, struct splitfd_error *err)
{
	int n = sfd_erofs_xattrs_of(e, number);
	uint32_t size = SFD_EROFS_XATTR_HEADER, n_shared = 0;

	if (n < 0)
		return splitfd_error_oom(err);
	if (n == 0)
		return 0;
	for (int k = 0; k < n; k++) {
		if (name_size(e, e->scratch[k]) > UINT8_MAX)
			return too_much(e, number, "the name of an xattr is too long", err);
		if (is_shared(e, e->scratch[k])) {
			n_shared++;
			size += 4;
		} else {
			size += entry_size(e, e->scratch[k]);
		}
		if ((size - SFD_EROFS_XATTR_HEADER) / 4 + 1 > UINT16_MAX || n_shared > UINT8_MAX)
			return too_much(e, number, "the xattrs are too many or too large", err);
	}
	return size;
}

uint64_t sfd_erofs_place_shared(struct sfd_erofs *e)
{
	uint64_t at = e->first ? e->inodes_end % SFD_EROFS_BLOCK : e->inodes_end, start = at;

	for (uint32_t i = 0; i < e->n_shared; i++) {
		*use_of(&e->uses, e->shared[i]) = (uint32_t)(at / 4) + 2;
		at += entry_size(e, e->shared[i]);
	}
	return at - start;
}

int64_t sfd_erofs_shared_at(const struct sfd_erofs *e, struct sfd_xref ref)
{
	return is_shared(e, ref) ? (int64_t)*use_of(&e->uses, ref) - 2 : -1;
}
