/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/cmds/stream-wire.h"
#include "shim/common/report.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/base/text.h"
#include "splitfdstream/digest.h"
#include "splitfdstream/wire-formats.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct wire {
	const struct sfd_stream_request *q;
	const struct sfd_wire_format *format;
	uint64_t n_inline, n_references, inline_bytes;
	struct splitfd_sha256 *sha; /* of the inline bytes; NULL: not wanted */
	bool print, write;
	struct sfd_wire_header header;
	struct sfd_cursor cursor;
};

bool sfd_stream_is_wire(const struct sfd_stream_request *q)
{
	return q->format != NULL || strcmp(q->name, "-") == 0 || q->name[0] == '/' ||
	       strncmp(q->name, "./", 2) == 0 || strncmp(q->name, "../", 3) == 0;
}

static int format_by_name(struct wire *w, struct splitfd_error *err)
{
	w->format = sfd_wire_format_by_name(w->q->format);
	if (w->format != NULL)
		return 0;
	return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
		"--format is splitfdstream or splitdirfdstream here, not '%s'", w->q->format);
}

static int format_by_bytes(struct wire *w, struct splitfd_error *err)
{
	ssize_t got = sfd_cursor_peek(&w->cursor, SFD_WIRE_HEAD, err);
	const uint8_t *at;
	size_t n;

	if (got < 0)
		return (int)got;
	at = sfd_cursor_at(&w->cursor, &n);
	w->format = sfd_wire_format_by_bytes(at, n);
	if (w->format != NULL)
		return 0;
	if (n >= SFD_WIRE_HEAD && memcmp(at, "SplitStr", SFD_WIRE_HEAD) == 0)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"'%s' is a splitstream, which refers to a repository's objects: store it "
			"there (splitfd import-layer --format=splitstream) and name the layer",
			w->q->name);
	return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
		"'%s' does not look like a stream of either format; if it is one, say which by "
		"--format",
		w->q->name);
}

static struct wire *wire_free(struct wire *w)
{
	splitfd_sha256_free(w->sha);
	splitfd_input_free(w->cursor.input);
	free(w);
	return NULL;
}
SFD_DEFINE_CLEANUP(cleanup_wire, struct wire, wire_free);

static int open_file(const char *name, struct splitfd_error *err)
{
	int fd = strcmp(name, "-") == 0 ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
					: open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	return fd >= 0 ? fd
		       : splitfd_error_set(err,
				 errno == ENOENT ? SPLITFD_ERROR_NOT_FOUND : SPLITFD_ERROR_FAILED,
				 errno, "cannot open '%s': %s", name, strerror(errno));
}

static int wire_open(
	const struct sfd_stream_request *q, struct wire **ret, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_wire) struct wire *w = calloc(1, sizeof(*w));
	int fd, r;

	if (w == NULL)
		return splitfd_error_oom(err);
	w->q = q;
	w->cursor.format = q->name;
	fd = open_file(q->name, err);
	if (fd < 0)
		return fd;
	sfd_confine(q->repo.sandbox, &(struct sfd_needs){ .read_rules = true, .objects = -EBADF });
	r = splitfd_input_new(fd, NULL, 0, -1, &w->cursor.input, err);
	if (r >= 0)
		r = q->format != NULL ? format_by_name(w, err) : format_by_bytes(w, err);
	if (r < 0)
		return r;
	w->cursor.format = w->format->name;
	*ret = sfd_take_ptr(&w);
	return 0;
}

/* Anything but printable ASCII as \xNN, so that a name cannot draw on a terminal. */
static void print_name(const char *name, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)name[i];

		if (c < ' ' || c > '~' || c == '\\')
			printf("\\x%02x", c);
		else
			putchar(c);
	}
}

static const char *const kinds[] = { "inline", "content", "file" };

static void print_text(const struct wire *w)
{
	const struct sfd_wire_header *h = &w->header;

	printf("%12llu  %-7s  ", (unsigned long long)h->offset, kinds[h->kind]);
	if (h->size == UINT64_MAX)
		printf("%12s", "-");
	else
		printf("%12llu", (unsigned long long)h->size);
	if (h->kind == SFD_WIRE_REFERENCE)
		printf("  %s %u", h->name_len > 0 ? "directory" : "descriptor", h->index);
	if (h->kind == SFD_WIRE_REFERENCE && h->name_len > 0) {
		printf("  ");
		print_name(h->name, h->name_len);
	}
	putchar('\n');
}

static bool add_name(cJSON *row, const struct sfd_wire_header *h)
{
	char base64[(SPLITFD_NAME_MAX + 2) / 3 * 4 + 1];

	if (sfd_utf8_valid(h->name, h->name_len))
		return cJSON_AddStringToObject(row, "name", h->name) != NULL;
	(void)sfd_base64_encode((const uint8_t *)h->name, h->name_len, base64);
	return cJSON_AddStringToObject(row, "name_base64", base64) != NULL;
}

static bool fill_row(cJSON *row, const struct sfd_wire_header *h)
{
	return cJSON_AddNumberToObject(row, "offset", (double)h->offset) != NULL &&
	       cJSON_AddStringToObject(row, "kind", kinds[h->kind]) != NULL &&
	       (h->size == UINT64_MAX ||
		       cJSON_AddNumberToObject(row, "size", (double)h->size) != NULL) &&
	       (h->kind != SFD_WIRE_REFERENCE ||
		       cJSON_AddNumberToObject(row, h->name_len > 0 ? "directory" : "descriptor",
			       h->index) != NULL) &&
	       (h->kind != SFD_WIRE_REFERENCE || h->name_len == 0 || add_name(row, h));
}

