/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a layer's tar from the files of a store that it is told, past every record of the store:
 *
 *	layer-cat [--diff-id D] [--size N] [--toc FILE] [--lower DIR]... [--kernel] [--none] \
 *		TAR_SPLIT DIR... >TAR
 *
 * --kernel: no checksum of files or the whole, so that content is copied in the kernel.
 * --none: nothing is written and no file is opened; prints the number of chunks (for timing).
 */
#include "splitfdstream/base/fd.h"
#include "splitfdstream/base/io.h"
#include "transport/containers-storage/layer.h"
#include "transport/tar/tar-sink.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *lower_paths[SFD_LAYER_LOWERS_MAX];

static int lower_open(struct sfd_layer_lowers *lowers, size_t i)
{
	int fd = open(lower_paths[i], O_PATH | O_DIRECTORY | O_CLOEXEC);

	(void)lowers;
	return fd < 0 ? -errno : fd;
}

static void lower_free(struct sfd_layer_lowers *lowers)
{
	(void)lowers;
}

static struct sfd_layer_lowers lowers = { 0, lower_open, lower_free };

struct arguments {
	const char *diff_id, *toc;
	uint64_t size;
	bool kernel, none;
};

static void parse(int argc, char **argv, struct arguments *a)
{
	static const struct option options[] = {
		{ "diff-id", required_argument, NULL, 'd' },
		{ "size", required_argument, NULL, 's' },
		{ "toc", required_argument, NULL, 't' },
		{ "lower", required_argument, NULL, 'l' },
		{ "kernel", no_argument, NULL, 'k' },
		{ "none", no_argument, NULL, 'n' },
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'd')
			a->diff_id = optarg;
		else if (c == 's')
			a->size = strtoull(optarg, NULL, 10);
		else if (c == 't')
			a->toc = optarg;
		else if (c == 'l' && lowers.n < SFD_LAYER_LOWERS_MAX)
			lower_paths[lowers.n++] = optarg;
		else if (c == 'k')
			a->kernel = true;
		else if (c == 'n')
			a->none = true;
		else
			exit(2);
	}
}

static int open_source(const struct arguments *a, char **paths, struct splitfd_source **ret,
	struct splitfd_error *err)
{
	struct sfd_layer_desc desc = {
		.layer_id = "0000000000000000",
		.diff_id = a->diff_id,
		.diff_size = a->size,
		.tar_split_fd = open(paths[0], O_RDONLY | O_CLOEXEC),
		.lowers = lowers.n > 0 ? &lowers : NULL,
	};

	if (desc.tar_split_fd < 0)
		return splitfd_error_sys(err, errno, "%s", paths[0]);
	for (paths++; *paths != NULL && desc.n_dirs < SFD_LAYER_DIRS_MAX; paths++) {
		int fd = open(*paths, O_PATH | O_DIRECTORY | O_CLOEXEC);

		if (fd < 0)
			return splitfd_error_sys(err, errno, "%s", *paths);
		desc.dirs[desc.n_dirs++] = fd;
	}
	if (a->toc != NULL) {
		int fd = open(a->toc, O_RDONLY | O_CLOEXEC);
		int r = fd < 0 ? -errno
			       : sfd_read_file_fd(fd, (size_t)1 << 30, &desc.toc, &desc.toc_size);

		sfd_close(fd);
		if (r < 0)
			return splitfd_error_sys(err, -r, "%s", a->toc);
		desc.layout = SFD_LAYER_COMPOSEFS;
	}
	return sfd_layer_source_new(&desc, ret, err);
}

static int count(struct splitfd_source *source, struct splitfd_error *err)
{
	unsigned long long chunks = 0;
	int r;

	for (;;) {
		struct splitfd_chunk chunk = { .fd = -EBADF };

		r = splitfd_source_next(source, &chunk, err);
		splitfd_chunk_clear(&chunk);
		if (r <= 0)
			break;
		chunks++;
	}
	printf("%llu chunks\n", chunks);
	return r;
}

static int copy(const struct arguments *a, struct splitfd_source *source, struct splitfd_error *err)
{
	struct sfd_tar_sink_options options = {
		.check_crc64 = !a->kernel,
		.diff_id = a->kernel ? NULL : a->diff_id,
		.size = a->size,
	};
	struct splitfd_sink *sink;
	int r = sfd_tar_sink_new(STDOUT_FILENO, &options, &sink, err);

	if (r < 0)
		return r;
	r = splitfd_pump(source, sink, NULL, err);
	if (r >= 0)
		r = splitfd_sink_finish(sink, err);
	splitfd_sink_free(sink);
	return r;
}

int main(int argc, char **argv)
{
	struct arguments a = { .size = UINT64_MAX };
	struct splitfd_source *source = NULL;
	struct splitfd_error err = { 0 };
	int r;

	signal(SIGPIPE, SIG_IGN);
	parse(argc, argv, &a);
	if (argc - optind < 2)
		return 2;
	r = open_source(&a, argv + optind, &source, &err);
	if (r >= 0)
		r = a.none ? count(source, &err) : copy(&a, source, &err);
	splitfd_source_free(source);
	if (r < 0)
		fprintf(stderr, "layer-cat: %s\n", err.text);
	return r < 0 ? splitfd_error_exit_code(err.kind) : 0;
}
