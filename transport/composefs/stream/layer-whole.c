/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/stream/layer-whole.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/thread.h"
#include "transport/composefs/link.h"
#include "transport/composefs/object-check.h"
#include "transport/composefs/object-path.h"
#include "transport/composefs/repository-private.h"
#include "transport/composefs/stream/splitstream.h"
#include "transport/tar/tar-parser.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

SFD_DEFINE_CLEANUP(cleanup_stream, struct sfd_splitstream, sfd_splitstream_free);
SFD_DEFINE_CLEANUP(cleanup_parser, struct sfd_tar_parser, sfd_tar_parser_free);

#define NO_SIZE	      UINT64_MAX
#define FEW_OBJECTS   256
#define TAKEN_AT_ONCE 64

struct layer {
	struct splitfd_repository *repository;
	struct sfd_splitstream *stream;
	struct sfd_tar_parser *parser;
	bool parsing; /* false where this is no tar that the parser understands */
	int objects;
};

static int ignore_entry(void *ctx, const struct sfd_tar_entry *e, struct splitfd_error *err)
{
	(void)ctx;
	(void)e;
	(void)err;
	return 0;
}

static int check_object(
	struct layer *l, const struct splitfd_digest *digest, struct splitfd_error *err)
{
	char path[SFD_OBJECT_PATH_SIZE];
	struct stat st;
	int r;

	sfd_object_path(digest, path);
	r = sfd_object_stat(l->repository, l->objects, digest, &st);
	if (r < 0)
		return sfd_object_is_damage(-r)
			       ? 0
			       : splitfd_error_sys(err, -r, "cannot look for object %s", path);
	if (!S_ISREG(st.st_mode))
		return 0;
	if (l->parsing && sfd_tar_parser_object(l->parser, (uint64_t)st.st_size, NULL) == 0)
		return sfd_object_check(l->repository, digest, (uint64_t)st.st_size, err);
	/* Is the size wrong, or is this a tar that the parser does not follow? */
	l->parsing = false;
	return sfd_object_verify(l->repository, digest, err);
}

static int check_parts(struct layer *l, struct splitfd_error *err)
{
	for (;;) {
		struct sfd_splitstream_part part;
		struct splitfd_error why = { 0 };
		struct splitfd_digest digest;
		int r = sfd_splitstream_next(l->stream, &part, &why);

		if (r == 0)
			return 1;
		if (r > 0 && part.len > 0) {
			l->parsing = l->parsing &&
				     sfd_tar_parser_feed(l->parser, part.data, part.len, NULL) == 0;
			continue;
		}
		if (r > 0)
			r = sfd_splitstream_object_ref(l->stream, part.object, &digest, &why);
		if (r < 0 && why.kind != SPLITFD_ERROR_REFUSED && !sfd_object_is_damage(-r))
			return splitfd_error_set(err, why.kind, -r, "%s", why.text);
		if (r < 0)
			return 0;
		r = check_object(l, &digest, err);
		if (r <= 0)
			return r;
	}
}

/* The quick way, for what is whole as a rule: one thread looks for the objects while another reads
 * the tar for their sizes, and then helps. */
struct sizes {
	struct layer *layer;
	size_t n;
	pthread_mutex_t lock; /* of `taken`, and of the stream's references */
	size_t taken;	      /* objects that some thread looks for, or has */
	uint64_t *found,
		*wanted; /* by the object's number in the stream; NO_SIZE: not, or unknown */
	uint64_t next;	 /* of the content that the tar comes to; 0: none */
};

/* Some references of the stream that no other thread has, which has a buffer of them. Touches
 * nothing else of the stream. Their number; the first one's in *ret_at. One that cannot be read is
 * all zeros. */
static size_t take_some(
	struct sizes *sizes, struct splitfd_digest ret[TAKEN_AT_ONCE], size_t *ret_at)
{
	size_t n = 0;

	pthread_mutex_lock(&sizes->lock);
	*ret_at = sizes->taken;
	for (; n < TAKEN_AT_ONCE && sizes->taken < sizes->n; n++, sizes->taken++) {
		if (sfd_splitstream_object_ref(sizes->layer->stream, sizes->taken, &ret[n], NULL) <
			0)
			memset(&ret[n], 0, sizeof(ret[n]));
	}
	pthread_mutex_unlock(&sizes->lock);
	return n;
}

static uint64_t find_size(const struct layer *l, const struct splitfd_digest *digest)
{
	struct stat st;

	if (digest->size == 0)
		return NO_SIZE;
	return sfd_object_stat(l->repository, l->objects, digest, &st) == 0 && S_ISREG(st.st_mode)
		       ? (uint64_t)st.st_size
		       : NO_SIZE;
}

/* Looks for what no other thread has taken. */
static void *find_sizes(void *ctx)
{
	struct sizes *sizes = ctx;
	struct splitfd_digest some[TAKEN_AT_ONCE];
	size_t at, n;

	while ((n = take_some(sizes, some, &at)) > 0) {
		for (size_t i = 0; i < n; i++)
			sizes->found[at + i] = find_size(sizes->layer, &some[i]);
	}
	return NULL;
}

