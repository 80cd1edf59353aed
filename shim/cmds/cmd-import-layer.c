/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/common/cancel.h"
#include "shim/common/command.h"
#include "shim/common/confine.h"
#include "shim/cmds/layer-channel.h"
#include "transport/copy/layer-import.h"
#include "shim/common/repo-options.h"
#include "shim/common/report.h"
#include "splitfdstream/base/buffer.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/clock.h"
#include "splitfdstream/base/text.h"
#include "transport/composefs/repository-private.h"
#include "transport/composefs/stream/splitstream.h"
#include "transport/json/json-member.h"
#include "transport/rpc/fdpass.h"
#include "transport/rpc/peer-opener.h"
#include "transport/tar/tar-source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* A splitstream of a layer is not larger than this in memory. */
#define SPLITSTREAM_MAX ((size_t)1024 * 1024 * 1024)

SFD_DEFINE_CLEANUP(cleanup_source, struct splitfd_source, splitfd_source_free);
SFD_DEFINE_CLEANUP(cleanup_repository, struct splitfd_repository, splitfd_repository_close);

struct import_layer {
	struct sfd_channel_options channel;
	struct sfd_repo_options repo;
	const char *reflink;
	long jobs;
	bool json, sandbox;
	char diff_id[72];
};

/* All of standard input, which is a splitstream: it becomes an object, as it would be one. */
static int read_splitstream(const struct import_layer *o, struct splitfd_repository *repository,
	struct splitfd_source **ret, struct splitfd_error *err)
{
	sfd_cleanup_buffer struct sfd_buffer data = { .max = SPLITSTREAM_MAX };
	sfd_cleanup(cleanup_source) struct splitfd_source *bytes = NULL;
	struct splitfd_chunk chunk;
	struct splitfd_digest digest;
	enum sfd_object_how how;
	int r, fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);

	if (fd < 0)
		return splitfd_error_sys(err, errno, "standard input");
	r = sfd_bytes_source_new(
		fd, sfd_timeout_ms(o->channel.timeout), sfd_cancel_fd(), &bytes, err);
	if (r < 0)
		return r;
	while ((r = splitfd_source_next(bytes, &chunk, err)) > 0) {
		r = sfd_buffer_append(&data, chunk.data, chunk.data_len);
		if (r < 0)
			return splitfd_error_sys(err, -r, "cannot hold the splitstream in memory");
	}
	if (r < 0)
		return splitfd_error_wrap(err, r, "standard input");
	r = sfd_object_put_bytes(repository, data.data, data.len, &digest, &how, err);
	return r < 0 ? r : sfd_splitstream_source_new(repository, &digest, ret, err);
}

static int open_source(const struct import_layer *o, struct splitfd_repository *repository,
	struct splitfd_source **ret, struct splitfd_error *err)
{
	enum sfd_channel_kind kind;
	int objects, r = sfd_channel_kind(&o->channel, &kind, err);

	if (r < 0)
		return r;
	if (kind == SFD_CHANNEL_SPLITSTREAM)
		return read_splitstream(o, repository, ret, err);
	/* Content that comes as bytes is kept beside the objects: it can be cloned from there. */
	objects = sfd_repository_objects(repository, true, err);
	return objects < 0 ? objects : sfd_channel_source(&o->channel, objects, ret, err);
}

/* For the files that the other end of a socket names, where that is another user's. */
static int find_opener(struct import_layer *o, struct splitfd_error *err)
{
	int socket = o->channel.fds >= 0 ? (int)o->channel.fds : STDIN_FILENO;

	if (splitfd_fds_check_socket(socket, "", NULL, NULL) < 0)
		return 0;
	return sfd_peer_opener_new(socket, sfd_timeout_ms(o->channel.timeout), sfd_cancel_fd(),
		&o->channel.opener, err);
}

static int import_layer(
	struct import_layer *o, struct sfd_layer_import *ret, struct splitfd_error *err)
{
	struct splitfd_import_options options = { .jobs = (unsigned int)o->jobs,
		.cancel = sfd_cancel_flag() };
	sfd_cleanup(cleanup_repository) struct splitfd_repository *repository = NULL;
	sfd_cleanup(cleanup_source) struct splitfd_source *source = NULL;
	int r = sfd_parse_reflink(o->reflink, &options.reflink, err);

