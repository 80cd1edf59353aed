/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/common/cancel.h"
#include "shim/common/command.h"
#include "shim/common/confine.h"
#include "shim/cmds/layer-channel.h"
#include "shim/common/repo-options.h"
#include "shim/common/rootless.h"
#include "shim/common/store-options.h"
#include "transport/copy/layer-objects.h"
#include "transport/copy/layer-origin.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/clock.h"
#include "splitfdstream/chunk-cleanup.h"
#include "splitfdstream/verify-sink.h"
#include "transport/composefs/algorithm.h"
#include "transport/tar/tar-entry.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define ALL "all"

SFD_DEFINE_CLEANUP(cleanup_output, struct splitfd_output, splitfd_output_free);

struct get_layer {
	struct sfd_channel_options channel;
	struct sfd_origin_options origin;
	struct sfd_store_arguments from;
	struct sfd_repo_options repo;
	bool sandbox;
	long objects;
	const char *algorithm;
	char repository[PATH_MAX], program[PATH_MAX];
};

/* A tar's diff_id is the caller's word: it is checked before the end is sent. */
static int check_tar(
	const struct sfd_origin *origin, struct splitfd_sink **sink, struct splitfd_error *err)
{
	const struct splitfd_verify_options options = { .diff_id = sfd_origin_diff_id(origin, 0),
		.size = UINT64_MAX };

	return splitfd_verify_sink_new(sfd_take_ptr(sink), &options, sink, err);
}

static int send_layer(const struct sfd_channel_options *o, struct sfd_origin *origin, size_t i,
	bool frames, struct splitfd_error *err)
{
	sfd_cleanup_source struct splitfd_source *source = NULL;
	sfd_cleanup_sink struct splitfd_sink *sink = NULL;
	struct splitfd_output *output = NULL;
	enum sfd_channel_kind kind;
	int r = sfd_channel_kind(o, &kind, err);

	if (r >= 0 && kind == SFD_CHANNEL_TAR && !frames) {
		r = sfd_channel_tar(o, &sink, err);
	} else if (r >= 0) {
		r = sfd_channel_output(o, frames, &output, err);
		if (r >= 0)
			r = sfd_channel_writer(o, output, &sink, err);
	}
	if (r >= 0 && origin->tar && sfd_origin_diff_id(origin, i) != NULL)
		r = check_tar(origin, &sink, err);
	if (r >= 0)
		r = sfd_origin_layer(origin, i, &source, err);
	if (r >= 0)
		r = splitfd_pump(source, sink, sfd_cancel_flag(), err);
	return r < 0 ? r : splitfd_sink_finish(sink, err);
}

/* Between the layers of "all": a frame with the next layer's diff_id, or an empty frame. */
static int send_mark(
	const struct sfd_channel_options *o, const char *diff_id, struct splitfd_error *err)
{
	static const uint8_t empty[4];
	sfd_cleanup(cleanup_output) struct splitfd_output *output = NULL;
	int r = sfd_channel_output(o, diff_id != NULL, &output, err);

	if (r < 0)
		return r;
	if (diff_id != NULL)
		return sfd_output_bytes(output, diff_id, strlen(diff_id), err);
	return sfd_output_bytes(output, empty, sizeof(empty), err);
}

static int send_all(
	const struct sfd_channel_options *o, struct sfd_origin *origin, struct splitfd_error *err)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < origin->n_layers; i++) {
		const char *diff_id = sfd_origin_diff_id(origin, i);

		r = send_mark(o, diff_id != NULL ? diff_id : "unknown", err);
		if (r >= 0)
			r = send_layer(o, origin, i, true, err);
		if (r < 0)
			return splitfd_error_wrap(err, r, "layer %zu", i);
		r = send_mark(o, NULL, err);
	}
	return r < 0 ? r : send_mark(o, NULL, err);
}

static int send_splitstream(
	const struct get_layer *g, struct sfd_origin *origin, size_t i, struct splitfd_error *err)
{
	sfd_cleanup_source struct splitfd_source *source = NULL;
	sfd_cleanup(cleanup_output) struct splitfd_output *output = NULL;
	sfd_cleanup_fd int objects = -EBADF;
	enum splitfd_algorithm algorithm = SPLITFD_SHA512;
	int r;

	if (g->algorithm != NULL && !sfd_algorithm_parse_hash(g->algorithm, &algorithm))
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"--algorithm is sha256 or sha512, not '%s'", g->algorithm);
	objects = fcntl((int)g->objects, F_DUPFD_CLOEXEC, 3);
	if (objects < 0 && errno != EBADF && errno != EINVAL)
		return splitfd_error_sys(
			err, errno, "--objects: cannot use descriptor %ld", g->objects);
	if (objects < 0)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, errno,
			"--objects: there is no descriptor %ld", g->objects);
	r = sfd_origin_layer(origin, i, &source, err);
	if (r >= 0)
		r = sfd_channel_output(&g->channel, false, &output, err);
	if (r < 0)
		return r;
	return sfd_store_layer(sfd_take_fd(&objects), algorithm, sfd_origin_diff_id(origin, i),
		source, sfd_cancel_flag(), sfd_output_bytes, output, err);
}

