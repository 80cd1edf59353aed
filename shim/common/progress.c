/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/common/progress.h"
#include "shim/common/report.h"
#include "splitfdstream/base/clock.h"
#include "splitfdstream/base/thread.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define FIRST_MS   500
#define NEXT_MS	   100
#define BAR_WIDTH  32
#define BAR_MIN	   8
#define AROUND_BAR 42 /* a label and two sizes */
#define MAX_LINES  8  /* bars of layers on the screen at once */

struct layer_bar {
	char label[13];
	uint64_t total, bytes;
	bool known, done;
	uint64_t (*look)(const void *ctx);
	const void *look_ctx;
};

struct sfd_progress {
	pthread_mutex_t lock;
	pthread_cond_t ended;
	struct sfd_thread thread;
	bool end;
	int lines; /* on the screen now */
	size_t n;
	struct layer_bar bars[];
};

/* A line that fills the last column, or more lines than the screen has, could not be wiped. */
static void screen(size_t *columns, int *rows)
{
	struct winsize w = { 0 };
	bool told = ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0;

	*columns = told && w.ws_col > 0 ? w.ws_col - 1U : 79;
	*rows = told && w.ws_row > 0 ? w.ws_row - 1 : MAX_LINES + 1;
}

static bool can_move_cursor(void)
{
	const char *term = getenv("TERM");

	return isatty(STDERR_FILENO) && term != NULL && *term != '\0' && strcmp(term, "dumb") != 0;
}

static void wipe(struct sfd_progress *p)
{
	for (; p->lines > 0; p->lines--)
		fputs("\033[1A\033[2K", stderr);
}

static void draw_bar(size_t columns, const char *label, uint64_t bytes, uint64_t total, bool known)
{
	char bar[BAR_WIDTH + 4] = "", have[32], all[32], line[160];
	double part = known && total > 0 ? (double)bytes / (double)total : known ? 1 : 0;
	size_t width = columns > AROUND_BAR ? columns - AROUND_BAR : 0;

	if (width > BAR_WIDTH)
		width = BAR_WIDTH;
	if (width >= BAR_MIN) {
		snprintf(bar, sizeof(bar), "[%*s] ", (int)width, "");
		memset(bar + 1, '.', width);
		memset(bar + 1, '#', (size_t)((part > 1 ? 1 : part) * (double)width));
	}
	sfd_format_bytes(bytes, have);
	sfd_format_bytes(total, all);
	snprintf(line, sizeof(line), "%-12s %s%s / %s", label, bar, have, known ? all : "?");
	fprintf(stderr, "%.*s\n", (int)(columns < sizeof(line) ? columns : sizeof(line)), line);
}

static void draw(struct sfd_progress *p)
{
	uint64_t bytes = 0, total = 0;
	bool known = true;
	size_t columns;
	int rows;

	wipe(p);
	screen(&columns, &rows);
	if (rows < 1)
		return;
	for (size_t i = 0; i < p->n; i++) {
		struct layer_bar *b = &p->bars[i];

		if (b->look != NULL)
			b->bytes = b->look(b->look_ctx);
		b->done = b->done || (b->known && b->bytes >= b->total);
		bytes += b->bytes;
		total += b->total;
		known = known && b->known;
		if (b->bytes > 0 && !b->done && p->lines < MAX_LINES && p->lines + 1 < rows) {
			draw_bar(columns, b->label, b->bytes, b->total, b->known);
			p->lines++;
		}
	}
	draw_bar(columns, "image", bytes, total, known);
	p->lines++;
	fflush(stderr);
}

void sfd_progress_say(struct sfd_progress *p, const char *what, const char *text)
{
	if (p != NULL) {
		pthread_mutex_lock(&p->lock);
		wipe(p);
	}
	fprintf(stderr, "%s: %s\n", what, text);
	if (p != NULL)
		pthread_mutex_unlock(&p->lock);
}

