/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extracts a layer below a directory, by the library: files are cloned (FICLONE), not copied, where
 * the file system can.
 *
 *	cc splitfd-extract.c -o splitfd-extract $(pkg-config --cflags --libs splitfd)
 *	splitfd get-layer --fds=N IMAGE LAYER | splitfd-extract M DIFFID DIRECTORY
 *
 * (N and M are the two ends of a socket pair.) The stream is checked against DIFFID; what was
 * extracted before a difference showed is then of no use. Directories, files, symlinks and hard
 * links with their modes are made; owners, times, xattrs and devices are left out.
 */
#define _GNU_SOURCE

#include <splitfdstream/chunk.h>
#include <splitfdstream/splitfdstream-reader.h>
#include <splitfdstream/verify-sink.h>
#include <transport/rpc/fdpass.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BLOCK 512

/* A sink that makes what the tar's headers say. */
struct extract {
	struct splitfd_sink base;
	int root;
	char block[BLOCK];
	size_t n_block;
	unsigned long long content, padding; /* to come */
	int fd;				     /* the file that content goes to, or -1 */
	char ext_type;			     /* 'x', 'L', 'K': content is a longer name */
	char *ext;
	size_t n_ext;
	char path[4097], link[4097]; /* by such headers; "" where there was none */
	unsigned long long cloned, copied;
};

static int fail(struct splitfd_error *err, const char *what)
{
	return splitfd_error_sys(err, errno, "%s", what);
}

/* Opens below the root, whatever symlinks the layer has made there. */
static int open_in_root(struct extract *x, const char *path, int flags, mode_t mode)
{
	struct open_how how = { .flags = (unsigned int)flags | O_CLOEXEC,
		.mode = mode,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };

	return (int)syscall(SYS_openat2, x->root, *path ? path : ".", &how, sizeof(how));
}

/* The directory of a path, and its last component. */
static int open_parent(struct extract *x, char *path, const char **ret_name)
{
	char *slash;
	size_t n = strlen(path);
	int fd;

	while (n > 0 && path[n - 1] == '/')
		path[--n] = '\0';
	slash = strrchr(path, '/');
	*ret_name = slash != NULL ? slash + 1 : path;
	if (slash == NULL)
		return open_in_root(x, ".", O_PATH | O_DIRECTORY, 0);
	*slash = '\0';
	fd = open_in_root(x, path, O_PATH | O_DIRECTORY, 0);
	*slash = '/';
	return fd;
}

static int make_link(struct extract *x, int dir, const char *name, char *target)
{
	const char *last;
	int from = open_parent(x, target, &last), r;

	if (from < 0)
		return -1;
	r = linkat(from, last, dir, name, 0);
	close(from);
	return r;
}

