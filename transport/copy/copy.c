/* SPDX-License-Identifier: Apache-2.0 */
/* The engine as the library's callers have it. */
#include "transport/copy/copy.h"
#include "transport/copy/pull-transports.h"
#include "transport/copy/push.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DEFAULT_TIMEOUT 300

struct splitfd_stop {
	struct sfd_stop_event event;
};

int splitfd_stop_new(struct splitfd_stop **ret, struct splitfd_error *err)
{
	struct splitfd_stop *stop = calloc(1, sizeof(*stop));
	int r;

	if (stop == NULL)
		return splitfd_error_oom(err);
	r = sfd_stop_event_init(&stop->event, err);
	if (r < 0) {
		free(stop);
		return r;
	}
	*ret = stop;
	return 0;
}

void splitfd_stop_now(struct splitfd_stop *stop)
{
	sfd_stop_event_now(&stop->event);
}

struct splitfd_stop *splitfd_stop_free(struct splitfd_stop *stop)
{
	if (stop != NULL) {
		sfd_stop_event_done(&stop->event);
		free(stop);
	}
	return NULL;
}

/* A caller's struct of `size` bytes into ours of `known`: members that we do not know must be 0. */
static int copy_options(
	const void *from, size_t size, void *to, size_t known, struct splitfd_error *err)
{
	const unsigned char *bytes = from;

	if (size < sizeof(size_t))
		return splitfd_error_set(
			err, SPLITFD_ERROR_USAGE, EINVAL, "the options do not say their size");
	for (size_t i = known; i < size; i++) {
		if (bytes[i] != 0)
			return splitfd_error_set(err, SPLITFD_ERROR_USAGE, E2BIG,
				"an option is set that this libsplitfd does not know");
	}
	memset(to, 0, known);
	memcpy(to, from, size < known ? size : known);
	return 0;
}

/* Ours of `known` bytes into a caller's struct, whose `size` stays. */
static void copy_result(const void *from, size_t known, void *to, size_t size)
{
	size_t n = size < known ? size : known;

	if (n > sizeof(size_t))
		memcpy((char *)to + sizeof(size_t), (const char *)from + sizeof(size_t),
			n - sizeof(size_t));
}

static int require(const char *value, const char *name, struct splitfd_error *err)
{
	if (value != NULL && value[0] != '\0')
		return 0;
	return splitfd_error_set(
		err, SPLITFD_ERROR_USAGE, EINVAL, "the option '%s' is not set", name);
}

/* The caller's callback, behind a listener. */
struct caller {
	struct sfd_copy_listener listener;
	pthread_mutex_t lock; /* one call at a time */
	splitfd_progress_cb progress;
	void *ctx;
};

static bool translate(const struct sfd_copy_event *event, struct splitfd_progress *ret)
{
	static const struct {
		bool wanted;
		enum splitfd_progress_kind kind;
	} kinds[] = {
		[SFD_COPY_SKIPPED] = { true, SPLITFD_PROGRESS_PRESENT },
		[SFD_COPY_STARTED] = { true, SPLITFD_PROGRESS_STARTED },
		[SFD_COPY_PROGRESS] = { true, SPLITFD_PROGRESS_READ },
		[SFD_COPY_DONE] = { true, SPLITFD_PROGRESS_READ },
		[SFD_COPY_MESSAGE] = { true, SPLITFD_PROGRESS_NOTE },
		[SFD_COPY_BEGIN] = { true, SPLITFD_PROGRESS_IMAGE },
		[SFD_COPY_STORED] = { true, SPLITFD_PROGRESS_STORED },
		[SFD_COPY_END] = { false, SPLITFD_PROGRESS_IMAGE },
	};

	if (!kinds[event->kind].wanted)
		return false;
	*ret = (struct splitfd_progress){ .size = sizeof(*ret),
		.kind = kinds[event->kind].kind,
		.layer = event->layer,
		.text = event->id != NULL ? event->id : "",
		.bytes = event->bytes,
		.total = event->total };
	return true;
}

static void on_event(void *ctx, const struct sfd_copy_event *event)
{
	struct caller *c = ctx;
	struct splitfd_progress progress;

	if (!translate(event, &progress))
		return;
	pthread_mutex_lock(&c->lock);
	c->progress(c->ctx, &progress);
	pthread_mutex_unlock(&c->lock);
}

static const struct sfd_copy_listener *caller_init(
	struct caller *c, splitfd_progress_cb progress, void *ctx)
{
	*c = (struct caller){ .listener = { on_event, c }, .progress = progress, .ctx = ctx };
	pthread_mutex_init(&c->lock, NULL);
	return progress != NULL ? &c->listener : NULL;
}

static void caller_done(struct caller *c)
{
	pthread_mutex_destroy(&c->lock);
}

/* A peer that hangs up is an error, not a SIGPIPE for the caller. */
struct quiet {
	sigset_t before, pipe;
	bool pending; /* one that is not ours */
};

static void quiet_begin(struct quiet *q)
{
	sigset_t pending;

	sigemptyset(&q->pipe);
	sigaddset(&q->pipe, SIGPIPE);
	(void)sigpending(&pending);
	q->pending = sigismember(&pending, SIGPIPE) == 1;
	(void)pthread_sigmask(SIG_BLOCK, &q->pipe, &q->before);
}

static void quiet_end(const struct quiet *q)
{
	const struct timespec now = { 0, 0 };

	while (!q->pending && sigtimedwait(&q->pipe, NULL, &now) < 0 && errno == EINTR)
		;
	(void)pthread_sigmask(SIG_SETMASK, &q->before, NULL);
}

