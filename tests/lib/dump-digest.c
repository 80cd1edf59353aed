/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads dumpfiles (composefs-dump(5)) into trees. For each FILE one line: the digest of its EROFS
 * image.
 *   dump-digest [-a sha256|sha512] [-f FORMAT] [-o IMAGE] [-d] FILE...
 *   -o writes the image of the last FILE, -d prints the tree again instead of the digest.
 */
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/base/text.h"
#include "transport/composefs/tree/dumpfile.h"
#include "transport/composefs/erofs/erofs-writer.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define FIELDS_MAX 4096

struct options {
	enum splitfd_algorithm algorithm;
	int format;
	const char *image;
	bool dump;
};

static void die(const char *file, const char *text)
{
	fprintf(stderr, "dump-digest: %s: %s\n", file, text);
	exit(1);
}

/* Undoes the escapes in place; returns the length. "-" is nothing where `sentinel`. */
static size_t unescape(char *text, bool sentinel)
{
	char *to = text;

	if (sentinel && strcmp(text, "-") == 0)
		return 0;
	for (char *from = text; *from != '\0'; from++) {
		if (*from != '\\') {
			*to++ = *from;
			continue;
		}
		from++;
		if (*from == 'x') {
			sfd_hex_decode(from + 1, 1, (uint8_t *)to++);
			from += 2;
		} else {
			*to++ = *from == 'n'   ? '\n'
				: *from == 'r' ? '\r'
				: *from == 't' ? '\t'
					       : *from;
		}
	}
	return (size_t)(to - text);
}

static enum sfd_tree_type type_of(unsigned long mode)
{
	switch (mode & 0170000) {
	case 0040000:
		return SFD_TREE_DIRECTORY;
	case 0120000:
		return SFD_TREE_SYMLINK;
	case 0020000:
		return SFD_TREE_CHARACTER;
	case 0060000:
		return SFD_TREE_BLOCK;
	case 0010000:
		return SFD_TREE_FIFO;
	case 0140000:
		return SFD_TREE_SOCKET;
	default:
		return SFD_TREE_FILE;
	}
}

static void parse_numbers(char **field, struct sfd_tree_item *item)
{
	char *dot = strchr(field[7], '.');

	item->size = strtoull(field[1], NULL, 10);
	item->mode = (uint32_t)strtoul(field[2], NULL, 8) & 07777;
	item->type = type_of(strtoul(field[2], NULL, 8));
	item->uid = (uint32_t)strtoul(field[4], NULL, 10);
	item->gid = (uint32_t)strtoul(field[5], NULL, 10);
	item->rdev = strtoull(field[6], NULL, 10);
	item->mtime = strtoll(field[7], NULL, 10);
	item->mtime_nsec = dot != NULL ? (uint32_t)strtoul(dot + 1, NULL, 10) : 0;
}

static void parse_content(
	const char *file, char **field, struct sfd_tree_item *item, uint8_t *digest)
{
	item->target_len = unescape(field[8], true);
	item->target = field[8];
	if (item->type != SFD_TREE_FILE)
		return;
	if (item->target_len == 0) {
		item->size = unescape(field[9], true);
		item->data = (const uint8_t *)field[9];
		return;
	}
	if (!sfd_hex_decode(field[10], strlen(field[10]) / 2, digest))
		die(file, "a file without digest");
	item->digest = digest;
}

