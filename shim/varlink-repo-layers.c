/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/varlink-layer.h"
#include "shim/varlink-repo.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"
#include "splitfdstream/splitdirfdstream-reader.h"
#include "splitfdstream/verify-sink.h"
#include "transport/composefs/repository-private.h"
#include "transport/composefs/splitstream.h"
#include "transport/tar/tar-source.h"

#include <string.h>

SFD_DEFINE_CLEANUP(cleanup_repository, struct splitfd_repository, splitfd_repository_close);
SFD_DEFINE_CLEANUP(cleanup_source, struct splitfd_source, splitfd_source_free);
SFD_DEFINE_CLEANUP(cleanup_sink, struct splitfd_sink, splitfd_sink_free);
SFD_DEFINE_CLEANUP(cleanup_import, struct splitfd_import, splitfd_import_free);

int sfd_varlink_repo_has_layer(struct sfd_varlink_session *s, const struct sfd_varlink_call *call,
	struct sfd_varlink_result *ret, struct splitfd_error *err)
{
	const cJSON *handle, *diff_id;
	const struct sfd_varlink_param params[] = {
		{ "handle", SFD_VARLINK_INT, false, &handle },
		{ "diff_id", SFD_VARLINK_STRING, false, &diff_id },
		{ NULL },
	};
	struct splitfd_digest digest;
	cJSON *o;
	int r;

	if (!sfd_varlink_params(call->parameters, params, ret))
		return 0;
	r = sfd_varlink_repo(s, handle, false, ret, err);
	if (r <= 0 || !sfd_varlink_digest(diff_id->valuestring, ret))
		return r < 0 ? r : 0;
	r = splitfd_repository_has_layer(s->repository, diff_id->valuestring, &digest, err);
	if (r < 0)
		return r;
	o = sfd_varlink_object(ret);
	if (cJSON_AddBoolToObject(o, "present", r) == NULL ||
		!(r > 0 ? sfd_varlink_add_digest(o, "layer_verity", &digest)
			: cJSON_AddNullToObject(o, "layer_verity") != NULL))
		return splitfd_error_oom(err);
	return 0;
}

static void release(void *guard)
{
	splitfd_repository_close(guard);
}

/* With a repository of its own, whose lock keeps garbage collection away until the client lets go.
 * 1; 0 where the result is NoSuchLayer. */
static int open_layer(struct sfd_varlink_session *s, const char *diff_id,
	struct sfd_layer_to_send *ret, struct sfd_varlink_result *result, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_repository) struct splitfd_repository *own = NULL;
	struct splitfd_digest digest;
	int r = splitfd_repository_open(s->settings->repository, false, &own, err);

	if (r >= 0)
		r = splitfd_repository_has_layer(own, diff_id, &digest, err);
	if (r == 0)
		return sfd_varlink_fail(
			result, SFD_IFACE_OCI ".NoSuchLayer", "diff_id", diff_id, err);
	if (r > 0)
		r = sfd_splitstream_source_new(own, &digest, &ret->source, err);
	if (r < 0)
		return r;
	ret->guard = sfd_take_ptr(&own);
	ret->release = release;
	return 1;
}

int sfd_varlink_repo_get_layer(struct sfd_varlink_session *s, const struct sfd_varlink_call *call,
	struct sfd_varlink_result *ret, struct splitfd_error *err)
{
	struct sfd_varlink_get_layer q;
	struct sfd_layer_to_send layer = { 0 };
	int r;

	if (!sfd_varlink_get_layer_params(call, &q, ret))
		return 0;
	r = sfd_varlink_repo(
		s, cJSON_GetObjectItemCaseSensitive(call->parameters, "handle"), false, ret, err);
	if (r <= 0)
		return r;
	if (q.diff_id == NULL)
		return sfd_varlink_fail(ret, SFD_IFACE_OCI ".InvalidRequest", "message",
			"GetLayer: params.diff_id is required for the repo service", err);
	if (!sfd_varlink_digest(q.diff_id, ret))
		return 0;
	r = open_layer(s, q.diff_id, &layer, ret, err);
	if (r <= 0)
		return r;
	layer.consumer_reads_all = q.reads_all;
	return sfd_varlink_send_layer(s, &layer, ret, err);
}

/* The call's descriptors as a source of the tar's chunks: the stream, then its directories. */
static int open_stream(struct sfd_varlink_session *s, struct sfd_varlink_message *m,
	struct splitfd_source **ret, struct splitfd_error *err)
{
	int objects = sfd_repository_objects(s->repository, true, err), r;
	const struct splitfd_splitdirfdstream_reader_options dir = { .spool_dir = objects };
	const struct sfd_tar_source_options tar = { .inline_content_max = (size_t)64 * 1024,
		.spool_dir = objects };
	struct splitfd_input *input = NULL;
	struct splitfd_source *wire = NULL;

	if (objects < 0)
		return objects;
	r = splitfd_input_new(
		m->fds[0], m->fds + 1, m->n_fds - 1, s->settings->timeout_ms, &input, err);
	m->n_fds = 0; /* taken, always */
	if (r == 0)
		r = splitfd_splitdirfdstream_reader_new(input, &dir, &wire, err);
	return r < 0 ? r : sfd_tar_source_new(wire, &tar, ret, err);
}

struct outcome {
	bool present;
	struct splitfd_digest digest;
	struct splitfd_import_stats stats;
};

static int import_new(struct sfd_varlink_session *s, const char *diff_id,
	struct splitfd_source *source, struct outcome *ret, struct splitfd_error *err)
{
	const struct splitfd_import_options options = { .verify_diff_id = true,
		.cancel = s->settings->cancel };
	sfd_cleanup(cleanup_import) struct splitfd_import *import = NULL;
	sfd_cleanup(cleanup_sink) struct splitfd_sink *sink = NULL;
	int r = splitfd_import_new(s->repository, &options, &import, err);