static long timeout_of(unsigned int seconds)
{
	return seconds == 0 ? DEFAULT_TIMEOUT : seconds > 1000000 ? 1000000 : (long)seconds;
}

static int run_pull(const struct sfd_pull_options *options, struct splitfd_pull_result *ret,
	struct splitfd_error *err)
{
	sfd_cleanup_pull struct sfd_pull *pull = NULL;
	struct sfd_pull_result result;
	int r = sfd_pull_check(options, err);

	if (r >= 0)
		r = sfd_pull_new(options, &pull, err);
	if (r >= 0)
		r = sfd_pull_run(pull, err);
	if (r < 0)
		return r;
	sfd_pull_get_result(pull, &result);
	memcpy(ret->manifest_digest, result.oci.manifest_digest, sizeof(ret->manifest_digest));
	memcpy(ret->config_digest, result.oci.config_digest, sizeof(ret->config_digest));
	ret->manifest = result.oci.manifest;
	ret->config = result.oci.config;
	ret->has_image = result.image != NULL;
	if (result.image != NULL)
		ret->image = *result.image;
	if (result.why_no_image != NULL)
		snprintf(ret->why_no_image, sizeof(ret->why_no_image), "%s", result.why_no_image);
	ret->stats = result.stats;
	return 0;
}

int splitfd_pull(const struct splitfd_pull_options *given, struct splitfd_pull_result *ret,
	struct splitfd_error *err)
{
	struct splitfd_pull_result result = { 0 };
	struct splitfd_pull_options o;
	struct sfd_pull_options options;
	struct caller caller;
	struct quiet quiet;
	int r = copy_options(given, given->size, &o, sizeof(o), err);

	if (r == 0)
		r = require(o.image, "image", err);
	if (r == 0)
		r = require(o.repository, "repository", err);
	if (r < 0)
		return r;
	if (o.jobs > SPLITFD_JOBS_MAX)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL, "jobs is %u, at most %d",
			o.jobs, SPLITFD_JOBS_MAX);
	options = (struct sfd_pull_options){ .reference = o.image,
		.name = o.tag,
		.repository = o.repository,
		.no_tag = o.no_tag,
		.no_image = o.no_image,
		.verify_diff_id = o.verify_diff_ids,
		.reflink = o.reflink,
		.jobs = (long)o.jobs,
		.proxy_arguments = o.skopeo_arguments,
		.skopeo = o.skopeo,
		.timeout = timeout_of(o.timeout),
		.listener = caller_init(&caller, o.progress, o.progress_ctx),
		.stop = o.stop != NULL ? &o.stop->event : NULL };
	if (o.store != NULL)
		options.store = *o.store;
	quiet_begin(&quiet);
	r = run_pull(&options, &result, err);
	quiet_end(&quiet);
	caller_done(&caller);
	if (r >= 0 && ret != NULL)
		copy_result(&result, sizeof(result), ret, ret->size);
	return r < 0 ? r : 0;
}

static void fill_push(const struct sfd_push_report *report, struct splitfd_push_result *ret)
{
	memcpy(ret->manifest_digest, report->final.manifest_digest, sizeof(ret->manifest_digest));
	memcpy(ret->config_digest, report->final.config_digest, sizeof(ret->config_digest));
	ret->layers_sent = report->layers_sent;
	ret->layers_present = report->layers_present;
	ret->bytes = report->sent.tar;
	ret->bytes_streamed = report->sent.stream;
	ret->objects_reflinked = report->objects.reflinked;
	ret->objects_hardlinked = report->objects.hardlinked;
	ret->objects_copied = report->objects.copied;
	ret->objects_present = report->objects.present;
}

static int check_push(const struct splitfd_push_options *o, struct splitfd_error *err)
{
	int r = require(o->image, "image", err);

	if (r == 0)
		r = require(o->service, "service", err);
	if (r == 0)
		r = require(o->repository, "repository", err);
	if (r == 0 && sfd_origin_is_stored(o->image))
		r = require(o->from_repository, "from_repository", err);
	return r;
}

int splitfd_push(const struct splitfd_push_options *given, struct splitfd_push_result *ret,
	struct splitfd_error *err)
{
	struct splitfd_push_result result = { 0 };
	struct splitfd_push_options o;
	struct sfd_push_options options;
	struct sfd_push_report report;
	struct caller caller;
	struct quiet quiet;
	int r = copy_options(given, given->size, &o, sizeof(o), err);

	if (r == 0)
		r = check_push(&o, err);
	if (r < 0)
		return r;
	options = (struct sfd_push_options){ .reference = o.image,
		.name = o.tag,
		.to = o.service,
		.repository = o.repository,
		.origin = { .repository = o.from_repository,
			.objects = -EBADF,
			.stop = o.stop != NULL ? &o.stop->event : NULL },
		.zerocopy = o.zerocopy,
		.timeout = timeout_of(o.timeout),
		.listener = caller_init(&caller, o.progress, o.progress_ctx) };
	if (o.store != NULL)
		options.origin.store = *o.store;
	quiet_begin(&quiet);
	r = sfd_push(&options, &report, err);
	quiet_end(&quiet);
	caller_done(&caller);
	if (r < 0)
		return r;
	fill_push(&report, &result);
	if (ret != NULL)
		copy_result(&result, sizeof(result), ret, ret->size);
	return 0;
}
