/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/chunk.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/fd.h"

#include <errno.h>

struct splitfd_files *splitfd_files_ref(struct splitfd_files *files)
{
	__atomic_add_fetch(&files->refs, 1, __ATOMIC_RELAXED);
	return files;
}

struct splitfd_files *splitfd_files_unref(struct splitfd_files *files)
{
	if (files != NULL && __atomic_sub_fetch(&files->refs, 1, __ATOMIC_ACQ_REL) == 0)
		files->ops->free(files);
	return NULL;
}

bool splitfd_files_removed(struct splitfd_files *files)
{
	return files != NULL && files->ops->removed != NULL && files->ops->removed(files);
}

int splitfd_chunk_open(
	struct splitfd_chunk *chunk, int *ret_fd, int *ret_dir, struct splitfd_error *err)
{
	sfd_cleanup_fd int fd = sfd_take_fd(&chunk->fd);
	int r;

	if (fd < 0 && chunk->files != NULL && chunk->name != NULL)
		return chunk->files->ops->open(
			chunk->files, chunk->name, chunk->size, ret_fd, ret_dir, err);
	if (fd < 0)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, EBADF,
			"a file chunk without descriptor or name");
	r = sfd_check_regular(fd, chunk->size,
		chunk->name != NULL ? chunk->name : "descriptor of a file chunk", NULL, err);
	if (r < 0)
		return r;
	if (ret_dir != NULL)
		*ret_dir = -1;
	*ret_fd = sfd_take_fd(&fd);
	return 0;
}

void splitfd_chunk_clear(struct splitfd_chunk *chunk)
{
	chunk->fd = sfd_close(chunk->fd);
}

int splitfd_source_next(
	struct splitfd_source *source, struct splitfd_chunk *ret, struct splitfd_error *err)
{
	return source->ops->next(source, ret, err);
}

struct splitfd_files *splitfd_source_files(struct splitfd_source *source)
{
	return source->ops->files != NULL ? source->ops->files(source) : NULL;
}

struct splitfd_source *splitfd_source_free(struct splitfd_source *source)
{
	if (source != NULL)
		source->ops->free(source);
	return NULL;
}

int splitfd_sink_put(
	struct splitfd_sink *sink, struct splitfd_chunk *chunk, struct splitfd_error *err)
{
	return sink->ops->put(sink, chunk, err);
}

int splitfd_sink_finish(struct splitfd_sink *sink, struct splitfd_error *err)
{
	return sink->ops->finish(sink, err);
}

struct splitfd_sink *splitfd_sink_free(struct splitfd_sink *sink)
{
	if (sink != NULL)
		sink->ops->free(sink);
	return NULL;
}
