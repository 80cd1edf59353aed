/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pulls an image into a composefs repository by libsplitfd, with progress on stderr; SIGINT ends
 *it.
 *
 *	cc splitfd-pull.c -o splitfd-pull -pthread $(pkg-config --cflags --libs splitfd)
 *	splitfd-pull REPOSITORY IMAGE [IMAGE...]
 *
 * Several images are pulled at once, each on a thread of its own. With
 *SPLITFD_PULL_STOP_AFTER=BYTES the first pull that has read so many bytes ends all of them.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <transport/copy/copy.h>

struct job {
	pthread_t thread;
	const char *repository, *image;
	struct splitfd_pull_result result;
	struct splitfd_error err;
	unsigned long long stop_after; /* bytes; 0: never */
	int r;
};

/* For the signal's handler: set before it is installed. */
static struct splitfd_stop *stop;

static void on_signal(int signo)
{
	(void)signo;
	splitfd_stop_now(stop);
}

static void on_progress(void *ctx, const struct splitfd_progress *p)
{
	struct job *job = ctx;

	switch (p->kind) {
	case SPLITFD_PROGRESS_IMAGE:
		fprintf(stderr, "%s: %llu layers\n", job->image, (unsigned long long)p->total);
		break;
	case SPLITFD_PROGRESS_PRESENT:
		fprintf(stderr, "%s: layer %zu is present\n", job->image, p->layer);
		break;
	case SPLITFD_PROGRESS_READ:
		if (job->stop_after > 0 && p->bytes >= job->stop_after)
			splitfd_stop_now(stop);
		fprintf(stderr, "%s: layer %zu: %llu bytes\n", job->image, p->layer,
			(unsigned long long)p->bytes);
		break;
	case SPLITFD_PROGRESS_STORED:
		fprintf(stderr, "%s: layer %zu is stored\n", job->image, p->layer);
		break;
	case SPLITFD_PROGRESS_NOTE:
		fprintf(stderr, "%s: %s\n", job->image, p->text);
		break;
	default: /* also what later releases add */
		break;
	}
}

static void *pull(void *arg)
{
	struct job *job = arg;
	const struct splitfd_pull_options options = { .size = sizeof(options),
		.image = job->image,
		.repository = job->repository,
		.progress = on_progress,
		.progress_ctx = job,
		.stop = stop };

	job->result.size = sizeof(job->result);
	job->r = splitfd_pull(&options, &job->result, &job->err);
	return NULL;
}

static int report(const struct job *job)
{
	char hex[2 * SPLITFD_DIGEST_MAX + 1] = "none";

	if (job->r < 0) {
		fprintf(stderr, "splitfd-pull: %s: %s\n", job->image, job->err.text);
		return 1;
	}
	if (job->result.has_image)
		splitfd_digest_hex(&job->result.image, hex);
	printf("%s %s %s\n", job->image, job->result.manifest_digest, hex);
	return 0;
}

static int pull_all(struct job *jobs, int n)
{
	int started = 0, failed = 0;

	while (started < n &&
		pthread_create(&jobs[started].thread, NULL, pull, &jobs[started]) == 0)
		started++;
	for (int i = 0; i < started; i++) {
		pthread_join(jobs[i].thread, NULL);
		failed |= report(&jobs[i]);
	}
	return started == n ? failed : 1;
}

int main(int argc, char **argv)
{
	const char *after = getenv("SPLITFD_PULL_STOP_AFTER");
	struct sigaction action;
	struct splitfd_error err;
	struct job *jobs;
	int failed;

	if (argc < 3) {
		fprintf(stderr, "usage: splitfd-pull REPOSITORY IMAGE [IMAGE...]\n");
		return 2;
	}
	if (splitfd_stop_new(&stop, &err) < 0) {
		fprintf(stderr, "splitfd-pull: %s\n", err.text);
		return 1;
	}
	memset(&action, 0, sizeof(action));
	action.sa_handler = on_signal;
	sigaction(SIGINT, &action, NULL);
	jobs = calloc((size_t)argc, sizeof(*jobs));
	if (jobs == NULL)
		return 1;
	for (int i = 2; i < argc; i++) {
		jobs[i - 2].repository = argv[1];
		jobs[i - 2].image = argv[i];
		jobs[i - 2].stop_after = after != NULL ? strtoull(after, NULL, 10) : 0;
	}
	failed = pull_all(jobs, argc - 2);
	free(jobs);
	stop = splitfd_stop_free(stop);
	return failed;
}
