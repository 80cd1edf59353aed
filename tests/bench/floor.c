/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor of an import: read, hash, clone, link by a bare program with threads, over the regular
 * files of a directory that are larger than 64 bytes. No tar, no order, no checks, no splitstream.
 *
 *	floor DIR OBJECTS [THREADS] [tmpfile|create|rename|none]
 *
 * OBJECTS is made. The fourth word says how an object gets its place: O_TMPFILE and linkat (as the
 * import does it), created under its last name, created and renamed, or not at all (read and hash).
 */

#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/base/text.h"
#include "transport/composefs/object-store.h"
#include "transport/composefs/verity.h"

#include <fcntl.h>
#include <fts.h>
#include <linux/fs.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum place { PLACE_TMPFILE, PLACE_CREATE, PLACE_RENAME, PLACE_NONE };

struct file {
	char *path;
	uint64_t size;
};

struct floor {
	struct file *files;
	size_t n, next;
	int objects;
	enum place place;
	/* the large file that all threads are at */
	int fd;
	uint64_t size;
	size_t next_piece;
	uint8_t (*hashes)[2 * SPLITFD_DIGEST_MAX];
	int *counts;
	bool failed;
	enum sfd_hasher_kind kind;
};

struct tools {
	struct sfd_hasher *hasher;
	struct sfd_verity_scratch scratch;
	struct sfd_verity_tree tree;
	uint8_t buffer[SFD_VERITY_FILES_MAX * SFD_VERITY_SMALL_MAX];
};

