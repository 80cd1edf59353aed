/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/copy/layer-import.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/verify-sink.h"
#include "transport/composefs/import/import.h"
#include "transport/composefs/repository-private.h"
#include "transport/composefs/stream/layer-proof.h"

SFD_DEFINE_CLEANUP(cleanup_sink, struct splitfd_sink, splitfd_sink_free);
SFD_DEFINE_CLEANUP(cleanup_import, struct splitfd_import, splitfd_import_free);

/* The repository has that layer; the stream has to be it. */
static int check_present(const char *diff_id, struct splitfd_source *source,
	const volatile int *cancel, struct sfd_layer_import *ret, struct splitfd_error *err)
{
	const struct splitfd_verify_options options = { .diff_id = diff_id, .size = UINT64_MAX };
	sfd_cleanup(cleanup_sink) struct splitfd_sink *sink = NULL;
	int r = splitfd_verify_sink_new(NULL, &options, &sink, err);

	if (r >= 0)
		r = splitfd_pump(source, sink, cancel, err);
	if (r < 0)
		return r;
	r = splitfd_sink_finish(sink, err);
	splitfd_verify_sink_result(sink, ret->actual, NULL);
	return r;
}

static int import_new(struct splitfd_repository *repository, const char *diff_id,
	struct splitfd_source *source, const struct splitfd_import_options *options,
	struct sfd_layer_import *ret, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_import) struct splitfd_import *import = NULL;
	sfd_cleanup(cleanup_sink) struct splitfd_sink *sink = NULL;
	int r = splitfd_import_new(repository, options, &import, err);

	if (r >= 0)
		r = splitfd_import_layer(import, diff_id, &sink, err);
	if (r >= 0)
		r = splitfd_pump(source, sink, options->cancel, err);
	if (r >= 0) {
		r = splitfd_sink_finish(sink, err);
		sfd_import_layer_actual(sink, ret->actual);
	}
	if (r >= 0)
		r = splitfd_import_commit(import, err);
	if (r < 0)
		return r;
	sfd_import_layer_digest(sink, &ret->digest);
	sfd_layer_mark_proven(repository, diff_id, &ret->digest);
	splitfd_import_stats(import, &ret->stats);
	/* What has the name now: ours, or that of somebody who was faster. */
	repository->distrust = false;
	r = splitfd_repository_has_layer(repository, diff_id, &ret->digest, err);
	if (r > 0)
		return sfd_layer_prove(repository, diff_id, &ret->digest, options->cancel, err);
	return r != 0 ? r
		      : splitfd_error_set(err, SPLITFD_ERROR_FAILED, ENOENT,
				"right after the import the layer is removed or not whole");
}

int sfd_layer_import(struct splitfd_repository *repository, const char *diff_id,
	struct splitfd_source *source, const struct splitfd_import_options *options,
	struct sfd_layer_import *ret, struct splitfd_error *err)
{
	struct splitfd_import_options verified = *options;
	bool distrust = repository->distrust;
	int r;

	*ret = (struct sfd_layer_import){ 0 };
	r = splitfd_repository_has_layer(repository, diff_id, &ret->digest, err);
	if (r < 0)
		return r;
	ret->present = r > 0;
	if (ret->present)
		r = sfd_layer_prove(repository, diff_id, &ret->digest, options->cancel, err);
	if (r < 0 && r != -EBADMSG)
		return r;
	if (r < 0) {
		/* It has another content, or one of its objects has: it is stored again. */
		splitfd_error_clear(err);
		ret->present = false;
		repository->distrust = true;
	}
	verified.verify_diff_id = true;
	if (ret->present)
		return check_present(diff_id, source, options->cancel, ret, err);
	r = import_new(repository, diff_id, source, &verified, ret, err);
	repository->distrust = distrust;
	return r;
}
