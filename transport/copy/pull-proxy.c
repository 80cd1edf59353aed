/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/copy/pull-proxy.h"
#include "transport/copy/pull-artifact.h"
#include "transport/copy/reference.h"
#include "transport/copy/needs.h"
#include "splitfdstream/base/buffer.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/cpus.h"
#include "splitfdstream/base/thread.h"
#include "transport/composefs/repository-private.h"
#include "transport/skopeo/policy-old-skopeo.h"
#include "transport/skopeo/proxy-client.h"
#include "transport/skopeo/proxy-pull.h"
#include "transport/skopeo/real-skopeo.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

SFD_DEFINE_CLEANUP(cleanup_proxy, struct sfd_proxy, sfd_proxy_stop);
SFD_DEFINE_CLEANUP(cleanup_remote, struct sfd_remote_image, sfd_remote_close);
SFD_DEFINE_CLEANUP(cleanup_source, struct splitfd_source, splitfd_source_free);

/* More layers at once would not be faster, but hold a connection and buffers each. */
#define WORKERS_MAX 8

/* The store options as a reference's specifier, which has no quoting. */
static int put_specifier(
	struct sfd_buffer *b, const struct splitfd_store_options *o, struct splitfd_error *err)
{
	const char *const *options = o->options;
	int r = sfd_buffer_append_str(b, "[");

	if (o->root == NULL || o->root[0] != '/' || strpbrk(o->root, "@:+]") != NULL ||
		(o->runroot != NULL && (o->runroot[0] != '/' || strpbrk(o->runroot, ":]") != NULL)))
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"skopeo is given the store as [DRIVER@ROOT+RUNROOT:OPTIONS]: name the "
			"store by "
			"--root and an absolute path without '@', ':', '+' and ']'");
	if (r == 0 && o->driver != NULL)
		r = sfd_buffer_printf(b, "%s@", o->driver);
	if (r == 0)
		r = sfd_buffer_append_str(b, o->root);
	if (r == 0 && o->runroot != NULL)
		r = sfd_buffer_printf(b, "+%s", o->runroot);
	for (size_t i = 0; r == 0 && options != NULL && options[i] != NULL; i++)
		r = sfd_buffer_printf(b, "%c%s", i == 0 ? ':' : ',', options[i]);
	if (r == 0)
		r = sfd_buffer_append_str(b, "]");
	return r < 0 ? splitfd_error_oom(err) : 0;
}

/* What skopeo calls the image: an image of the store by that transport, with the store's options
 * where it has no specifier. Appended to *ret with its NUL. */
static int put_reference(
	const struct sfd_pull_options *o, struct sfd_buffer *ret, struct splitfd_error *err)
{
	static const char storage[] = "containers-storage:";
	const struct splitfd_store_options *store = &o->store;
	const char *name = o->reference;
	int r = 0;

	if (sfd_reference_kind(name) == SFD_REFERENCE_STORE) {
		if (strncmp(name, storage, sizeof(storage) - 1) == 0)
			name += sizeof(storage) - 1;
		if (sfd_buffer_append_str(ret, storage) < 0)
			return splitfd_error_oom(err);
		if (name[0] != '[' && (store->root != NULL || store->runroot != NULL ||
					      store->driver != NULL || store->options != NULL))
			r = put_specifier(ret, store, err);
	}
	if (r == 0 && sfd_buffer_append(ret, name, strlen(name) + 1) < 0)
		return splitfd_error_oom(err);
	return r;
}

static int stall_ms(const struct sfd_pull_options *o)
{
	return o->timeout > 0 ? (int)o->timeout * 1000 : INT_MAX;
}

/* --skopeo may name splitfd, too: nothing goes round in circles here. */
static int start(const struct sfd_pull *pull, struct sfd_proxy **ret, struct splitfd_error *err)
{
	const struct sfd_pull_options *o = sfd_pull_get_options(pull);
	sfd_cleanup_free char *found = NULL;
	int r = o->skopeo == NULL ? sfd_find_skopeo(NULL, &found, err) : 0;

	if (r < 0)
		return splitfd_error_wrap(err, r, "this transport is read by skopeo");
	return sfd_proxy_start(
		&(struct sfd_proxy_options){ .program = found != NULL ? found : o->skopeo,
			.arguments = o->proxy_arguments,
			.stall_ms = stall_ms(o),
			.cancel = sfd_pull_cancel_flag(pull),
			.cancel_fd = sfd_pull_cancel_fd(pull) },
		ret, err);
}

static int begin(
	struct sfd_pull *pull, const struct sfd_remote_image *image, struct splitfd_error *err)
{
	sfd_cleanup_free const char **diff_ids = calloc(image->n_layers + 1, sizeof(*diff_ids));

	if (image->artifact)
		return sfd_pull_begin(pull, image->manifest, image->manifest_size, image->config,
			image->config_size, NULL, 0, err);
	if (diff_ids == NULL)
		return splitfd_error_oom(err);
	for (size_t i = 0; i < image->n_layers; i++)
		diff_ids[i] = image->layers[i].diff_id;
	/* What another process gives is never taken at its word. */
	sfd_pull_verify_diff_ids(pull);
	if (image->original != NULL)
		sfd_pull_original(pull, image->original);
	return sfd_pull_begin(pull, image->manifest, image->manifest_size, image->config,
		image->config_size, diff_ids, image->n_layers, err);
}

/* The layers that are wanted, and who works on them. */
struct work {
	struct sfd_pull *pull;
	struct sfd_remote_image *image;
	size_t *order; /* indices of layers, the largest first */
	size_t n;
	atomic_size_t next;
	atomic_bool failed;
	pthread_mutex_t lock;
	int result;
	struct splitfd_error err; /* of the first that failed */
};

