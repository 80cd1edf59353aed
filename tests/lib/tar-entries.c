/* SPDX-License-Identifier: Apache-2.0 */
/* Reads tars from standard input, each with its length in front (8 bytes, big-endian), and prints
 * what the parser reads: a line for each entry (tar-against-go prints the same of Go's
 * archive/tar), then "end RULES" or "refused RULES WHY" and "difference TEXT". Content is told by
 * its CRC-64. */
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/digest.h"
#include "transport/tar/tar-parser.h"
#include "transport/tar/tar-sparse.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Files that are larger are shown without their content. */
#define EXPANDED_MAX ((uint64_t)1 << 20)

struct state {
	const uint8_t *content; /* of the object that comes next */
	const uint8_t *at, *end;
	uint64_t crc, size;
};

static int take(void *ctx, void *buffer, size_t n, struct splitfd_error *err)
{
	struct state *s = ctx;

	if (n > (size_t)(s->end - s->at))
		return splitfd_error_set(
			err, SPLITFD_ERROR_REFUSED, EINVAL, "the content is too short");
	memcpy(buffer, s->at, n);
	s->at += n;
	return 0;
}

static int give(void *ctx, const void *data, uint64_t n, struct splitfd_error *err)
{
	static const uint8_t zeros[4096];
	struct state *s = ctx;

	(void)err;
	s->size += n;
	while (n > 0) {
		size_t piece = n < sizeof(zeros) || data != NULL ? (size_t)n : sizeof(zeros);

		s->crc = splitfd_crc64(s->crc, data != NULL ? data : zeros, piece);
		n -= piece;
	}
	return 0;
}

static void print_text(const char *text, size_t len)
{
	putchar('"');
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c <= ' ' || c >= 0x7f || c == '"' || c == '\\')
			printf("\\x%02x", c);
		else
			putchar(c);
	}
	putchar('"');
}

static int entry(void *ctx, const struct sfd_tar_entry *e, struct splitfd_error *err)
{
	struct state *s = ctx;
	bool file = e->type == '0' || e->type == '7' || e->type == 'S';
	struct sfd_tar_expansion x = { take, give, s };
	int r = 0;

	s->crc = s->size = 0;
	if (file && e->size <= EXPANDED_MAX) {
		s->at = e->external ? s->content : e->data;
		s->end = s->at + e->content;
		r = sfd_tar_sparse_expand(e, &x, err);
	}
	if (r < 0)
		return r;
	printf("%c ", e->type);
	print_text(e->path, e->path_len);
	putchar(' ');
	print_text(e->link, e->type == '1' || e->type == '2' ? e->link_len : 0);
	printf(" %o %u %u %" PRId64 ".%09u", e->mode & 07777, (uint32_t)e->uid, (uint32_t)e->gid,
		e->mtime, e->mtime_nsec);
	if (e->type == '3' || e->type == '4')
		printf(" %u,%u", e->dev_major, e->dev_minor);
	if (file)
		printf(" %" PRIu64 " %016" PRIx64, e->size, s->crc);
	for (size_t i = 0; i < e->n_xattrs; i++) {
		putchar(' ');
		print_text(e->xattrs[i].name, e->xattrs[i].name_len);
		putchar('=');
		print_text((const char *)e->xattrs[i].value, e->xattrs[i].value_len);
	}
	putchar('\n');
	return 0;
}

static int feed(struct sfd_tar_parser *p, struct state *s, const uint8_t *tar, size_t len,
	struct splitfd_error *err)
{
	while (len > 0) {
		uint64_t object = 0;
		size_t taken = 0;
		int r = sfd_tar_parser_feed_to_object(p, tar, len, &taken, &object, err);

		if (r < 0)
			return r;
		tar += taken;
		len -= taken;
		if (object == 0)
			continue;
		if (object > len)
			return splitfd_error_set(
				err, SPLITFD_ERROR_REFUSED, EINVAL, "ends inside a content");
		s->content = tar;
		r = sfd_tar_parser_object(p, object, err);
		if (r < 0)
			return r;
		tar += object;
		len -= object;
	}
	return sfd_tar_parser_finish(p, err);
}

static void read_tar(const uint8_t *tar, size_t len, bool as_cfsctl)
{
	static const char *const rules[] = { "both", "podman", "cfsctl" };
	struct state s = { 0 };
	struct splitfd_error err = { 0 };
	struct sfd_tar_parser *p = sfd_tar_parser_new(entry, &s);
	int r;

	if (p == NULL)
		abort();
	if (as_cfsctl)
		sfd_tar_parser_as_cfsctl(p);
	r = feed(p, &s, tar, len, &err);
	if (sfd_tar_parser_difference(p) != NULL) {
		fputs("difference ", stdout);
		print_text(sfd_tar_parser_difference(p), strlen(sfd_tar_parser_difference(p)));
		putchar('\n');
	}
	if (r < 0)
		printf("refused %s %s\n", rules[sfd_tar_parser_rules(p)], err.text);
	else
		printf("end %s\n", rules[sfd_tar_parser_rules(p)]);
	sfd_tar_parser_free(p);
}

int main(int argc, char **argv)
{
	bool as_cfsctl = argc > 1 && strcmp(argv[1], "cfsctl") == 0;
	uint8_t prefix[8];

	while (fread(prefix, sizeof(prefix), 1, stdin) == 1) {
		sfd_cleanup_free uint8_t *tar = NULL;
		uint64_t len = 0;

		for (int i = 0; i < 8; i++)
			len = len << 8 | prefix[i];
		tar = malloc(len + 1);
		if (tar == NULL || (len > 0 && fread(tar, len, 1, stdin) != 1))
			return 1;
		read_tar(tar, len, as_cfsctl);
		fflush(stdout);
	}
	return 0;
}
