/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/stream/stream-same.h"
#include "splitfdstream/base/cleanup.h"
#include "transport/composefs/stream/splitstream.h"

#include <string.h>

/* A stream, and what is left of its last part. */
struct side {
	struct sfd_splitstream *stream;
	struct sfd_splitstream_part part;
	bool object; /* the part is one */
	bool ended;
};

/* Something to compare, or the end. */
static int refill(struct side *s, struct splitfd_error *err)
{
	int r;

	if (s->ended || s->object || s->part.len > 0)
		return 0;
	r = sfd_splitstream_next(s->stream, &s->part, err);
	if (r < 0)
		return r;
	s->ended = r == 0;
	s->object = r > 0 && s->part.len == 0;
	return 0;
}

static int same_object(struct side *a, struct side *b, struct splitfd_error *err)
{
	struct splitfd_digest x, y;
	int r = sfd_splitstream_object_ref(a->stream, a->part.object, &x, err);

	if (r >= 0)
		r = sfd_splitstream_object_ref(b->stream, b->part.object, &y, err);
	a->object = b->object = false;
	return r < 0 ? r : splitfd_digest_equal(&x, &y);
}

static bool same_bytes(struct side *a, struct side *b)
{
	size_t n = a->part.len < b->part.len ? a->part.len : b->part.len;
	bool same = memcmp(a->part.data, b->part.data, n) == 0;

	a->part.data += n;
	a->part.len -= n;
	b->part.data += n;
	b->part.len -= n;
	return same;
}

static int compare(struct side *a, struct side *b, struct splitfd_error *err)
{
	for (;;) {
		int r = refill(a, err);

		if (r == 0)
			r = refill(b, err);
		if (r < 0)
			return r;
		if (a->ended || b->ended || a->object != b->object)
			return a->ended && b->ended;
		r = a->object ? same_object(a, b, err) : same_bytes(a, b);
		if (r <= 0)
			return r;
	}
}

int sfd_streams_are_same(struct splitfd_repository *repository, const struct splitfd_digest *one,
	const struct splitfd_digest *other, struct splitfd_error *err)
{
	sfd_cleanup_splitstream struct sfd_splitstream *a = NULL, *b = NULL;
	int r = sfd_splitstream_open(repository, one, NULL, &a, err);

	if (r >= 0)
		r = sfd_splitstream_open(repository, other, NULL, &b, err);
	if (r < 0)
		return r;
	return compare(&(struct side){ .stream = a }, &(struct side){ .stream = b }, err);
}