/* A row at a time: a stream may have more chunks than memory has room for. */
static int print_row(struct wire *w, struct splitfd_error *err)
{
	cJSON *row;
	char *text = NULL;

	if (!w->q->json) {
		print_text(w);
		return 0;
	}
	row = cJSON_CreateObject();
	if (row != NULL && fill_row(row, &w->header))
		text = cJSON_PrintUnformatted(row);
	cJSON_Delete(row);
	if (text == NULL)
		return splitfd_error_oom(err);
	printf("%s\n  %s", w->n_inline + w->n_references > 1 ? "," : "", text);
	cJSON_free(text);
	return 0;
}

static int take_bytes(struct wire *w, struct splitfd_error *err)
{
	uint64_t left = w->header.size;
	struct splitfd_chunk piece;
	int r = 0;

	while (r >= 0 && left > 0) {
		r = sfd_cursor_inline(&w->cursor, &left, "a chunk's bytes", &piece, err);
		if (r < 0)
			return r;
		if (w->sha != NULL)
			splitfd_sha256_update(w->sha, piece.data, piece.data_len);
		r = w->write ? sfd_write_all(STDOUT_FILENO, piece.data, piece.data_len) : 0;
		if (r < 0)
			return splitfd_error_sys(err, -r, "cannot write to standard output");
	}
	w->inline_bytes += w->header.size;
	return r;
}

static int take_reference(struct wire *w, struct splitfd_error *err)
{
	const struct sfd_wire_header *h = &w->header;

	if (w->write)
		return sfd_cursor_refuse(&w->cursor, h->offset, err,
			"%s %u is referred to, which a file of the stream alone does not have; "
			"'splitfd stream dump' shows what is there",
			h->name_len > 0 ? "directory" : "descriptor", h->index);
	if (w->format->in_order && h->index != w->n_references - 1)
		return sfd_cursor_refuse(&w->cursor, h->offset, err,
			"descriptor %u is referred to where %llu has to come", h->index,
			(unsigned long long)(w->n_references - 1));
	return 0;
}

static int walk(struct wire *w, struct splitfd_error *err)
{
	int r;

	while ((r = w->format->header(&w->cursor, &w->header, err)) > 0) {
		bool reference = w->header.kind == SFD_WIRE_REFERENCE;

		if (reference)
			w->n_references++;
		else
			w->n_inline++;
		r = w->print ? print_row(w, err) : 0;
		if (r >= 0)
			r = reference ? take_reference(w, err) : take_bytes(w, err);
		if (r < 0)
			return r;
	}
	return r;
}

int sfd_wire_dump(const struct sfd_stream_request *q, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_wire) struct wire *w = NULL;
	int r = wire_open(q, &w, err);

	if (r < 0)
		return r;
	w->print = true;
	if (q->json)
		printf("{\"format\": \"%s\", \"chunks\": [", w->format->name);
	else
		printf("format        %s\n", w->format->name);
	r = walk(w, err);
	if (r >= 0 && q->json)
		printf("\n]}\n");
	return r;
}

int sfd_wire_cat(const struct sfd_stream_request *q, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_wire) struct wire *w = NULL;
	int r = wire_open(q, &w, err);

	if (r < 0)
		return r;
	w->write = true;
	return walk(w, err);
}

static int print_check(struct wire *w, struct splitfd_error *err)
{
	cJSON *root;
	char sha256[72];
	int r = splitfd_sha256_final_text(w->sha, sha256, err);

	if (r < 0)
		return r;
	if (!w->q->json) {
		printf("ok  %s  %llu bytes: %llu chunks with %llu bytes, %llu references\n",
			w->format->name, (unsigned long long)w->cursor.offset,
			(unsigned long long)w->n_inline, (unsigned long long)w->inline_bytes,
			(unsigned long long)w->n_references);
		if (w->n_references == 0)
			printf("    %s\n", sha256);
		return 0;
	}
	root = cJSON_CreateObject();
	if (cJSON_AddBoolToObject(root, "ok", true) == NULL ||
		cJSON_AddStringToObject(root, "format", w->format->name) == NULL ||
		cJSON_AddNumberToObject(root, "size", (double)w->cursor.offset) == NULL ||
		cJSON_AddNumberToObject(root, "inline_chunks", (double)w->n_inline) == NULL ||
		cJSON_AddNumberToObject(root, "inline_bytes", (double)w->inline_bytes) == NULL ||
		cJSON_AddNumberToObject(root, "references", (double)w->n_references) == NULL ||
		(w->n_references == 0 && cJSON_AddStringToObject(root, "sha256", sha256) == NULL)) {
		cJSON_Delete(root);
		root = NULL;
	}
	return sfd_print_json(root, err);
}

int sfd_wire_check(const struct sfd_stream_request *q, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_wire) struct wire *w = NULL;
	int r = wire_open(q, &w, err);

	if (r < 0)
		return r;
	w->sha = splitfd_sha256_new();
	if (w->sha == NULL)
		return splitfd_error_oom(err);
	r = walk(w, err);
	return r < 0 ? r : print_check(w, err);
}
