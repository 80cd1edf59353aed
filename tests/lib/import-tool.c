/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Imports directories as layers, one layer each, without a store: a chunk source that makes ustar
 * headers. For tests and measurements of the import alone.
 *
 *	import-tool REPO DIR… [-j JOBS] [-v] [-r auto|always|never] [-i] [-t PATH] [-n] [-f] [-c]
 *	-v verify_diff_id   -i content as InlineData   -n do not commit   -f open descriptors
 *	-d DIFFID (of a single layer: it is not read before)
 *	-t write each layer's tar to PATH   -c wrong CRC for the file named "bad"
 *
 * Prints each diff_id and the statistics.
 */

#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/digest.h"
#include "transport/composefs/import/import.h"
#include "transport/composefs/repository.h"

#include <fcntl.h>
#include <fts.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct options {
	struct splitfd_import_options import;
	bool inline_data, descriptors, commit, bad_crc;
	const char *tar, *diff_id;
};

struct tree_files {
	struct splitfd_files files;
	int dir;
};

/* What comes next: header (0), content (1), padding (2). */
struct tree_source {
	struct splitfd_source source;
	const struct options *options;
	FTS *fts;
	FTSENT *entry;
	size_t skip; /* of a path: the directory itself */
	int step;
	struct tree_files *files;
	uint8_t block[1024];
	char *content;
};

static int files_open(struct splitfd_files *files, const char *name, uint64_t size, int *ret_fd,
	int *ret_dir, struct splitfd_error *err)
{
	struct tree_files *t = (struct tree_files *)files;
	int fd = openat(t->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int r;

	if (fd < 0)
		return splitfd_error_sys(err, errno, "%s", name);
	r = sfd_check_regular(fd, size, name, NULL, err);
	if (r < 0) {
		sfd_close(fd);
		return r;
	}
	if (ret_dir != NULL)
		*ret_dir = -1;
	*ret_fd = fd;
	return 0;
}

static void files_free(struct splitfd_files *files)
{
	sfd_close(((struct tree_files *)files)->dir);
	free(files);
}

static const struct splitfd_files_ops files_ops = { files_open, files_free };

static void octal(uint8_t *field, size_t n, uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%0*llo", (int)n - 1, (unsigned long long)value);
	memcpy(field, text, n);
}

static bool make_header(const struct tree_source *s, uint8_t *h)
{
	const struct stat *st = s->entry->fts_statp;
	const char *path = s->entry->fts_path + s->skip, *name = path;
	size_t len = strlen(path);
	unsigned int sum = 0;

	memset(h, 0, 512);
	while (len - (size_t)(name - path) > 100) {
		name = strchr(name, '/');
		if (name == NULL)
			return false;
		name++;
	}
	memcpy(h, name, strlen(name));
	if (name > path)
		memcpy(h + 345, path, (size_t)(name - path) - 1);
	octal(h + 100, 8, st->st_mode & 07777);
	octal(h + 108, 8, st->st_uid);
	octal(h + 116, 8, st->st_gid);
	octal(h + 124, 12, S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0);
	octal(h + 136, 12, (uint64_t)st->st_mtime);
	h[156] = S_ISDIR(st->st_mode) ? '5' : '0';
	memcpy(h + 257, "ustar\00000", 8);
	memset(h + 148, ' ', 8);
	for (int i = 0; i < 512; i++)
		sum += h[i];
	octal(h + 148, 7, sum);
	return true;
}

static int inline_chunk(struct splitfd_chunk *ret, const void *data, size_t n, bool content)
{
	ret->kind = SPLITFD_CHUNK_INLINE;
	ret->data = data;
	ret->data_len = n;
	ret->is_content = content;
	return 1;
}

static int content_chunk(
	struct tree_source *s, struct splitfd_chunk *ret, struct splitfd_error *err)
{
	const char *name = s->entry->fts_path + s->skip;
	size_t n;
	int r;

	s->step = 2;
	if (s->options->inline_data) {
		sfd_cleanup_fd int fd = openat(s->files->dir, name, O_RDONLY | O_CLOEXEC);

		free(sfd_take_ptr(&s->content));
		r = fd < 0 ? -errno : sfd_read_file_fd(fd, SPLITFD_INLINE_MAX, &s->content, &n);
		return r < 0 ? splitfd_error_sys(err, -r, "%s", name)
			     : inline_chunk(ret, s->content, n, true);
	}
	ret->kind = SPLITFD_CHUNK_FILE;
	ret->size = (uint64_t)s->entry->fts_statp->st_size;
	ret->files = &s->files->files;
	ret->name = name;
	ret->name_len = strlen(name);
	if (s->options->descriptors) {
		ret->fd = openat(s->files->dir, name, O_RDONLY | O_CLOEXEC);
		ret->files = NULL;
	}
	ret->has_crc64 = s->options->bad_crc && strcmp(s->entry->fts_name, "bad") == 0;
	return 1;
}

static int tree_next(
	struct splitfd_source *source, struct splitfd_chunk *ret, struct splitfd_error *err)
{
	struct tree_source *s = (struct tree_source *)source;
	size_t rest;

	if (s->step == 1 && s->entry->fts_statp->st_size > 0)
		return content_chunk(s, ret, err);
	if (s->step == 2) {
		s->step = 0;
		rest = (size_t)(s->entry->fts_statp->st_size % 512);
		memset(s->block, 0, 512);
		if (rest != 0)
			return inline_chunk(ret, s->block, 512 - rest, false);
	}
	if (s->step == 3)
		return 0;
	do
		s->entry = fts_read(s->fts);
	while (s->entry != NULL && (s->entry->fts_level == 0 || s->entry->fts_info == FTS_DP));
	memset(s->block, 0, sizeof(s->block));
	s->step = 3;
	if (s->entry == NULL)
		return inline_chunk(ret, s->block, 1024, false);
	if (!make_header(s, s->block))
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, ENAMETOOLONG, "name too long");
	s->step = S_ISREG(s->entry->fts_statp->st_mode) ? 1 : 0;
	return inline_chunk(ret, s->block, 512, false);
}

