/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/cmds/stream-cmd.h"
#include "shim/common/report.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/base/text.h"
#include "transport/composefs/algorithm.h"
#include "transport/composefs/images/names.h"
#include "transport/composefs/repository-cleanup.h"
#include "transport/composefs/stream/splitstream-bytes.h"
#include "transport/composefs/stream/splitstream.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define LAYER_PREFIX "oci-layer-"

/* What a request is about. */
struct subject {
	struct splitfd_repository *repository; /* borrowed */
	struct splitfd_digest digest;
	char diff_id[72]; /* where the name says so; else "" */
};

static int find(struct subject *s, const char *name, struct splitfd_error *err)
{
	sfd_cleanup_free char *path = NULL;
	bool layer = sfd_parse_sha256(name, NULL);
	int r;

	if (sfd_digest_parse(splitfd_repository_algorithm(s->repository), name, &s->digest))
		return 0;
	path = sfd_asprintf("streams/%s%s", layer ? LAYER_PREFIX : "", name);
	if (path == NULL)
		return splitfd_error_oom(err);
	if (strncmp(name, LAYER_PREFIX, strlen(LAYER_PREFIX)) == 0)
		layer = sfd_parse_sha256(name += strlen(LAYER_PREFIX), NULL);
	if (layer)
		snprintf(s->diff_id, sizeof(s->diff_id), "%s", name);
	r = strncmp(name, "refs/", 5) == 0 ? sfd_ref_read(s->repository, path, &s->digest, err)
					   : sfd_name_read(s->repository, path, &s->digest, err);
	if (r == 0)
		return splitfd_error_set(err, SPLITFD_ERROR_NOT_FOUND, ENOENT,
			"no stream '%s' in the repository; 'splitfd layers' lists those of layers",
			name);
	return r < 0 ? r : 0;
}

struct dump {
	bool json;
	uint64_t offset, run; /* an inline chunk may come in pieces */
	cJSON *chunks;
};

static int dump_row(struct dump *d, const char *kind, uint64_t size, const char *object,
	struct splitfd_error *err)
{
	cJSON *row;

	if (!d->json) {
		printf("%12llu  %-6s  %12llu%s%s\n", (unsigned long long)d->offset, kind,
			(unsigned long long)size, object != NULL ? "  " : "",
			object != NULL ? object : "");
		return 0;
	}
	row = cJSON_CreateObject();
	if (!cJSON_AddItemToArray(d->chunks, row)) {
		cJSON_Delete(row);
		return splitfd_error_oom(err);
	}
	if (cJSON_AddNumberToObject(row, "offset", (double)d->offset) == NULL ||
		cJSON_AddStringToObject(row, "kind", kind) == NULL ||
		cJSON_AddNumberToObject(row, "size", (double)size) == NULL ||
		(object != NULL && cJSON_AddStringToObject(row, "object", object) == NULL))
		return splitfd_error_oom(err);
	return 0;
}

static int dump_run(struct dump *d, struct splitfd_error *err)
{
	int r = d->run > 0 ? dump_row(d, "inline", d->run, NULL, err) : 0;

	d->offset += d->run;
	d->run = 0;
	return r;
}

static int dump_inline(void *ctx, const uint8_t *data, size_t len, struct splitfd_error *err)
{
	struct dump *d = ctx;

	(void)data;
	(void)err;
	d->run += len;
	return 0;
}

static int dump_object(
	void *ctx, const struct splitfd_digest *digest, uint64_t size, struct splitfd_error *err)
{
	struct dump *d = ctx;
	char hex[2 * SPLITFD_DIGEST_MAX + 1];
	int r = dump_run(d, err);

	if (r < 0)
		return r;
	splitfd_digest_hex(digest, hex);
	r = dump_row(d, "object", size, hex, err);
	d->offset += size;
	return r;
}

static int dump_refs(const struct sfd_splitstream *s, cJSON *refs, struct splitfd_error *err)
{
	size_t n;
	const struct sfd_splitstream_ref *items = sfd_splitstream_refs(s, &n);

	for (size_t i = 0; i < n; i++) {
		char hex[2 * SPLITFD_DIGEST_MAX + 1];

		splitfd_digest_hex(&items[i].digest, hex);
		if (refs == NULL) {
			fputs("ref           ", stdout);
			sfd_print_text(stdout, items[i].name);
			printf("  %s\n", hex);
		} else if (cJSON_AddStringToObject(refs, items[i].name, hex) == NULL) {
			return splitfd_error_oom(err);
		}
	}
	return 0;
}