	o->repo.lock_timeout = sfd_lock_seconds(o->repo.lock_timeout, o->channel.timeout);
	if (r >= 0)
		r = sfd_repo_open(&o->repo, true, &repository, err);
	if (r >= 0)
		r = find_opener(o, err);
	if (r < 0)
		return r;
	options.foreign_source = o->channel.opener != NULL;
	sfd_confine(o->sandbox, &(struct sfd_needs){ .repository = repository,
					.objects = -EBADF,
					.ends_processes = o->channel.opener != NULL });
	r = open_source(o, repository, &source, err);
	if (r >= 0)
		r = sfd_layer_import(repository, o->diff_id, source, &options, ret, err);
	return r;
}

static int print_json(
	const struct import_layer *o, const struct sfd_layer_import *out, struct splitfd_error *err)
{
	char hex[2 * SPLITFD_DIGEST_MAX + 1];
	cJSON *object = cJSON_CreateObject();

	splitfd_digest_hex(&out->digest, hex);
	if (cJSON_AddStringToObject(object, "diff_id", o->diff_id) == NULL ||
		cJSON_AddStringToObject(object, "layer_verity", hex) == NULL ||
		cJSON_AddBoolToObject(object, "already_present", out->present) == NULL ||
		!sfd_json_add(object, "stats", sfd_stats_json(&out->stats))) {
		cJSON_Delete(object);
		return splitfd_error_oom(err);
	}
	return sfd_print_json(object, err);
}

static int print_outcome(
	const struct import_layer *o, const struct sfd_layer_import *out, struct splitfd_error *err)
{
	char hex[2 * SPLITFD_DIGEST_MAX + 1];

	if (o->json)
		return print_json(o, out, err);
	splitfd_digest_hex(&out->digest, hex);
	printf("layer    %s\nverity   %s\nobjects  ", o->diff_id, hex);
	if (out->present)
		printf("layer already present");
	else
		sfd_print_stats(stdout, &out->stats);
	putchar('\n');
	return 0;
}

/* With or without "sha256:" in front. */
static int parse_diff_id(const char *text, char ret[72], struct splitfd_error *err)
{
	snprintf(ret, 72, "%s%s", strncmp(text, "sha256:", 7) == 0 ? "" : "sha256:", text);
	if (!sfd_parse_sha256(ret, NULL) || strlen(text) > 71)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"'%s' is not a diff_id (sha256: and 64 hex digits)", text);
	return 0;
}

static int run(int argc, char **argv, struct splitfd_error *err)
{
	struct import_layer o = { .channel = { .fds = -1, .timeout = 300 }, .sandbox = true };
	const struct sfd_option options[] = {
		{ "format", 0, SFD_OPTION_STRING, &o.channel.format, 0, 0, "FORMAT",
			"splitfdstream (default), splitdirfdstream, tar, splitstream" },
		{ "fds", 0, SFD_OPTION_NUMBER, &o.channel.fds, 0, 1 << 20, "N",
			"Receive descriptors over the inherited Unix socket N" },
		{ "timeout", 0, SFD_OPTION_NUMBER, &o.channel.timeout, 0, 1000000, "SECONDS",
			"Fail if the producer is silent for SECONDS (default 300; 0 disables)" },
		{ "reflink", 0, SFD_OPTION_STRING, &o.reflink, 0, 0, "HOW",
			"auto (default), always, never" },
		{ "jobs", 'j', SFD_OPTION_NUMBER, &o.jobs, 1, SPLITFD_JOBS_MAX, "N",
			"Worker threads, 1 to 64 (default: number of CPUs, at most 12)" },
		{ "json", 0, SFD_OPTION_FLAG, &o.json, 0, 0, NULL, "Print the result as JSON" },
		SFD_REPO_OPTIONS(&o.repo), SFD_SANDBOX_OPTION(&o.sandbox), { NULL }
	};
	extern const struct sfd_command sfd_cmd_import_layer;
	struct sfd_layer_import out;
	int r = sfd_parse_options(&sfd_cmd_import_layer, options, &argc, &argv, err);

	if (r != 0)
		return r < 0 ? r : 0;
	r = parse_diff_id(argv[0], o.diff_id, err);
	if (r < 0)
		return r;
	sfd_cancel_install();
	r = import_layer(&o, &out, err);
	o.channel.opener = sfd_peer_opener_unref(o.channel.opener);
	if (r < 0)
		return splitfd_error_wrap(err, r, "layer %s", o.diff_id);
	return print_outcome(&o, &out, err);
}

const struct sfd_command sfd_cmd_import_layer = {
	.name = "import-layer",
	.class = SFD_PLUMBING,
	.operands = "DIFFID",
	.summary = "Read a layer's split stream from standard input into a repository",
	.run = run,
};
