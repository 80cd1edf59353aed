/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/splitdirfdstream-writer.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/fd.h"
#include "splitfdstream/base/text.h"
#include "splitfdstream/dir-files.h"
#include "splitfdstream/splitdirfdstream-reader.h"
#include "splitfdstream/wire-buffer.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Sets of files in one stream; a layer has one. */
#define MAX_SETS 64

struct file_set {
	struct splitfd_files *files; /* referenced, so that its address stays its own */
	size_t first;		     /* the index of its first directory */
};

struct writer {
	struct sfd_wire_sink sink;
	struct splitfd_splitdirfdstream_writer_options options;
	size_t n_sets, n_dirs;
	struct file_set sets[MAX_SETS];
};

static int put_header(
	struct sfd_wire_sink *sink, bool content, uint32_t length, struct splitfd_error *err)
{
	uint32_t le = htole32(length);
	uint8_t header[5] = { content ? 0x01 : 0x00 };

	memcpy(header + 1, &le, sizeof(le));
	return sfd_wire_bytes(&sink->wire, header, sizeof(header), err);
}

static int send_dirs(struct writer *w, const struct splitfd_files *files, struct splitfd_error *err)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < files->n_dirs; i++) {
		int fd = fcntl(files->dirs[i], F_DUPFD_CLOEXEC, 3);

		if (fd < 0)
			return splitfd_error_sys(
				err, errno, "cannot duplicate a directory descriptor");
		/* An empty Metadata chunk: something for the descriptors to be attached to. */
		if (w->sink.wire.len == 0)
			r = put_header(&w->sink, false, 0, err);
		if (r >= 0)
			r = sfd_wire_fd(&w->sink.wire, fd, err);
		else
			sfd_close(fd);
	}
	return r;
}

static int add_set(struct writer *w, struct splitfd_files *files, bool send, size_t *ret_first,
	struct splitfd_error *err)
{
	int r = send ? send_dirs(w, files, err) : 0;

	if (r < 0)
		return r;
	w->sets[w->n_sets++] = (struct file_set){
		.files = splitfd_files_ref(files),
		.first = w->n_dirs,
	};
	*ret_first = w->n_dirs;
	w->n_dirs += files->n_dirs;
	return 0;
}

/* The wire's index of a directory of `files`; -EXFULL where no more sets can be announced. */
static int find_dir(struct writer *w, struct splitfd_files *files, int dir, uint32_t *ret,
	struct splitfd_error *err)
{
	size_t i, first;
	int r;

	for (i = 0; i < w->n_sets && w->sets[i].files != files; i++)
		;
	if (i < w->n_sets) {
		*ret = (uint32_t)(w->sets[i].first + (size_t)dir);
		return *ret < SPLITFD_DIRS_MAX ? 0 : -EXFULL;
	}
	if (w->n_sets == MAX_SETS || w->sink.wire.output->fd_batch == 0 ||
		w->n_dirs + files->n_dirs > SPLITFD_DIRS_MAX)
		return -EXFULL;
	r = add_set(w, files, true, &first, err);
	if (r < 0)
		return r;
	*ret = (uint32_t)(first + (size_t)dir);
	return 0;
}

static int put_reference(struct writer *w, const struct splitfd_chunk *chunk, uint32_t index,
	struct splitfd_error *err)
{
	uint64_t size = htole64(chunk->size);
	uint32_t name_len = htole32((uint32_t)chunk->name_len);
	uint8_t header[17] = { 0x02 };
	int r;

	index = htole32(index);
	memcpy(header + 1, &size, sizeof(size));
	memcpy(header + 9, &index, sizeof(index));
	memcpy(header + 13, &name_len, sizeof(name_len));
	r = sfd_wire_bytes(&w->sink.wire, header, sizeof(header), err);
	return r < 0 ? r : sfd_wire_bytes(&w->sink.wire, chunk->name, chunk->name_len, err);
}