static int dump_head(const struct subject *s, const struct sfd_splitstream *stream, cJSON *root,
	struct splitfd_error *err)
{
	char hex[2 * SPLITFD_DIGEST_MAX + 1];
	cJSON *refs;

	splitfd_digest_hex(&s->digest, hex);
	if (root == NULL) {
		printf("object        %s\ncontent type  ", hex);
		sfd_print_text(stdout, sfd_splitstream_content_type(stream));
		printf("\nsize          %llu\nobjects       %zu\n",
			(unsigned long long)sfd_splitstream_size(stream),
			sfd_splitstream_n_objects(stream));
		return dump_refs(stream, NULL, err);
	}
	if (cJSON_AddStringToObject(root, "object", hex) == NULL ||
		cJSON_AddStringToObject(
			root, "content_type", sfd_splitstream_content_type(stream)) == NULL ||
		cJSON_AddNumberToObject(root, "size", (double)sfd_splitstream_size(stream)) == NULL)
		return splitfd_error_oom(err);
	refs = cJSON_AddObjectToObject(root, "refs");
	return refs != NULL ? dump_refs(stream, refs, err) : splitfd_error_oom(err);
}

static int dump(const struct subject *s, struct sfd_splitstream *stream, cJSON *root,
	struct splitfd_error *err)
{
	struct dump d = { .json = root != NULL };
	const struct sfd_stream_listener listener = { dump_inline, dump_object, &d };
	int r = dump_head(s, stream, root, err);

	if (r < 0)
		return r;
	if (d.json)
		d.chunks = cJSON_AddArrayToObject(root, "chunks");
	if (d.json && d.chunks == NULL)
		return splitfd_error_oom(err);
	r = sfd_splitstream_tell(stream, true, &listener, err);
	return r < 0 ? r : dump_run(&d, err);
}

int sfd_stream_dump(const struct sfd_stream_request *q, struct splitfd_error *err)
{
	sfd_cleanup_repository struct splitfd_repository *repository = NULL;
	sfd_cleanup_splitstream struct sfd_splitstream *stream = NULL;
	struct subject s = { 0 };
	cJSON *root = NULL;
	int r = sfd_repo_open_reader(&q->repo, &repository, err);

	s.repository = repository;
	if (r == 0)
		r = find(&s, q->name, err);
	if (r == 0)
		r = sfd_splitstream_open(repository, &s.digest, NULL, &stream, err);
	if (r < 0)
		return r;
	if (q->json) {
		root = cJSON_CreateObject();
		if (root == NULL)
			return splitfd_error_oom(err);
	}
	r = dump(&s, stream, root, err);
	if (r == 0 && q->json)
		return sfd_print_json(root, err);
	cJSON_Delete(root);
	return r;
}

static int cat_bytes(void *ctx, const uint8_t *data, size_t len, struct splitfd_error *err)
{
	int r = sfd_write_all(STDOUT_FILENO, data, len);

	(void)ctx;
	return r < 0 ? splitfd_error_sys(err, -r, "cannot write to standard output") : 0;
}

int sfd_stream_cat(const struct sfd_stream_request *q, struct splitfd_error *err)
{
	sfd_cleanup_repository struct splitfd_repository *repository = NULL;
	const struct sfd_stream_taker taker = { cat_bytes, NULL };
	struct subject s = { 0 };
	int r = sfd_repo_open_reader(&q->repo, &repository, err);

	s.repository = repository;
	if (r == 0)
		r = find(&s, q->name, err);
	return r < 0 ? r : sfd_stream_bytes(repository, &s.digest, &taker, err);
}

int sfd_stream_check(const struct sfd_stream_request *q, struct splitfd_error *err)
{
	sfd_cleanup_repository struct splitfd_repository *repository = NULL;
	struct subject s = { 0 };
	uint64_t size = 0;
	char sha256[72];
	int r = sfd_repo_open_reader(&q->repo, &repository, err);
	cJSON *root;

	s.repository = repository;
	if (r == 0)
		r = find(&s, q->name, err);
	if (r == 0)
		r = sfd_stream_verify(repository, &s.digest,
			s.diff_id[0] != '\0' ? s.diff_id : NULL, sha256, &size, err);
	if (r < 0)
		return r;
	if (!q->json) {
		printf("ok  %s  %llu bytes\n", sha256, (unsigned long long)size);
		return 0;
	}
	root = cJSON_CreateObject();
	if (cJSON_AddBoolToObject(root, "ok", true) == NULL ||
		cJSON_AddStringToObject(root, "sha256", sha256) == NULL ||
		cJSON_AddNumberToObject(root, "size", (double)size) == NULL) {
		cJSON_Delete(root);
		root = NULL;
	}
	return sfd_print_json(root, err);
}