static int make(struct extract *x, char type, char *path, char *link, mode_t mode)
{
	const char *name;
	int dir = open_parent(x, path, &name), r = 0;

	if (dir < 0)
		return -1;
	if (*name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		type = 0;
	else if (type != '5')
		(void)unlinkat(dir, name, 0);
	if (type == '5')
		r = mkdirat(dir, name, mode) < 0 && errno != EEXIST ? -1
								    : fchmodat(dir, name, mode, 0);
	else if (type == '2')
		r = symlinkat(link, dir, name);
	else if (type == '1')
		r = make_link(x, dir, name, link);
	else if (type == '0' || type == '\0' || type == '7')
		r = x->fd = openat(
			dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	close(dir);
	return r < 0 ? -1 : 0;
}

static unsigned long long number(const char *field, size_t n)
{
	unsigned long long value = 0;

	if ((field[0] & 0x80) != 0) {
		for (size_t i = 0; i < n; i++)
			value = value << 8 | (unsigned char)(i ? field[i] : field[i] & 0x7f);
		return value;
	}
	for (size_t i = 0; i < n && field[i] != '\0'; i++)
		if (field[i] >= '0' && field[i] <= '7')
			value = value << 3 | (unsigned long long)(field[i] - '0');
	return value;
}

/* A pax record "LENGTH KEY=VALUE\n"; returns its length, 0 at the end. */
static size_t pax_record(struct extract *x, char *at, size_t left)
{
	char *end, *key, *equal;
	size_t n = strtoul(at, &end, 10), len;

	if (n == 0 || n > left || *end != ' ')
		return 0;
	key = end + 1;
	equal = memchr(key, '=', (size_t)(at + n - key));
	if (equal == NULL)
		return 0;
	len = (size_t)(at + n - 1 - (equal + 1));
	if (len < sizeof(x->path) && memcmp(key, "path=", 5) == 0)
		snprintf(x->path, sizeof(x->path), "%.*s", (int)len, equal + 1);
	if (len < sizeof(x->link) && memcmp(key, "linkpath=", 9) == 0)
		snprintf(x->link, sizeof(x->link), "%.*s", (int)len, equal + 1);
	if (memcmp(key, "size=", 5) == 0)
		x->content = strtoull(equal + 1, NULL, 10);
	return n;
}

/* A header is complete. */
static int take_header(struct extract *x, struct splitfd_error *err)
{
	char path[4200], link[4097], pax_size = x->content > 0;
	char type = x->block[156];
	int r;

	x->n_block = 0;
	if (x->block[0] == '\0' && type == '\0')
		return 0;
	if (!pax_size || strchr("xgLK", type) != NULL)
		x->content = number(x->block + 124, 12);
	x->padding = (BLOCK - x->content % BLOCK) % BLOCK;
	if (type != '\0' && strchr("xgLK", type) != NULL) {
		if (x->content > 1024 * 1024)
			return splitfd_error_set(
				err, SPLITFD_ERROR_REFUSED, EFBIG, "a header of more than 1 MiB");
		x->ext_type = type;
		x->n_ext = 0;
		x->ext = calloc(1, (size_t)x->content + 1);
		return x->ext != NULL ? 0 : splitfd_error_oom(err);
	}
	snprintf(path, sizeof(path), "%.155s%s%.100s", x->block[345] ? x->block + 345 : "",
		memcmp(x->block + 257, "ustar", 6) == 0 && x->block[345] ? "/" : "", x->block);
	if (memcmp(x->block + 257, "ustar", 6) != 0)
		snprintf(path, sizeof(path), "%.100s", x->block);
	snprintf(link, sizeof(link), "%.100s", x->block + 157);
	r = make(x, type, *x->path ? x->path : path, *x->link ? x->link : link,
		(mode_t)number(x->block + 100, 8) & 07777);
	if (r < 0)
		r = fail(err, *x->path ? x->path : path);
	x->path[0] = x->link[0] = '\0';
	return r;
}

static void end_content(struct extract *x)
{
	if (x->fd >= 0)
		close(x->fd);
	x->fd = -1;
	if (x->ext == NULL)
		return;
	if (x->ext_type == 'L')
		snprintf(x->path, sizeof(x->path), "%s", x->ext);
	if (x->ext_type == 'K')
		snprintf(x->link, sizeof(x->link), "%s", x->ext);
	if (x->ext_type == 'x')
		for (size_t at = 0, n; (n = pax_record(x, x->ext + at, x->n_ext - at)) > 0; at += n)
			;
	free(x->ext);
	x->ext = NULL;
}

static int take_content(struct extract *x, const uint8_t *data, size_t n, struct splitfd_error *err)
{
	if (x->ext != NULL) {
		memcpy(x->ext + x->n_ext, data, n);
		x->n_ext += n;
	} else if (x->fd >= 0 && write(x->fd, data, n) != (ssize_t)n) {
		return fail(err, "cannot write a file");
	}
	x->content -= n;
	return 0;
}

static int take_bytes(
	struct extract *x, const uint8_t *data, size_t left, struct splitfd_error *err)
{
	int r = 0;

	while (r >= 0 && left > 0) {
		size_t n;

		if (x->content > 0) {
			n = left < x->content ? left : (size_t)x->content;
			r = take_content(x, data, n, err);
			if (r >= 0 && x->content == 0)
				end_content(x);
		} else if (x->padding > 0) {
			n = left < x->padding ? left : (size_t)x->padding;
			x->padding -= n;
		} else {
			n = left < BLOCK - x->n_block ? left : BLOCK - x->n_block;
			memcpy(x->block + x->n_block, data, n);
			x->n_block += n;
			if (x->n_block == BLOCK)
				r = take_header(x, err);
			if (r >= 0 && x->n_block == 0 && x->content == 0)
				end_content(x);
		}
		data += n;
		left -= n;
	}
	return r;
}

static int copy_file(int from, int to, uint64_t size)
{
	uint64_t done = 0;

	while (done < size) {
		loff_t at = (loff_t)done;
		ssize_t n = copy_file_range(from, &at, to, NULL, size - done, 0);

		if (n <= 0)
			return -1;
		done += (uint64_t)n;
	}
	return 0;
}

static int take_file(struct extract *x, struct splitfd_chunk *chunk, struct splitfd_error *err)
{
	int fd, r = splitfd_chunk_open(chunk, &fd, NULL, err);

	if (r < 0)
		return r;
	if (chunk->size != x->content || x->fd < 0)
		r = splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"a file stands where the tar has none of its size");
	else if (ioctl(x->fd, FICLONE, fd) == 0)
		x->cloned++;
	else if (copy_file(fd, x->fd, chunk->size) == 0)
		x->copied++;
	else
		r = fail(err, "cannot copy a file");
	close(fd);
	x->content = 0;
	end_content(x);
	return r;
}

static int extract_put(
	struct splitfd_sink *sink, struct splitfd_chunk *chunk, struct splitfd_error *err)
{
	struct extract *x = (struct extract *)sink;

	return chunk->kind == SPLITFD_CHUNK_INLINE
		       ? take_bytes(x, chunk->data, chunk->data_len, err)
		       : take_file(x, chunk, err);
}

static int extract_finish(struct splitfd_sink *sink, struct splitfd_error *err)
{
	(void)sink;
	(void)err;
	return 0;
}

static void extract_free(struct splitfd_sink *sink)
{
	struct extract *x = (struct extract *)sink;

	if (x->fd >= 0)
		close(x->fd);
	close(x->root);
	free(x->ext);
}

static int run(char **argv, struct extract *x, struct splitfd_error *err)
{
	struct splitfd_verify_options options = { .diff_id = argv[2], .size = UINT64_MAX };
	struct splitfd_input *input;
	struct splitfd_source *source;
	struct splitfd_sink *sink;
	int r = splitfd_input_channel_new(
		dup(STDIN_FILENO), dup(atoi(argv[1])), 300 * 1000, &input, err);

	if (r >= 0)
		r = splitfd_splitfdstream_reader_new(input, &source, err);
	if (r < 0)
		return r;
	r = splitfd_verify_sink_new(&x->base, &options, &sink, err);
	if (r >= 0) {
		r = splitfd_pump(source, sink, NULL, err);
		if (r >= 0)
			r = splitfd_sink_finish(sink, err);
		splitfd_sink_free(sink);
	}
	splitfd_source_free(source);
	return r;
}

int main(int argc, char **argv)
{
	static const struct splitfd_sink_ops ops = { extract_put, extract_finish, extract_free };
	struct extract x = { .base = { &ops }, .fd = -1 };
	struct splitfd_error err = { 0 };

	if (argc != 4) {
		fprintf(stderr, "usage: splitfd-extract SOCKET DIFFID DIRECTORY\n");
		return 2;
	}
	umask(0);
	x.root = open(argv[3], O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (x.root < 0) {
		perror(argv[3]);
		return 1;
	}
	if (run(argv, &x, &err) < 0) {
		fprintf(stderr, "splitfd-extract: %s\n", err.text);
		return splitfd_error_exit_code(err.kind);
	}
	printf("%llu files cloned, %llu copied\n", x.cloned, x.copied);
	return 0;
}