/* Draws by itself: a file of some GiB is one chunk. */
static void *run(void *arg)
{
	struct sfd_progress *p = arg;
	struct timespec next;

	(void)clock_gettime(CLOCK_MONOTONIC, &next);
	next.tv_nsec += FIRST_MS * 1000000;
	pthread_mutex_lock(&p->lock);
	while (!p->end) {
		next.tv_sec += next.tv_nsec / 1000000000;
		next.tv_nsec %= 1000000000;
		if (pthread_cond_timedwait(&p->ended, &p->lock, &next) == 0)
			continue;
		draw(p);
		(void)clock_gettime(CLOCK_MONOTONIC, &next);
		next.tv_nsec += NEXT_MS * 1000000;
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static int start(struct sfd_progress *p)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->ended, &attr);
	pthread_condattr_destroy(&attr);
	return sfd_thread_start(&p->thread, SFD_STACK_SMALL, run, p);
}

struct sfd_progress *sfd_progress_new(size_t n_layers)
{
	struct sfd_progress *p;

	if (!can_move_cursor())
		return NULL;
	p = calloc(1, sizeof(*p) + n_layers * sizeof(p->bars[0]));
	if (p == NULL)
		return NULL;
	p->n = n_layers;
	if (start(p) != 0) {
		pthread_cond_destroy(&p->ended);
		pthread_mutex_destroy(&p->lock);
		free(p);
		return NULL;
	}
	return p;
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

void sfd_progress_watch(
	struct sfd_progress *p, size_t i, uint64_t (*look)(const void *ctx), const void *ctx)
{
	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	p->bars[i].look = look;
	p->bars[i].look_ctx = ctx;
	pthread_mutex_unlock(&p->lock);
}

void sfd_progress_update(struct sfd_progress *p, size_t i, uint64_t bytes)
{
	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	p->bars[i].bytes = bytes;
	pthread_mutex_unlock(&p->lock);
}

void sfd_progress_done(struct sfd_progress *p, size_t i)
{
	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	p->bars[i].done = true;
	p->bars[i].look = NULL;
	if (p->bars[i].known)
		p->bars[i].bytes = p->bars[i].total;
	pthread_mutex_unlock(&p->lock);
}

struct sfd_progress *sfd_progress_free(struct sfd_progress *p)
{
	if (p != NULL) {
		pthread_mutex_lock(&p->lock);
		p->end = true;
		pthread_cond_signal(&p->ended);
		pthread_mutex_unlock(&p->lock);
		sfd_thread_join(&p->thread);
		wipe(p);
		fflush(stderr);
		pthread_cond_destroy(&p->ended);
		pthread_mutex_destroy(&p->lock);
		free(p);
	}
	return NULL;
}

static void on_event(void *ctx, const struct sfd_copy_event *e)
{
	struct sfd_bars *b = ctx;

	switch (e->kind) {
	case SFD_COPY_BEGIN:
		b->progress = b->quiet ? NULL : sfd_progress_new((size_t)e->total);
		break;
	case SFD_COPY_LAYER:
		sfd_progress_layer(b->progress, e->layer, e->id, e->total);
		break;
	case SFD_COPY_STARTED:
		if (e->worked != NULL)
			sfd_progress_watch(b->progress, e->layer, e->worked, e->worked_ctx);
		break;
	case SFD_COPY_PROGRESS:
		sfd_progress_update(b->progress, e->layer, e->bytes);
		break;
	case SFD_COPY_STORED:
		sfd_progress_done(b->progress, e->layer);
		break;
	case SFD_COPY_MESSAGE:
		sfd_progress_say(b->progress, "note", e->id);
		break;
	case SFD_COPY_END:
		b->progress = sfd_progress_free(b->progress);
		break;
	case SFD_COPY_SKIPPED:
	case SFD_COPY_DONE:
	case SFD_COPY_STAGE:
		break;
	}
}

void sfd_bars_init(struct sfd_bars *bars, bool quiet)
{
	*bars = (struct sfd_bars){ .listener = { on_event, bars }, .quiet = quiet };
}
