/* SPDX-License-Identifier: Apache-2.0 */
/* Hard links of a layer that lead round to themselves. */
#include "transport/composefs/tree/tree-layer.h"
#include "transport/composefs/tree/tree-private.h"

#include <string.h>

/* Each step looks through the whole layer. A longer chain is not looked at to its end. */
#define HOPS_MAX 64

struct path {
	const char *text;
	size_t len;
};

struct search {
	struct path path;
	struct path target; /* text NULL: not found */
};

/* The next component that counts; false at the end. */
static bool component(struct path *rest, struct path *ret)
{
	do {
		while (rest->len > 0 && rest->text[0] == '/') {
			rest->text++;
			rest->len--;
		}
		*ret = (struct path){ rest->text, 0 };
		while (rest->len > 0 && rest->text[0] != '/') {
			rest->text++;
			rest->len--;
			ret->len++;
		}
	} while (ret->len == 1 && ret->text[0] == '.');
	return ret->len > 0;
}

static bool same_path(struct path a, struct path b)
{
	struct path x, y;

	for (;;) {
		bool more = component(&a, &x);

		if (more != component(&b, &y))
			return false;
		if (!more)
			return true;
		if (x.len != y.len || memcmp(x.text, y.text, x.len) != 0)
			return false;
	}
}

static int look(void *ctx, const struct sfd_tree_item *item, struct splitfd_error *err)
{
	struct search *s = ctx;

	(void)err;
	if (item->type != SFD_TREE_HARDLINK ||
		!same_path(s->path, (struct path){ item->path, item->path_len }))
		return 0;
	s->target = (struct path){ item->target, item->target_len };
	return 1;
}

bool sfd_tree_is_link_loop(const struct sfd_tree_layer *layer, const struct sfd_tree_item *item)
{
	struct path seen = { item->path, item->path_len };
	struct search s = { .target = { item->target, item->target_len } };

	for (unsigned int hop = 1; hop <= HOPS_MAX; hop++) {
		if (same_path(s.target, seen))
			return true;
		/* Brent's way: a loop is found wherever it begins. */
		if ((hop & (hop - 1)) == 0)
			seen = s.target;
		s.path = s.target;
		s.target.text = NULL;
		if (sfd_tree_layer_tell(layer, look, &s, NULL) <= 0 || s.target.text == NULL)
			return false;
	}
	return false;
}