static int open_origin(
	struct get_layer *g, const char *image, struct sfd_origin *ret, struct splitfd_error *err)
{
	struct sfd_origin_options *o = &g->origin;
	int r = sfd_origin_is_stored(image) ? sfd_repo_path(&g->repo, g->repository, err) : 0;

	o->repository = g->repository;
	o->store = g->from.store;
	o->store.options = g->from.storage_options.items;
	o->store.rootless_helper = sfd_rootless_helper(g->program);
	sfd_lock_options_apply(g->repo.lock_timeout, g->channel.timeout, &o->store);
	o->stop = sfd_cancel_stop();
	o->confine = g->sandbox ? sfd_confine_now : NULL;
	return r == 0 ? sfd_origin_open(o, image, ret, err) : r;
}

static int get_layer(struct get_layer *g, const char *image, const char *layer,
	struct sfd_origin *origin, struct splitfd_error *err)
{
	size_t i;
	int r = open_origin(g, image, origin, err);

	if (r < 0)
		return r;
	if (strcmp(layer, ALL) == 0) {
		if (g->objects >= 0)
			return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
				"--objects takes one layer at a time");
		return send_all(&g->channel, origin, err);
	}
	r = sfd_origin_find(origin, layer, &i, err);
	if (r >= 0 && g->objects >= 0)
		r = send_splitstream(g, origin, i, err);
	else if (r >= 0)
		r = send_layer(&g->channel, origin, i, false, err);
	return r < 0 ? splitfd_error_wrap(err, r, "layer %s of '%s'", layer, image) : r;
}

static int check_options(const struct get_layer *g, struct splitfd_error *err)
{
	enum sfd_channel_kind kind;
	int r = sfd_channel_kind(&g->channel, &kind, err);

	if (r < 0)
		return r;
	if (g->objects >= 0 && (g->channel.format == NULL || kind == SFD_CHANNEL_SPLITSTREAM))
		return 0;
	if (g->objects >= 0 || kind == SFD_CHANNEL_SPLITSTREAM)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"--objects and --format=splitstream go together, and with no other format");
	return 0;
}

static int run(int argc, char **argv, struct splitfd_error *err)
{
	struct get_layer g = { .channel = { .fds = -1,
				       .timeout = 300,
				       .inline_max = SFD_TAR_INLINE_MAX,
				       .verify = true },
		.sandbox = true,
		.objects = -1 };
	const struct sfd_option options[] = {
		{ "format", 0, SFD_OPTION_STRING, &g.channel.format, 0, 0, "FORMAT",
			"splitfdstream (default), splitdirfdstream, tar, splitstream" },
		{ "fds", 0, SFD_OPTION_NUMBER, &g.channel.fds, 0, 1 << 20, "N",
			"Send descriptors over the inherited Unix socket N" },
		{ "objects", 0, SFD_OPTION_NUMBER, &g.objects, 0, 1 << 20, "N",
			"Store files in the inherited objects directory N" },
		{ "algorithm", 0, SFD_OPTION_STRING, &g.algorithm, 0, 0, "NAME",
			"Of --objects: sha512 (default) or sha256" },
		{ "inline-max", 0, SFD_OPTION_NUMBER, &g.channel.inline_max, 0, 256L << 20, "BYTES",
			"Send files of up to BYTES (64) in the stream" },
		{ "reads-all", 0, SFD_OPTION_FLAG, &g.channel.reads_all, 0, 0, NULL,
			"The reader may open files that others may not read" },
		{ "verify", 0, SFD_OPTION_FLAG, &g.channel.verify, 0, 0, NULL,
			"Check contents of a tar (default; --no-verify: let the kernel move "
			"them)" },
		{ "timeout", 0, SFD_OPTION_NUMBER, &g.channel.timeout, 0, 1000000, "SECONDS",
			"Fail if the other side is silent for SECONDS (default 300; 0 disables)" },
		SFD_STORE_OPTIONS(&g.from), SFD_REPO_OPTIONS(&g.repo),
		SFD_SANDBOX_OPTION(&g.sandbox), { NULL }
	};
	extern const struct sfd_command sfd_cmd_get_layer;
	struct sfd_origin origin = { 0 };
	const char *image, *layer;
	int r = sfd_parse_options(&sfd_cmd_get_layer, options, &argc, &argv, err);

	if (r == 0 && argc == 1 && strncmp(argv[0], "tar:", 4) != 0)
		r = splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"expected IMAGE and LAYER; see 'splitfd get-layer --help'");
	if (r == 0)
		r = check_options(&g, err);
	if (r == 0) {
		image = argv[0];
		layer = argc == 2 ? argv[1] : "0";
		g.origin.objects = (int)g.objects;
		g.origin.timeout_ms = sfd_timeout_ms(g.channel.timeout);
		sfd_cancel_install();
		r = get_layer(&g, image, layer, &origin, err);
	}
	sfd_origin_done(&origin);
	sfd_strings_done(&g.from.storage_options);
	return r < 0 ? r : 0;
}

const struct sfd_command sfd_cmd_get_layer = {
	.name = "get-layer",
	.class = SFD_PLUMBING,
	.operands = "IMAGE [LAYER]",
	.summary = "Write a layer's split stream to standard output",
	.run = run,
};