static void tree_free(struct splitfd_source *source)
{
	struct tree_source *s = (struct tree_source *)source;

	fts_close(s->fts);
	splitfd_files_unref(&s->files->files);
	free(s->content);
	free(s);
}

static const struct splitfd_source_ops tree_ops = { tree_next, tree_free };

static int by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

static struct splitfd_source *tree_new(const char *dir, const struct options *options)
{
	char *paths[2] = { (char *)(uintptr_t)dir, NULL };
	struct tree_source *s = calloc(1, sizeof(*s));

	s->files = calloc(1, sizeof(*s->files));
	s->source.ops = &tree_ops;
	s->options = options;
	s->skip = strlen(dir) + 1;
	s->files->files.ops = &files_ops;
	s->files->files.refs = 1;
	s->files->dir = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	s->fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
	return &s->source;
}

/* The layer's sha256, and its tar, by reading everything once. */
static int make_diff_id(
	const char *dir, const struct options *options, char diff_id[72], struct splitfd_error *err)
{
	struct options plain = { .inline_data = true };
	struct splitfd_source *source = tree_new(dir, &plain);
	struct splitfd_sha256 *sha256 = splitfd_sha256_new();
	sfd_cleanup_fd int tar = -EBADF;
	int r;

	if (options->tar != NULL)
		tar = open(options->tar, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	for (;;) {
		struct splitfd_chunk chunk = { .fd = -EBADF };

		r = splitfd_source_next(source, &chunk, err);
		if (r <= 0)
			break;
		splitfd_sha256_update(sha256, chunk.data, chunk.data_len);
		if (tar >= 0)
			r = sfd_write_all(tar, chunk.data, chunk.data_len);
		if (r < 0)
			break;
	}
	if (r >= 0)
		r = splitfd_sha256_final_text(sha256, diff_id, err);
	splitfd_sha256_free(sha256);
	splitfd_source_free(source);
	return r;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int import_layers(struct splitfd_import *import, char **dirs, char (*diff_ids)[72], int n,
	const struct options *options, struct splitfd_error *err)
{
	struct splitfd_sink **sinks = calloc((size_t)n, sizeof(*sinks));
	int r = 0;

	for (int i = 0; r == 0 && i < n; i++) {
		struct splitfd_source *source = tree_new(dirs[i], options);

		r = splitfd_import_layer(import, diff_ids[i], &sinks[i], err);
		if (r == 0)
			r = splitfd_pump(source, sinks[i], NULL, err);
		if (r == 0)
			sfd_import_layer_end(sinks[i]);
		splitfd_source_free(source);
	}
	for (int i = 0; r == 0 && i < n; i++)
		r = splitfd_sink_finish(sinks[i], err);
	for (int i = 0; i < n; i++)
		splitfd_sink_free(sinks[i]);
	free(sinks);
	return r == 0 && options->commit ? splitfd_import_commit(import, err) : r;
}

static int run(char **dirs, int n, const char *repo, const struct options *options,
	struct splitfd_error *err)
{
	char(*diff_ids)[72] = calloc((size_t)n, sizeof(*diff_ids));
	struct splitfd_repository *repository = NULL;
	struct splitfd_import *import = NULL;
	struct splitfd_import_stats stats = { 0 };
	double start;
	int r = 0;

	if (options->diff_id != NULL)
		snprintf(diff_ids[0], sizeof(diff_ids[0]), "%s", options->diff_id);
	for (int i = 0; r == 0 && i < n && options->diff_id == NULL; i++)
		r = make_diff_id(dirs[i], options, diff_ids[i], err);
	start = now();
	if (r == 0)
		r = splitfd_repository_open(repo, true, &repository, err);
	if (r == 0)
		r = splitfd_import_new(repository, &options->import, &import, err);
	if (r == 0)
		r = import_layers(import, dirs, diff_ids, n, options, err);
	if (import != NULL)
		splitfd_import_stats(import, &stats);
	splitfd_import_free(import);
	splitfd_repository_close(repository);
	for (int i = 0; i < n; i++)
		printf("%s\n", diff_ids[i]);
	printf("reflinked %llu %llu\ncopied %llu %llu\npresent %llu\ninline %llu\n",
		(unsigned long long)stats.objects_reflinked,
		(unsigned long long)stats.bytes_reflinked, (unsigned long long)stats.objects_copied,
		(unsigned long long)stats.bytes_copied,
		(unsigned long long)stats.objects_already_present,
		(unsigned long long)stats.bytes_inlined);
	fprintf(stderr, "seconds %.3f\n", now() - start);
	free(diff_ids);
	return r;
}

int main(int argc, char **argv)
{
	struct options options = { .commit = true };
	struct splitfd_error err = { 0 };
	int c, r;

	while ((c = getopt(argc, argv, "j:vr:it:nfcd:")) != -1) {
		switch (c) {
		case 'j':
			options.import.jobs = (unsigned int)atoi(optarg);
			break;
		case 'v':
			options.import.verify_diff_id = true;
			break;
		case 'r':
			options.import.reflink = optarg[1] == 'l'   ? SPLITFD_REFLINK_ALWAYS
						 : optarg[1] == 'e' ? SPLITFD_REFLINK_NEVER
								    : SPLITFD_REFLINK_AUTO;
			break;
		case 'i':
			options.inline_data = true;
			break;
		case 't':
			options.tar = optarg;
			break;
		case 'd':
			options.diff_id = optarg;
			break;
		case 'n':
			options.commit = false;
			break;
		case 'f':
			options.descriptors = true;
			break;
		case 'c':
			options.bad_crc = true;
			break;
		default:
			return 2;
		}
	}
	if (argc - optind < 2)
		return 2;
	r = run(argv + optind + 1, argc - optind - 1, argv[optind], &options, &err);
	if (r < 0)
		fprintf(stderr, "import-tool: %s\n", err.text);
	return r < 0 ? splitfd_error_exit_code(err.kind) : 0;
}
