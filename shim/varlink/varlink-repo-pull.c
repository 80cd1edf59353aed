/* SPDX-License-Identifier: Apache-2.0 */
/* org.composefs.Oci.Pull: a thread pulls, the client's thread tells the client how it goes on and
 * notices when it has gone. */
#include "shim/varlink/pull-queue.h"
#include "shim/common/progress.h"
#include "shim/common/rootless.h"
#include "transport/copy/pull-transports.h"
#include "shim/common/report.h"
#include "shim/varlink/varlink-repo.h"
#include "transport/json/json-member.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"
#include "splitfdstream/base/thread.h"
#include "transport/composefs/algorithm.h"

#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The call's parameters; NULL where one is not there. */
struct request {
	const cJSON *handle, *image, *name, *local_fetch, *storage_root, *bootable, *xattrs,
		*expected_digest;
};

struct job {
	struct sfd_pull *pull;
	struct sfd_pull_queue *queue;
	struct sfd_stop_event stop;
	int result; /* of the thread, once it was joined */
	struct splitfd_error err;
};

/* The image is read with the service's rights and credentials, so whoever may call otherwise may
 * not do this. */
static bool may_pull(const struct sfd_varlink_session *s)
{
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t size = sizeof(peer);

	return getsockopt(sfd_varlink_socket(s->v), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
	       (peer.uid == 0 || peer.uid == geteuid());
}

static int invalid_request(
	struct sfd_varlink_result *ret, const char *message, struct splitfd_error *err)
{
	return sfd_varlink_fail(ret, SFD_IFACE_OCI ".InvalidRequest", "message", message, err);
}

static bool is_hex(const char *text, size_t n)
{
	return strlen(text) == n && strspn(text, "0123456789abcdefABCDEF") == n;
}

/* What cfsctl refuses, in its order, and what is not supported here. 1 where nothing is wrong. */
static int check(struct sfd_varlink_session *s, const struct request *q,
	struct sfd_varlink_result *ret, struct splitfd_error *err)
{
	size_t digest_size = sfd_digest_size(splitfd_repository_algorithm(s->repository));

	if (q->expected_digest != NULL && !cJSON_IsTrue(q->bootable))
		return invalid_request(ret, "expected_digest requires bootable", err);
	if (q->expected_digest != NULL && q->xattrs != NULL)
		return invalid_request(ret,
			"expected_digest and xattrs are mutually exclusive: expected_digest "
			"searches every mode",
			err);
	if (q->expected_digest != NULL && !is_hex(q->expected_digest->valuestring, 2 * digest_size))
		return sfd_varlink_fail(ret, SFD_IFACE_OCI ".InvalidDigest", "message",
			"invalid expected_digest: no digest of this repository's algorithm", err);
	if (cJSON_IsTrue(q->bootable))
		return invalid_request(ret, "bootable is not supported by this service", err);
	return 1;
}

/* `local_fetch` says what is done with a store's files; other transports have none. cfsctl's words;
 * like there, any other means "disabled". */
static enum splitfd_reflink reflink_of(const char *word)
{
	if (strcmp(word, "zerocopy") == 0 || strcmp(word, "zero-copy") == 0)
		return SPLITFD_REFLINK_ALWAYS;
	if (strcmp(word, "auto") == 0 || strcmp(word, "if-possible") == 0)
		return SPLITFD_REFLINK_AUTO;
	return SPLITFD_REFLINK_NEVER;
}

static void fill_options(
	const struct sfd_varlink_session *s, const struct request *q, struct sfd_pull_options *ret)
{
	*ret = (struct sfd_pull_options){ .reference = q->image->valuestring,
		.name = cJSON_GetStringValue(q->name),
		.no_tag = q->name == NULL,
		.repository = s->settings->repository,
		.raise_fd_limit = true,
		.timeout = s->settings->timeout_ms / 1000 };
	if (sfd_pull_is_store(ret))
		ret->reflink = reflink_of(q->local_fetch->valuestring);
	ret->store = s->settings->store;
	if (q->storage_root != NULL)
		ret->store = (struct splitfd_store_options){ .root = q->storage_root->valuestring,
			.lock_timeout = s->settings->store.lock_timeout,
			.lock_notice = s->settings->store.lock_notice };
}

static bool add_total(cJSON *o, uint64_t total)
{
	return (total != UINT64_MAX ? cJSON_AddNumberToObject(o, "total", (double)total)
				    : cJSON_AddNullToObject(o, "total")) != NULL;
}

/* The members of the event's own object. */
static bool fill_event(cJSON *o, const struct sfd_copy_event *event)
{
	if (cJSON_AddStringToObject(o, "id", event->id) == NULL)
		return false;
	switch (event->kind) {
	case SFD_COPY_STARTED:
		return add_total(o, event->total) &&
		       cJSON_AddStringToObject(o, "unit", "Bytes") != NULL;
	case SFD_COPY_PROGRESS:
		return cJSON_AddNumberToObject(o, "fetched", (double)event->bytes) != NULL &&
		       add_total(o, event->total);
	case SFD_COPY_DONE:
		return cJSON_AddNumberToObject(o, "transferred", (double)event->bytes) != NULL;
	default:
		return true;
	}
}

static cJSON *frame_of(const struct sfd_copy_event *event)
{
	static const char *const names[] = {
		[SFD_COPY_SKIPPED] = "skipped",
		[SFD_COPY_STARTED] = "started",
		[SFD_COPY_PROGRESS] = "progress",
		[SFD_COPY_DONE] = "done",
		[SFD_COPY_MESSAGE] = "message",
	};
	const char *name = names[event->kind];
	cJSON *frame = cJSON_CreateObject();

	if (event->kind == SFD_COPY_MESSAGE
			? cJSON_AddStringToObject(frame, name, event->id) != NULL
			: fill_event(cJSON_AddObjectToObject(frame, name), event))
		return frame;
	cJSON_Delete(frame);
	return NULL;
}

/* Takes the event. */
static int send_event(struct sfd_varlink_session *s, const struct sfd_varlink_call *call,
	struct sfd_copy_event *event, struct splitfd_error *err)
{
	sfd_cleanup_free struct sfd_copy_event *owned = event;
	cJSON *frame;

	/* Names of a hostile image may be in it, and JSON has only text. */
	if (!sfd_utf8_valid(event->id, strlen(event->id)))
		return 0;
	frame = frame_of(owned);
	if (frame == NULL)
		return splitfd_error_oom(err);
	return sfd_varlink_answer(s->v, call, frame, true, NULL, 0, err);
}

/* Until the pull has ended: 0. Sooner where nobody waits for it any more. */
static int follow(struct sfd_varlink_session *s, const struct sfd_varlink_call *call,
	struct job *job, struct splitfd_error *err)
{
	for (;;) {
		struct pollfd p[3] = {
			{ .fd = sfd_pull_queue_fd(job->queue), .events = POLLIN },
			{ .fd = sfd_varlink_socket(s->v) }, /* POLLHUP */
			{ .fd = s->settings->cancel_fd, .events = POLLIN },
		};
		struct sfd_copy_event *event;
		bool ended = false;
		int r = 0;

		if (poll(p, 3, -1) < 0 && errno != EINTR)
			return splitfd_error_sys(err, errno, "cannot wait for a pull");
		if (p[1].revents != 0)
			return splitfd_error_set(err, SPLITFD_ERROR_PEER, EPIPE,
				"went away during its pull, which was ended");
		if (p[2].revents != 0)
			return splitfd_error_set(
				err, SPLITFD_ERROR_FAILED, ECANCELED, "the service ends");
		while (r == 0 && (event = sfd_pull_queue_take(job->queue, &ended)) != NULL)
			r = send_event(s, call, event, err);
		if (r < 0 || ended)
			return r;
	}
}

static void *pull_thread(void *ctx)
{
	struct job *job = ctx;

	job->result = sfd_pull_run(job->pull, &job->err);
	sfd_pull_queue_end(job->queue);
	return NULL;
}

static int answer(
	const struct sfd_pull *pull, struct sfd_varlink_result *ret, struct splitfd_error *err)
{
	static const char *const boot[] = { "boot_image", "boot_image_mode",
		"boot_image_format_version" };
	cJSON *o = cJSON_AddObjectToObject(sfd_varlink_object(ret), "completed");
	sfd_cleanup_free char *stats = NULL;
	struct sfd_pull_result result;
	bool good;

	sfd_pull_get_result(pull, &result);
	stats = sfd_stats_text(&result.stats);
	good = stats != NULL &&
	       sfd_json_add_text(o, "manifest_digest", result.oci.manifest_digest) &&
	       sfd_json_add_text(o, "config_digest", result.oci.config_digest) &&
	       sfd_varlink_add_digest(o, "manifest_verity", &result.oci.manifest) &&
	       sfd_varlink_add_digest(o, "config_verity", &result.oci.config) &&
	       sfd_json_add_text(o, "stats", stats);
	for (size_t i = 0; i < sizeof(boot) / sizeof(boot[0]); i++)
		good = good && sfd_json_add_text(o, boot[i], NULL);
	return good ? 0 : splitfd_error_oom(err);
}

static int run(struct sfd_varlink_session *s, const struct sfd_varlink_call *call, struct job *job,
	struct splitfd_error *err)
{
	struct sfd_thread thread;
	int r = sfd_thread_start(&thread, SFD_STACK_LARGE, pull_thread, job), told;

	if (r < 0)
		return splitfd_error_sys(err, -r, "cannot start a thread");
	told = follow(s, call, job, err);
	if (told < 0)
		sfd_stop_event_now(&job->stop);
	sfd_thread_join(&thread);
	if (told < 0)
		return -ECONNABORTED;
	return job->result < 0 ? splitfd_error_copy(err, job->result, &job->err) : job->result;
}

static int pull(struct sfd_varlink_session *s, const struct sfd_varlink_call *call,
	const struct request *q, struct sfd_varlink_result *ret, struct splitfd_error *err)
{
	sfd_cleanup_pull struct sfd_pull *p = NULL;
	struct sfd_pull_options options;
	char program[PATH_MAX];
	struct sfd_bars bars;
	struct job job = { 0 };
	unsigned int workers;
	int r = sfd_pull_queue_new(&job.queue, err);

	if (r < 0)
		return r;
	r = sfd_stop_event_init(&job.stop, err);
	if (r < 0) {
		sfd_pull_queue_free(job.queue);
		return r;
	}
	fill_options(s, q, &options);
	sfd_bars_init(&bars, true);
	options.store.rootless_helper = sfd_rootless_helper(program);
	options.stop = &job.stop;
	options.listener = call->more ? sfd_pull_queue_listener(job.queue) : &bars.listener;
	workers = sfd_worker_budget_take(&s->shared->workers);
	options.jobs = workers > 0 ? workers : 1;
	r = sfd_pull_new(&options, &p, err);
	job.pull = p;
	if (r >= 0)
		r = run(s, call, &job, err);
	if (r >= 0)
		r = answer(p, ret, err);
	p = sfd_pull_free(p);
	sfd_worker_budget_give(&s->shared->workers, workers);
	sfd_stop_event_done(&job.stop);
	sfd_pull_queue_free(job.queue);
	return r;
}

int sfd_varlink_repo_pull(struct sfd_varlink_session *s, const struct sfd_varlink_call *call,
	struct sfd_varlink_result *ret, struct splitfd_error *err)
{
	struct request q;
	const struct sfd_varlink_param params[] = {
		{ "handle", SFD_VARLINK_INT, false, &q.handle },
		{ "image", SFD_VARLINK_STRING, false, &q.image },
		{ "name", SFD_VARLINK_STRING, true, &q.name },
		{ "local_fetch", SFD_VARLINK_STRING, false, &q.local_fetch },
		{ "storage_root", SFD_VARLINK_STRING, true, &q.storage_root },
		{ "bootable", SFD_VARLINK_BOOL, false, &q.bootable },
		{ "xattrs", SFD_VARLINK_STRING, true, &q.xattrs },
		{ "expected_digest", SFD_VARLINK_STRING, true, &q.expected_digest },
		{ NULL },
	};
	int r;

	if (!sfd_varlink_params(call->parameters, params, ret))
		return 0;
	if (q.xattrs != NULL && strcmp(q.xattrs->valuestring, "AllowlistOnly") != 0 &&
		strcmp(q.xattrs->valuestring, "KeepUserXattrs") != 0)
		return sfd_varlink_fail(
			ret, SFD_IFACE_SERVICE ".InvalidParameter", "parameter", "xattrs", err);
	if (!may_pull(s)) {
		ret->error = SFD_IFACE_SERVICE ".PermissionDenied";
		return 0;
	}
	r = sfd_varlink_repo(s, q.handle, true, ret, err);
	if (r > 0)
		r = check(s, &q, ret, err);
	return r <= 0 ? r : pull(s, call, &q, ret, err);
}