static int place_object(struct floor *f, int from, const struct splitfd_digest *digest)
{
	char path[SFD_OBJECT_PATH_SIZE], dir[3], temp[64];
	int fd, r = 0;

	sfd_object_path(digest, path);
	memcpy(dir, path, 2);
	dir[2] = '\0';
	snprintf(temp, sizeof(temp), ".tmp-%d", from);
	if (f->place == PLACE_NONE)
		return 0;
	if (f->place == PLACE_TMPFILE)
		fd = openat(f->objects, dir, O_WRONLY | O_TMPFILE | O_CLOEXEC, 0644);
	else
		fd = openat(f->objects, f->place == PLACE_CREATE ? path : temp,
			O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return errno == EEXIST ? 0 : -errno;
	if (ioctl(fd, FICLONE, from) < 0)
		r = -errno;
	if (r == 0 && f->place == PLACE_TMPFILE)
		r = linkat(fd, "", f->objects, path, AT_EMPTY_PATH);
	if (r == 0 && f->place == PLACE_RENAME)
		r = renameat(f->objects, temp, f->objects, path);
	close(fd);
	return r < 0 && errno != EEXIST ? -1 : 0;
}

static int small_batch(struct floor *f, struct tools *t, size_t first, size_t n)
{
	struct sfd_verity_file files[SFD_VERITY_FILES_MAX];
	int fds[SFD_VERITY_FILES_MAX], r = 0;
	size_t at = 0;

	for (size_t i = 0; i < n; i++) {
		const struct file *file = &f->files[first + i];

		fds[i] = open(file->path, O_RDONLY | O_CLOEXEC);
		if (fds[i] < 0 || sfd_pread_full(fds[i], t->buffer + at, file->size, 0) < 0)
			return -1;
		files[i] = (struct sfd_verity_file){ .data = t->buffer + at, .size = file->size };
		at += file->size;
	}
	r = sfd_verity_files(t->hasher, &t->scratch, files, n);
	for (size_t i = 0; i < n; i++) {
		if (r == 0)
			r = place_object(f, fds[i], &files[i].digest);
		close(fds[i]);
	}
	return r;
}

static void *run_small(void *arg)
{
	struct floor *f = arg;
	struct tools *t = malloc(sizeof(*t));

	t->hasher = sfd_hasher_new(SPLITFD_SHA512, f->kind);
	for (;;) {
		size_t first = __atomic_fetch_add(&f->next, SFD_VERITY_FILES_MAX, __ATOMIC_RELAXED);
		size_t n = first < f->n ? f->n - first : 0;

		if (n == 0)
			break;
		if (small_batch(f, t, first, n < SFD_VERITY_FILES_MAX ? n : SFD_VERITY_FILES_MAX) <
			0)
			f->failed = true;
	}
	sfd_hasher_free(t->hasher);
	free(t);
	return NULL;
}

static void *run_pieces(void *arg)
{
	struct floor *f = arg;
	struct tools *t = malloc(sizeof(*t));

	t->hasher = sfd_hasher_new(SPLITFD_SHA512, f->kind);
	for (;;) {
		size_t i = __atomic_fetch_add(&f->next_piece, 1, __ATOMIC_RELAXED);
		uint64_t at = (uint64_t)i * SFD_VERITY_PIECE;
		size_t n;

		if (at >= f->size)
			break;
		n = f->size - at < SFD_VERITY_PIECE ? (size_t)(f->size - at) : SFD_VERITY_PIECE;
		if (sfd_pread_full(f->fd, t->buffer, n, at) < 0)
			f->failed = true;
		f->counts[i] = sfd_verity_piece(t->hasher, &t->scratch, t->buffer, n, f->hashes[i]);
	}
	sfd_hasher_free(t->hasher);
	free(t);
	return NULL;
}

static void run_threads(struct floor *f, void *(*run)(void *), int n)
{
	pthread_t threads[64];

	for (int i = 0; i < n; i++)
		pthread_create(&threads[i], NULL, run, f);
	for (int i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
}

static void large_file(struct floor *f, const struct file *file, int threads)
{
	size_t n = (size_t)(file->size / SFD_VERITY_PIECE) + 1;
	struct tools *t = malloc(sizeof(*t));
	struct splitfd_digest digest;

	f->fd = open(file->path, O_RDONLY | O_CLOEXEC);
	f->size = file->size;
	f->next_piece = 0;
	f->hashes = calloc(n, sizeof(*f->hashes));
	f->counts = calloc(n, sizeof(*f->counts));
	run_threads(f, run_pieces, threads);
	t->hasher = sfd_hasher_new(SPLITFD_SHA512, f->kind);
	sfd_verity_tree_begin(&t->tree);
	for (size_t i = 0; i < n; i++) {
		for (int k = 0; k < f->counts[i]; k++)
			sfd_verity_tree_add(&t->tree, t->hasher, f->hashes[i] + k * 64);
	}
	sfd_verity_tree_final(&t->tree, t->hasher, file->size, &digest);
	if (place_object(f, f->fd, &digest) < 0)
		f->failed = true;
	sfd_hasher_free(t->hasher);
	free(t);
	free(f->hashes);
	free(f->counts);
	close(f->fd);
}

/* Small files into f; returns the large ones. */
static struct file *list_files(struct floor *f, const char *dir, size_t *ret_n)
{
	char *paths[2] = { (char *)(uintptr_t)dir, NULL };
	FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	struct file *large = NULL;
	size_t n = 0;
	FTSENT *e;

	while ((e = fts_read(fts)) != NULL) {
		uint64_t size = e->fts_info == FTS_F ? (uint64_t)e->fts_statp->st_size : 0;
		struct file file = { .size = size };

		if (size <= 64)
			continue;
		file.path = strdup(e->fts_path);
		if (size > SFD_VERITY_SMALL_MAX) {
			large = realloc(large, (n + 1) * sizeof(*large));
			large[n++] = file;
			continue;
		}
		if ((f->n & (f->n - 1)) == 0)
			f->files =
				realloc(f->files, (f->n == 0 ? 1 : 2 * f->n) * sizeof(*f->files));
		f->files[f->n++] = file;
	}
	fts_close(fts);
	*ret_n = n;
	return large;
}

static void make_directories(struct floor *f, const char *objects)
{
	char name[3];

	mkdir(objects, 0700);
	f->objects = open(objects, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < 256; i++) {
		snprintf(name, sizeof(name), "%02x", i);
		mkdirat(f->objects, name, 0755);
	}
}

int main(int argc, char **argv)
{
	static const char *const places[] = { "tmpfile", "create", "rename", "none" };
	struct floor f = { .fd = -EBADF };
	struct timespec a, b;
	int threads = argc > 3 ? atoi(argv[3]) : 2;
	struct file *large;
	size_t n_large;

	if (argc < 3 || threads < 1 || threads > 64)
		return 2;
	for (int i = 0; argc > 4 && i < 4; i++) {
		if (strcmp(argv[4], places[i]) == 0)
			f.place = (enum place)i;
	}
	large = list_files(&f, argv[1], &n_large);
	make_directories(&f, argv[2]);
	f.kind = sfd_hasher_choose(SPLITFD_SHA512);
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (size_t i = 0; i < n_large; i++)
		large_file(&f, &large[i], threads);
	run_threads(&f, run_small, threads);
	clock_gettime(CLOCK_MONOTONIC, &b);
	printf("%zu small, %zu large, %d threads, %s: %.3f s\n", f.n, n_large, threads,
		places[f.place],
		(double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9);
	return f.failed;
}