static void note_failure(struct work *w, int r, const struct splitfd_error *err)
{
	pthread_mutex_lock(&w->lock);
	if (w->result == 0) {
		w->result = r;
		w->err = *err;
	}
	pthread_mutex_unlock(&w->lock);
	atomic_store(&w->failed, true);
	sfd_proxy_hang_up(w->image->proxy); /* the other layers are not wanted any more */
}

static int pull_layer(struct work *w, size_t i, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_source) struct splitfd_source *source = NULL;
	int r;

	r = sfd_remote_layer(w->image, i, sfd_pull_repository(w->pull)->fd,
		stall_ms(sfd_pull_get_options(w->pull)), &source, err);
	if (r == 0)
		r = sfd_pull_feed(w->pull, i, source, err);
	if (r < 0)
		return splitfd_error_wrap(err, r, "layer %s", w->image->layers[i].diff_id);
	return 0;
}

static void *worker(void *arg)
{
	struct work *w = arg;
	struct splitfd_error err = { 0 };

	while (!atomic_load(&w->failed)) {
		size_t at = atomic_fetch_add(&w->next, 1);
		int r;

		if (at >= w->n)
			break;
		r = pull_layer(w, w->order[at], &err);
		if (r < 0)
			note_failure(w, r, &err);
	}
	return NULL;
}

static uint64_t weight(const struct sfd_remote_layer *layer)
{
	return layer->size == UINT64_MAX ? 0 : layer->size;
}

static int compare(const void *a, const void *b, void *image)
{
	const struct sfd_remote_layer *layers = ((const struct sfd_remote_image *)image)->layers;
	uint64_t x = weight(&layers[*(const size_t *)a]), y = weight(&layers[*(const size_t *)b]);

	return x < y ? 1 : x > y ? -1 : 0;
}

/* Sinks are asked for in the image's order, so that a repeated layer belongs to its first. */
static int choose(struct work *w, struct splitfd_error *err)
{
	for (size_t i = 0; i < w->image->n_layers; i++) {
		struct splitfd_sink *sink;
		int r = sfd_pull_layer_sink(w->pull, i, UINT64_MAX, &sink, err);

		if (r < 0)
			return r;
		if (sink != NULL)
			w->order[w->n++] = i;
	}
	qsort_r(w->order, w->n, sizeof(*w->order), compare, w->image);
	return 0;
}

static size_t count_workers(const struct work *w)
{
	long jobs = sfd_pull_get_options(w->pull)->jobs;
	size_t n = w->n < WORKERS_MAX ? w->n : WORKERS_MAX;

	if (jobs == 0)
		jobs = sfd_count_cpus() + 1; /* one more, while another waits for the network */
	return (size_t)jobs < n ? (size_t)jobs : n;
}

static int run_workers(struct work *w, struct splitfd_error *err)
{
	struct sfd_thread threads[WORKERS_MAX];
	size_t n = count_workers(w), started = 0;

	while (started < n && sfd_thread_start(&threads[started], SFD_STACK_LARGE, worker, w) == 0)
		started++;
	if (started == 0)
		worker(w);
	for (size_t i = 0; i < started; i++)
		sfd_thread_join(&threads[i]);
	return w->result < 0 ? splitfd_error_copy(err, w->result, &w->err) : w->result;
}

static int pull_layers(
	struct sfd_pull *pull, struct sfd_remote_image *image, struct splitfd_error *err)
{
	sfd_cleanup_free size_t *order = calloc(image->n_layers + 1, sizeof(*order));
	struct work w = { .pull = pull, .image = image, .order = order };
	int r;

	if (order == NULL)
		return splitfd_error_oom(err);
	pthread_mutex_init(&w.lock, NULL);
	r = choose(&w, err);
	if (r == 0 && w.n > 0)
		r = run_workers(&w, err);
	pthread_mutex_destroy(&w.lock);
	return r;
}

static int pull_image(struct sfd_pull *pull, struct sfd_proxy *proxy, const char *reference,
	struct splitfd_error *err)
{
	sfd_cleanup(cleanup_remote) struct sfd_remote_image *image = NULL;
	int r = sfd_remote_open(proxy, reference, &image, err);

	if (r < 0)
		return splitfd_error_wrap(err, r, "'%s'", reference);
	r = begin(pull, image, err);
	if (r < 0)
		return splitfd_error_wrap(err, r, "'%s'", reference);
	if (image->artifact)
		return sfd_pull_artifact(pull, image, stall_ms(sfd_pull_get_options(pull)), err);
	return pull_layers(pull, image, err);
}

int sfd_pull_from_proxy(struct sfd_pull *pull, struct splitfd_error *err)
{
	const struct sfd_pull_options *o = sfd_pull_get_options(pull);
	sfd_cleanup(cleanup_proxy) struct sfd_proxy *proxy = NULL;
	sfd_cleanup_buffer struct sfd_buffer reference = { .max = 65536 };
	int r = put_reference(o, &reference, err);

	if (r == 0)
		r = start(pull, &proxy, err);
	if (r == 0)
		r = sfd_policy_check_reference(
			proxy, o->proxy_arguments, (const char *)reference.data, err);
	/* Only now: skopeo itself must not be confined. */
	sfd_announce_needs(o->confine, &(struct sfd_needs){ .repository = sfd_pull_repository(pull),
					       .objects = -EBADF,
					       .ends_processes = true });
	if (r < 0)
		return splitfd_error_wrap(err, r, "'%s'", o->reference);
	return pull_image(pull, proxy, (const char *)reference.data, err);
}
