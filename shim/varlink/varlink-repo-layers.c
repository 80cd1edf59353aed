/* SPDX-License-Identifier: Apache-2.0 */
/* The layers of a repository: HasLayer, GetLayer, PutLayer. */
#include "transport/copy/layer-import.h"
#include "shim/varlink/varlink-layer.h"
#include "shim/varlink/varlink-repo.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/splitdirfdstream-reader.h"
#include "transport/composefs/repository-private.h"
#include "transport/composefs/stream/layer-proof.h"
#include "transport/composefs/stream/splitstream.h"
#include "transport/containers-storage/store-lock.h"
#include "transport/rpc/peer-opener.h"
#include "transport/tar/tar-source.h"
#include "transport/composefs/stream/layer-whole.h"

#include <string.h>

SFD_DEFINE_CLEANUP(cleanup_repository, struct splitfd_repository, splitfd_repository_close);
SFD_DEFINE_CLEANUP(cleanup_opener, struct sfd_peer_opener, sfd_peer_opener_unref);
SFD_DEFINE_CLEANUP(cleanup_source, struct splitfd_source, splitfd_source_free);

/* As FinalizeImage will ask: a layer of that name with other content, from a pull that has checked
 * nothing, is not there, so that the client sends it and PutLayer replaces it. */
static int has_proven_layer(struct sfd_varlink_session *s, const char *diff_id,
	struct splitfd_digest *ret, struct splitfd_error *err)
{
	int r = splitfd_repository_has_layer(s->repository, diff_id, ret, err);

	if (r <= 0)
		return r;
	r = sfd_layer_prove(s->repository, diff_id, ret, s->settings->cancel, err);
	if (r != -EBADMSG)
		return r < 0 ? r : 1;
	splitfd_error_clear(err);
	return 0;
}

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
	r = has_proven_layer(s, diff_id->valuestring, &digest, err);
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
	struct sfd_lock_options lock =
		sfd_store_lock_options(&s->settings->store, s->settings->cancel_fd);
	struct splitfd_digest digest;
	int r = sfd_repository_open(s->settings->repository, false, &lock, &own, err);

	if (r >= 0)
		r = splitfd_repository_has_layer(own, diff_id, &digest, err);
	if (r == 0) {
		r = sfd_layer_not_found(own, diff_id, err);
		if (err->kind == SPLITFD_ERROR_NOT_FOUND)
			return sfd_varlink_fail(
				result, SFD_IFACE_OCI ".NoSuchLayer", "diff_id", diff_id, err);
	}
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
	struct sfd_peer_opener *opener, struct splitfd_source **ret, struct splitfd_error *err)
{
	int objects = sfd_repository_objects(s->repository, true, err), r;
	const struct splitfd_splitdirfdstream_reader_options dir = { .spool_dir = objects,
		.files_new = opener != NULL ? sfd_peer_opener_files : NULL,
		.files_ctx = opener };
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
		input->cancel_fd = s->settings->cancel_fd;
	if (r == 0)
		r = splitfd_splitdirfdstream_reader_new(input, &dir, &wire, err);
	return r < 0 ? r : sfd_tar_source_new(wire, &tar, ret, err);
}

static int put(struct sfd_varlink_session *s, const char *diff_id, struct sfd_varlink_message *m,
	struct sfd_layer_import *ret, struct splitfd_error *err)
{
	struct splitfd_import_options options = { .cancel = s->settings->cancel };
	sfd_cleanup(cleanup_opener) struct sfd_peer_opener *opener = NULL;
	sfd_cleanup(cleanup_source) struct splitfd_source *source = NULL;
	unsigned int workers;
	int r = sfd_peer_opener_new(sfd_varlink_socket(s->v), s->settings->timeout_ms,
		s->settings->cancel_fd, &opener, err);

	options.foreign_source = opener != NULL;
	if (r == 0)
		r = open_stream(s, m, opener, &source, err);
	if (r < 0)
		return r;
	workers = sfd_worker_budget_take(&s->shared->workers);
	options.jobs = workers > 0 ? workers : 1;
	r = sfd_layer_import(s->repository, diff_id, source, &options, ret, err);
	sfd_worker_budget_give(&s->shared->workers, workers);
	return r;
}

static int put_failed(int r, const char *diff_id, const char *actual,
	struct sfd_varlink_result *ret, struct splitfd_error *err)
{
	if (r != -EBADMSG || actual[0] == '\0' || strcmp(actual, diff_id) == 0)
		return r;
	r = sfd_varlink_fail(ret, SFD_IFACE_OCI ".DiffIdMismatch", "expected", diff_id, err);
	if (r == 0 && cJSON_AddStringToObject(ret->parameters, "actual", actual) == NULL)
		r = splitfd_error_oom(err);
	return r;
}

static int answer_put(const struct sfd_layer_import *out, struct sfd_varlink_result *ret,
	struct splitfd_error *err)
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
	struct sfd_layer_import out = { 0 };
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
	return r < 0 ? put_failed(r, diff_id->valuestring, out.actual, ret, err)
		     : answer_put(&out, ret, err);
}