static bool can_name(const struct writer *w, const struct splitfd_chunk *chunk, int fd)
{
	struct stat st;

	if (chunk->size <= w->options.inline_max || chunk->name == NULL || chunk->files == NULL)
		return false;
	if (sfd_dir_name_fault(chunk->name, chunk->name_len) != NULL ||
		!sfd_utf8_valid(chunk->name, chunk->name_len))
		return false;
	return w->options.consumer_reads_all ||
	       (fstat(fd, &st) == 0 && (st.st_mode & S_IROTH) != 0);
}

static int put_content(
	struct writer *w, struct splitfd_chunk *chunk, int fd, struct splitfd_error *err)
{
	const char *name = chunk->name != NULL ? chunk->name : "a file";
	int r;

	if (chunk->size > SPLITFD_INLINE_MAX)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, EFBIG,
			"%s: %llu bytes that the consumer cannot open by a name do not fit into "
			"a splitdirfdstream; use the splitfdstream format",
			name, (unsigned long long)chunk->size);
	r = put_header(&w->sink, true, (uint32_t)chunk->size, err);
	return r < 0 ? r : sfd_wire_content(&w->sink.wire, fd, chunk, err);
}

/* A file that came open: the directory below which its name opens the same, or -1. */
static int find_name(const struct splitfd_chunk *chunk, int fd)
{
	sfd_cleanup_fd int again = -EBADF;
	struct stat a, b;
	int dir = -1;

	if (chunk->files == NULL || chunk->name == NULL ||
		chunk->files->ops->open(
			chunk->files, chunk->name, chunk->size, &again, &dir, NULL) < 0)
		return -1;
	if (fstat(fd, &a) < 0 || fstat(again, &b) < 0 || a.st_dev != b.st_dev ||
		a.st_ino != b.st_ino)
		return -1;
	return dir;
}

static int put_file(
	struct sfd_wire_sink *sink, struct splitfd_chunk *chunk, struct splitfd_error *err)
{
	struct writer *w = (struct writer *)sink;
	sfd_cleanup_fd int fd = -EBADF;
	bool came_open = chunk->fd >= 0;
	int dir = -1, r = splitfd_chunk_open(chunk, &fd, &dir, err);
	uint32_t index;

	if (r < 0)
		return r;
	if (came_open)
		dir = find_name(chunk, fd);
	if (dir >= 0 && can_name(w, chunk, fd)) {
		r = find_dir(w, chunk->files, dir, &index, err);
		if (r != -EXFULL)
			return r < 0 ? r : put_reference(w, chunk, index, err);
	}
	return put_content(w, chunk, fd, err);
}

static void writer_free(struct splitfd_sink *sink)
{
	struct writer *w = (struct writer *)sink;

	for (size_t i = 0; i < w->n_sets; i++)
		splitfd_files_unref(w->sets[i].files);
	sfd_wire_done(&w->sink.wire);
	free(w);
}

int splitfd_splitdirfdstream_writer_new(struct splitfd_output *output,
	const struct splitfd_splitdirfdstream_writer_options *options, struct splitfd_sink **ret,
	struct splitfd_error *err)
{
	static const struct splitfd_sink_ops ops = {
		.put = sfd_wire_sink_put,
		.finish = sfd_wire_sink_finish,
		.free = writer_free,
	};
	struct writer *w = calloc(1, sizeof(*w));
	size_t first;

	if (w == NULL) {
		splitfd_output_free(output);
		return splitfd_error_oom(err);
	}
	w->sink.base.ops = &ops;
	w->sink.put_header = put_header;
	w->sink.put_file = put_file;
	if (options != NULL)
		w->options = *options;
	w->sink.wire.output = output;
	/* Nothing is sent, so this cannot fail. */
	if (w->options.known_files != NULL)
		(void)add_set(w, w->options.known_files, false, &first, NULL);
	*ret = &w->sink.base;
	return 0;
}