	if (r >= 0)
		r = splitfd_import_layer(import, diff_id, &sink, err);
	if (r >= 0)
		r = splitfd_pump(source, sink, s->settings->cancel, err);
	if (r >= 0)
		r = splitfd_sink_finish(sink, err);
	if (r >= 0)
		r = splitfd_import_commit(import, err);
	if (r < 0)
		return r;
	splitfd_import_stats(import, &ret->stats);
	r = splitfd_repository_has_layer(s->repository, diff_id, &ret->digest, err);
	return r != 0 ? r
		      : splitfd_error_set(err, SPLITFD_ERROR_FAILED, ENOENT,
				"the layer was removed right after the import");
}

/* It is there already: the stream is still read, so that its producer ends well, and checked, so
 * that a wrong one does not pass for the right one. */
static int check_present(struct sfd_varlink_session *s, const char *diff_id,
	struct splitfd_source *source, struct splitfd_error *err)
{
	const struct splitfd_verify_options options = { .diff_id = diff_id, .size = UINT64_MAX };
	sfd_cleanup(cleanup_sink) struct splitfd_sink *sink = NULL;
	int r = splitfd_verify_sink_new(NULL, &options, &sink, err);

	if (r >= 0)
		r = splitfd_pump(source, sink, s->settings->cancel, err);
	return r < 0 ? r : splitfd_sink_finish(sink, err);
}

static int put(struct sfd_varlink_session *s, const char *diff_id, struct sfd_varlink_message *m,
	struct outcome *ret, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_source) struct splitfd_source *source = NULL;
	int r = splitfd_repository_has_layer(s->repository, diff_id, &ret->digest, err);

	if (r < 0)
		return r;
	ret->present = r > 0;
	r = open_stream(s, m, &source, err);
	if (r < 0)
		return r;
	return ret->present ? check_present(s, diff_id, source, err)
			    : import_new(s, diff_id, source, ret, err);
}

/* The digest that was found instead, which stands in the text of the check that found it. */
static bool find_actual(const char *text, const char *diff_id, char ret[72])
{
	for (const char *at = strstr(text, "sha256"); at != NULL; at = strstr(at + 6, "sha256")) {
		size_t skip = strncmp(at, "sha256 is ", 10) == 0 ? 10 : 7;

		if (strlen(at) < skip)
			return false;
		(void)snprintf(ret, 72, "sha256:%.64s", at + skip);
		if (sfd_parse_sha256(ret, NULL) && strcmp(ret, diff_id) != 0)
			return true;
	}
	return false;
}

static int put_failed(
	int r, const char *diff_id, struct sfd_varlink_result *ret, struct splitfd_error *err)
{
	char actual[72];

	if (err->kind != SPLITFD_ERROR_REFUSED || !find_actual(err->text, diff_id, actual))
		return r;
	r = sfd_varlink_fail(ret, SFD_IFACE_OCI ".DiffIdMismatch", "expected", diff_id, err);
	if (r == 0 && cJSON_AddStringToObject(ret->parameters, "actual", actual) == NULL)
		r = splitfd_error_oom(err);
	return r;
}

static int answer_put(
	const struct outcome *out, struct sfd_varlink_result *ret, struct splitfd_error *err)
{
	const struct splitfd_import_stats *stats = &out->stats;
	cJSON *o = sfd_varlink_object(ret);

	if (!sfd_varlink_add_digest(o, "layer_verity", &out->digest) ||
		cJSON_AddBoolToObject(o, "already_present", out->present) == NULL ||
		cJSON_AddNumberToObject(o, "objects_reflinked", (double)stats->objects_reflinked) ==
			NULL ||
		cJSON_AddNumberToObject(o, "objects_hardlinked", 0) == NULL ||
		cJSON_AddNumberToObject(o, "objects_copied", (double)stats->objects_copied) ==
			NULL ||
		cJSON_AddNumberToObject(o, "objects_already_present",
			(double)stats->objects_already_present) == NULL)
		return splitfd_error_oom(err);
	return 0;
}

int sfd_varlink_repo_put_layer(struct sfd_varlink_session *s, const struct sfd_varlink_call *call,
	struct sfd_varlink_result *ret, struct splitfd_error *err)
{
	/* Its descriptors are taken here. */
	struct sfd_varlink_message *m = (struct sfd_varlink_message *)(uintptr_t)&call->message;
	const cJSON *handle, *diff_id, *zerocopy;
	const struct sfd_varlink_param params[] = {
		{ "handle", SFD_VARLINK_INT, false, &handle },
		{ "diff_id", SFD_VARLINK_STRING, false, &diff_id },
		{ "zerocopy", SFD_VARLINK_BOOL, false, &zerocopy },
		{ NULL },
	};
	struct outcome out = { 0 };
	char text[96];
	int r;

	if (!sfd_varlink_params(call->parameters, params, ret))
		return 0;
	if (m->n_fds < 2) {
		(void)snprintf(text, sizeof(text),
			"expected at least 2 fds (1 pipe + >=1 dir fd), got %zu", m->n_fds);
		return sfd_varlink_fail(ret, SFD_IFACE_OCI ".InvalidRequest", "message", text, err);
	}
	if (!sfd_varlink_digest(diff_id->valuestring, ret))
		return 0;
	r = sfd_varlink_repo(s, handle, true, ret, err);
	if (r <= 0)
		return r;
	r = put(s, diff_id->valuestring, m, &out, err);
	return r < 0 ? put_failed(r, diff_id->valuestring, ret, err) : answer_put(&out, ret, err);
}
