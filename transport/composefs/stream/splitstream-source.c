/* SPDX-License-Identifier: Apache-2.0 */
/* A stored layer as a chunk source. */
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/dir-files.h"
#include "transport/composefs/repository-private.h"
#include "transport/composefs/stream/splitstream.h"

#include <fcntl.h>
#include <string.h>

struct stream_source {
	struct splitfd_source source;
	struct splitfd_repository *repository;
	struct sfd_splitstream *stream;
	struct splitfd_files *files;	 /* objects/; NULL until there is an object */
	char name[SFD_OBJECT_PATH_SIZE]; /* of the last object */
	struct splitfd_error failed;
};

/* The objects by name, for a consumer that has the directory: what it opens is what is open here.
 */
static int open_files(struct stream_source *s, struct splitfd_error *err)
{
	int fd = sfd_repository_objects(s->repository, false, err);

	if (fd < 0)
		return fd;
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return splitfd_error_sys(err, errno, "cannot duplicate the objects directory");
	return sfd_dir_files_new(fd, &s->files, err);
}

static int next_object(
	struct stream_source *s, size_t index, struct splitfd_chunk *ret, struct splitfd_error *err)
{
	struct splitfd_digest digest;
	int r = sfd_splitstream_object_ref(s->stream, index, &digest, err);

	if (r < 0)
		return r;
	r = sfd_object_open(s->repository, &digest, &ret->fd, &ret->size, err);
	if (r < 0)
		return r;
	if (s->files == NULL) {
		r = open_files(s, err);
		if (r < 0) {
			ret->fd = sfd_close(ret->fd);
			return r;
		}
	}
	sfd_object_path(&digest, s->name);
	ret->files = s->files;
	ret->kind = SPLITFD_CHUNK_FILE;
	ret->name = s->name;
	ret->name_len = strlen(s->name);
	return 1;
}

static int next_chunk(struct stream_source *s, struct splitfd_chunk *ret, struct splitfd_error *err)
{
	struct sfd_splitstream_part part;
	int r = sfd_splitstream_next(s->stream, &part, err);

	if (r <= 0)
		return r;
	if (part.len == 0)
		return next_object(s, part.object, ret, err);
	ret->kind = SPLITFD_CHUNK_INLINE;
	ret->data = part.data;
	ret->data_len = part.len;
	return 1;
}

static int source_next(
	struct splitfd_source *source, struct splitfd_chunk *ret, struct splitfd_error *err)
{
	struct stream_source *s = (struct stream_source *)source;

	*ret = (struct splitfd_chunk){ .fd = -EBADF };
	if (s->failed.errnum == 0) {
		int r = next_chunk(s, ret, &s->failed);

		if (r >= 0)
			return r;
	}
	return splitfd_error_copy(err, -s->failed.errnum, &s->failed);
}

/* Why there are none is what the next chunk's reader gets. */
static struct splitfd_files *source_files(struct splitfd_source *source)
{
	struct stream_source *s = (struct stream_source *)source;

	if (s->files == NULL && s->failed.errnum == 0)
		(void)open_files(s, &s->failed);
	return s->files;
}

static void source_free(struct splitfd_source *source)
{
	struct stream_source *s = (struct stream_source *)source;

	sfd_splitstream_free(s->stream);
	splitfd_files_unref(s->files);
	free(s);
}

int sfd_splitstream_source_new(struct splitfd_repository *repository,
	const struct splitfd_digest *digest, struct splitfd_source **ret, struct splitfd_error *err)
{
	static const struct splitfd_source_ops ops = { source_next, source_free, source_files };
	struct stream_source *s = calloc(1, sizeof(*s));
	int r;

	if (s == NULL)
		return splitfd_error_oom(err);
	s->source.ops = &ops;
	s->repository = repository;
	r = sfd_splitstream_open(repository, digest, SFD_STREAM_LAYER, &s->stream, err);
	if (r < 0) {
		free(s);
		return r;
	}
	*ret = &s->source;
	return 0;
}
