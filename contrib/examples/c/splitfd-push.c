/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pushes an image of containers-storage into the repository of a composefs service (cfsctl varlink)
 * by libsplitfd, with progress on stderr; SIGINT ends it.
 *
 *	cc splitfd-push.c -o splitfd-push -pthread $(pkg-config --cflags --libs splitfd)
 *	splitfd-push SOCKET REPOSITORY IMAGE [TAG]
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <transport/copy/copy.h>

/* For the signal's handler: set before it is installed. */
static struct splitfd_stop *stop;

static void on_signal(int signo)
{
	(void)signo;
	splitfd_stop_now(stop);
}

static void on_progress(void *ctx, const struct splitfd_progress *p)
{
	(void)ctx;
	switch (p->kind) {
	case SPLITFD_PROGRESS_IMAGE:
		fprintf(stderr, "%llu layers\n", (unsigned long long)p->total);
		break;
	case SPLITFD_PROGRESS_PRESENT:
		fprintf(stderr, "layer %zu is present\n", p->layer);
		break;
	case SPLITFD_PROGRESS_STORED:
		fprintf(stderr, "layer %zu is stored\n", p->layer);
		break;
	case SPLITFD_PROGRESS_NOTE:
		fprintf(stderr, "%s\n", p->text);
		break;
	default: /* also what later releases add */
		break;
	}
}

int main(int argc, char **argv)
{
	struct splitfd_push_options options = { .size = sizeof(options), .progress = on_progress };
	struct splitfd_push_result result = { .size = sizeof(result) };
	struct sigaction action;
	struct splitfd_error err;
	int r;

	if (argc < 4 || argc > 5) {
		fprintf(stderr, "usage: splitfd-push SOCKET REPOSITORY IMAGE [TAG]\n");
		return 2;
	}
	r = splitfd_stop_new(&stop, &err);
	if (r == 0) {
		memset(&action, 0, sizeof(action));
		action.sa_handler = on_signal;
		sigaction(SIGINT, &action, NULL);
		options.service = argv[1];
		options.repository = argv[2];
		options.image = argv[3];
		options.tag = argv[4]; /* NULL where there is none */
		options.stop = stop;
		r = splitfd_push(&options, &result, &err);
	}
	if (r < 0)
		fprintf(stderr, "splitfd-push: %s: %s\n", argv[3], err.text);
	else
		printf("%s: %llu layers sent, %llu present, %llu files reflinked, %llu copied\n",
			result.manifest_digest, (unsigned long long)result.layers_sent,
			(unsigned long long)result.layers_present,
			(unsigned long long)result.objects_reflinked,
			(unsigned long long)result.objects_copied);
	stop = splitfd_stop_free(stop);
	return r < 0;
}