static void parse_line(
	const char *file, char *line, struct sfd_tree *tree, struct sfd_tree_xattr *xattrs)
{
	char *field[FIELDS_MAX], *rest = line;
	uint8_t digest[SPLITFD_DIGEST_MAX];
	struct sfd_tree_item item = { .xattrs = xattrs };
	struct splitfd_error err = { 0 };
	size_t n = 0;

	while (rest != NULL && n < FIELDS_MAX)
		field[n++] = strsep(&rest, " ");
	if (n < 11)
		die(file, "a line with too few fields");
	item.path_len = unescape(field[0], false);
	item.path = field[0];
	if (field[2][0] == '@') {
		item.type = SFD_TREE_HARDLINK;
		item.target_len = unescape(field[8], false);
		item.target = field[8];
	} else {
		parse_numbers(field, &item);
		parse_content(file, field, &item, digest);
		for (size_t i = 11; i < n; i++) {
			struct sfd_tree_xattr *x = &xattrs[item.n_xattrs++];
			char *value = strchr(field[i], '=');

			if (value == NULL)
				die(file, "an xattr without '='");
			*value++ = '\0';
			x->name_len = (uint16_t)unescape(field[i], false);
			x->name = field[i];
			x->value_len = (uint16_t)unescape(value, false);
			x->value = (const uint8_t *)value;
		}
	}
	if (sfd_tree_put(tree, &item, &err) < 0)
		die(file, err.text);
}

static struct sfd_tree *read_tree(const char *file, const struct options *o)
{
	struct splitfd_error err = { 0 };
	struct sfd_tree_xattr *xattrs = calloc(FIELDS_MAX, sizeof(*xattrs));
	struct sfd_tree *tree = NULL;
	char *text = NULL, *rest, *line;
	sfd_cleanup_fd int fd = open(file, O_RDONLY | O_CLOEXEC);
	size_t size;

	if (fd < 0 || sfd_read_file_fd(fd, (size_t)1 << 31, &text, &size) < 0)
		die(file, "cannot be read");
	if (xattrs == NULL || sfd_tree_new(o->algorithm, &tree, &err) < 0)
		die(file, err.text);
	rest = text;
	while ((line = strsep(&rest, "\n")) != NULL)
		if (*line != '\0')
			parse_line(file, line, tree, xattrs);
	if (sfd_tree_freeze(tree, &err) < 0)
		die(file, err.text);
	free(text);
	free(xattrs);
	return tree;
}

static int to_fd(void *ctx, const uint8_t *data, size_t len, struct splitfd_error *err)
{
	int r = sfd_write_all(*(const int *)ctx, data, len);

	return r < 0 ? splitfd_error_sys(err, -r, "cannot write") : 0;
}

static void write_image(const struct sfd_tree *tree, const struct options *o)
{
	struct splitfd_error err = { 0 };
	sfd_cleanup_fd int fd = open(o->image, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || sfd_erofs_write(tree, o->format, NULL, to_fd, &fd, &err) < 0)
		die(o->image, err.text);
}

static void print_file(const char *file, const struct options *o)
{
	struct sfd_tree *tree = read_tree(file, o);
	struct splitfd_error err = { 0 };
	struct splitfd_digest digest;
	char hex[2 * SPLITFD_DIGEST_MAX + 1];

	if (o->dump) {
		if (sfd_dump_write(tree, stdout, &err) < 0)
			die(file, err.text);
	} else {
		if (sfd_erofs_digest(tree, o->format, &digest, &err) < 0)
			die(file, err.text);
		splitfd_digest_hex(&digest, hex);
		printf("%s\n", hex);
	}
	if (o->image != NULL)
		write_image(tree, o);
	sfd_tree_free(tree);
}

int main(int argc, char **argv)
{
	struct options o = { .algorithm = SPLITFD_SHA256, .format = 1 };
	int c;

	while ((c = getopt(argc, argv, "a:f:o:d")) != -1) {
		if (c == 'a')
			o.algorithm = strcmp(optarg, "sha512") == 0 ? SPLITFD_SHA512
								    : SPLITFD_SHA256;
		else if (c == 'f')
			o.format = atoi(optarg);
		else if (c == 'o')
			o.image = optarg;
		else if (c == 'd')
			o.dump = true;
		else
			return 2;
	}
	for (int i = optind; i < argc; i++)
		print_file(argv[i], &o);
	return 0;
}
