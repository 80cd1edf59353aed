/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/progress.h"
#include "shim/report.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BAR_WIDTH 32
#define MAX_LINES 8 /* bars of layers on the screen at once */

struct layer_bar {
	char label[13];
	uint64_t total, bytes;
	bool known, done;
};

struct sfd_progress {
	pthread_mutex_t lock;
	int64_t start, drawn; /* monotonic milliseconds */
	int lines;	      /* on the screen now */
	size_t n;
	struct layer_bar bars[];
};

static int64_t now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

struct sfd_progress *sfd_progress_new(size_t n_layers)
{
	struct sfd_progress *p;

	if (!isatty(STDERR_FILENO))
		return NULL;
	p = calloc(1, sizeof(*p) + n_layers * sizeof(p->bars[0]));
	if (p == NULL)
		return NULL;
	pthread_mutex_init(&p->lock, NULL);
	p->n = n_layers;
	p->start = now_ms();
	return p;
}

static void wipe(struct sfd_progress *p)
{
	for (; p->lines > 0; p->lines--)
		fputs("\033[1A\033[2K", stderr);
}

static void draw_bar(const char *label, uint64_t bytes, uint64_t total, bool known)
{
	char bar[BAR_WIDTH + 1], have[32], all[32];
	double part = known && total > 0 ? (double)bytes / (double)total : known ? 1 : 0;
	size_t full = (size_t)((part > 1 ? 1 : part) * BAR_WIDTH);

	memset(bar, '.', BAR_WIDTH);
	memset(bar, '#', full);
	bar[BAR_WIDTH] = '\0';
	sfd_format_bytes(bytes, have);
	sfd_format_bytes(total, all);
	fprintf(stderr, "%-12s [%s] %s / %s\n", label, bar, have, known ? all : "?");
}

static void draw(struct sfd_progress *p)
{
	uint64_t bytes = 0, total = 0;
	bool known = true;

	wipe(p);
	for (size_t i = 0; i < p->n; i++) {
		const struct layer_bar *b = &p->bars[i];

		bytes += b->bytes;
		total += b->total;
		known = known && b->known;
		if (b->bytes > 0 && !b->done && p->lines < MAX_LINES) {
			draw_bar(b->label, b->bytes, b->total, b->known);
			p->lines++;
		}
	}
	draw_bar("image", bytes, total, known);
	p->lines++;
	fflush(stderr);
}

void sfd_progress_layer(struct sfd_progress *p, size_t i, const char *diff_id, uint64_t total)
{
	const char *hex = strchr(diff_id, ':');

	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	snprintf(p->bars[i].label, sizeof(p->bars[i].label), "%.12s",
		hex != NULL ? hex + 1 : diff_id);
	p->bars[i].known = total != UINT64_MAX;
	p->bars[i].total = p->bars[i].known ? total : 0;
	pthread_mutex_unlock(&p->lock);
}

void sfd_progress_update(struct sfd_progress *p, size_t i, uint64_t bytes)
{
	int64_t now;

	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	p->bars[i].bytes = bytes;
	now = now_ms();
	if (now - p->start > 500 && now - p->drawn > 100) {
		p->drawn = now;
		draw(p);
	}
	pthread_mutex_unlock(&p->lock);
}

void sfd_progress_done(struct sfd_progress *p, size_t i)
{
	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	p->bars[i].done = true;
	if (p->bars[i].known)
		p->bars[i].bytes = p->bars[i].total;
	pthread_mutex_unlock(&p->lock);
}

struct sfd_progress *sfd_progress_free(struct sfd_progress *p)
{
	if (p != NULL) {
		wipe(p);
		fflush(stderr);
		pthread_mutex_destroy(&p->lock);
		free(p);
	}
	return NULL;
}