static void take_rest(struct sizes *sizes)
{
	pthread_mutex_lock(&sizes->lock);
	sizes->taken = sizes->n;
	pthread_mutex_unlock(&sizes->lock);
}

static bool want_part(struct sizes *sizes, const struct sfd_splitstream_part *part)
{
	struct sfd_tar_parser *parser = sizes->layer->parser;
	uint64_t *wanted = &sizes->wanted[part->object];
	size_t taken = 0;

	if (part->len > 0)
		return sfd_tar_parser_feed_to_object(
			       parser, part->data, part->len, &taken, &sizes->next, NULL) == 0 &&
		       taken == part->len;
	if (sizes->next == 0 || (*wanted != NO_SIZE && *wanted != sizes->next) ||
		sfd_tar_parser_object(parser, UINT64_MAX, NULL) < 0)
		return false;
	*wanted = sizes->next;
	sizes->next = 0;
	return true;
}

static bool want_sizes(struct sizes *sizes)
{
	struct sfd_splitstream_part part;
	int r;

	for (size_t i = 0; i < sizes->n; i++)
		sizes->wanted[i] = NO_SIZE;
	while ((r = sfd_splitstream_next(sizes->layer->stream, &part, NULL)) > 0) {
		if (!want_part(sizes, &part))
			return false;
	}
	return r == 0;
}

/* Whether every object has its size. False also where this cannot be said so quickly. */
static bool has_sizes(struct layer *l)
{
	struct sizes sizes = { .layer = l,
		.n = sfd_splitstream_n_objects(l->stream),
		.lock = PTHREAD_MUTEX_INITIALIZER };
	sfd_cleanup_free uint64_t *found = calloc(sizes.n + 1, sizeof(*found));
	sfd_cleanup_free uint64_t *wanted = calloc(sizes.n + 1, sizeof(*wanted));
	struct sfd_thread thread = { 0 };
	bool same;

	if (found == NULL || wanted == NULL || l->repository->secure || l->repository->distrust)
		return false;
	sizes.found = found;
	sizes.wanted = wanted;
	/* Where there is no thread to be had, this one does all. */
	if (sizes.n >= FEW_OBJECTS)
		(void)sfd_thread_start(&thread, SFD_STACK_SMALL, find_sizes, &sizes);
	same = want_sizes(&sizes);
	if (same)
		find_sizes(&sizes);
	else
		take_rest(&sizes);
	sfd_thread_join(&thread);
	pthread_mutex_destroy(&sizes.lock);
	for (size_t i = 0; same && i < sizes.n; i++)
		same = found[i] != NO_SIZE && (wanted[i] == NO_SIZE || wanted[i] == found[i]);
	return same;
}

int sfd_layer_is_whole(struct splitfd_repository *repository, const struct splitfd_digest *digest,
	struct splitfd_error *err)
{
	sfd_cleanup(cleanup_stream) struct sfd_splitstream *stream = NULL;
	sfd_cleanup(cleanup_parser) struct sfd_tar_parser *parser = NULL;
	struct layer l = { .repository = repository };
	int r = sfd_object_verify(repository, digest, err);

	if (r <= 0)
		return r;
	l.objects = sfd_repository_objects(repository, false, err);
	if (l.objects < 0)
		return l.objects;
	r = sfd_splitstream_open(repository, digest, NULL, &stream, err);
	if (r < 0)
		return r == -ENOMEM || (err != NULL && err->kind != SPLITFD_ERROR_REFUSED) ? r : 0;
	l.stream = stream;
	l.parser = parser = sfd_tar_parser_new(ignore_entry, NULL);
	if (parser == NULL)
		return splitfd_error_oom(err);
	l.parsing = strcmp(sfd_splitstream_content_type(stream), SFD_STREAM_LAYER) == 0;
	if (l.parsing && has_sizes(&l))
		return 1;
	sfd_splitstream_rewind(stream);
	sfd_tar_parser_free(parser);
	l.parser = parser = sfd_tar_parser_new(ignore_entry, NULL);
	return parser == NULL ? splitfd_error_oom(err) : check_parts(&l, err);
}

int sfd_layer_not_found(
	struct splitfd_repository *repository, const char *diff_id, struct splitfd_error *err)
{
	struct splitfd_digest digest;
	char name[128];
	int r = 0;

	if (snprintf(name, sizeof(name), "streams/oci-layer-%s", diff_id) < (int)sizeof(name))
		r = sfd_name_read(repository, name, &digest, err);
	if (r < 0)
		return r;
	if (r > 0)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, EIO,
			"layer %s is in the repository, but not whole; 'splitfd fsck' shows why, "
			"pulling an image with it again mends it",
			diff_id);
	return splitfd_error_set(
		err, SPLITFD_ERROR_NOT_FOUND, ENOENT, "layer %s is not in the repository", diff_id);
}
