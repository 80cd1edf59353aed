/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/fsck/fsck-private.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/cpus.h"
#include "splitfdstream/base/flag.h"
#include "splitfdstream/base/thread.h"
#include "transport/composefs/object-check.h"
#include "transport/composefs/object-store.h"
#include "transport/composefs/repository-private.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

int sfd_fsck_add(struct sfd_fsck *f, struct sfd_fsck_texts *texts, const char *format, ...)
{
	struct splitfd_error text = { 0 }; /* escapes what a terminal should not see */
	char line[sizeof(text.text)];
	char *copy, **items;
	va_list ap;

	va_start(ap, format);
	vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	splitfd_error_set(&text, SPLITFD_ERROR_REFUSED, EBADMSG, "fsck: %s", line);
	copy = strdup(text.text);
	if (copy == NULL)
		return -ENOMEM;
	pthread_mutex_lock(&f->lock);
	items = reallocarray(texts->items, texts->n + 1, sizeof(*items));
	if (items != NULL) {
		texts->items = items;
		items[texts->n++] = copy;
	}
	pthread_mutex_unlock(&f->lock);
	if (items == NULL)
		free(copy);
	return items != NULL ? 0 : -ENOMEM;
}

void sfd_fsck_count(struct sfd_fsck *f, uint64_t *counter, uint64_t n)
{
	pthread_mutex_lock(&f->lock);
	*counter += n;
	pthread_mutex_unlock(&f->lock);
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void sfd_fsck_sort(struct sfd_fsck_texts *texts, size_t first)
{
	if (texts->n > first)
		qsort(texts->items + first, texts->n - first, sizeof(*texts->items), compare_texts);
}

int sfd_fsck_cancelled(const struct sfd_fsck *f, struct splitfd_error *err)
{
	if (!sfd_flag_is_set(f->options->cancel))
		return 0;
	return splitfd_error_set(err, SPLITFD_ERROR_FAILED, ECANCELED, "interrupted");
}

const char *sfd_fsck_reason(int r)
{
	switch (r) {
	case -EINVAL:
		return "no regular file";
	case -ELOOP:
		return "behind a symbolic link";
	case -EXDEV:
		return "outside of the repository";
	default:
		return strerror(-r);
	}
}

const char *sfd_fsck_open_reason(int dir, const char *name, int flags, int errnum)
{
	struct stat st;

	if (errnum != EINVAL || fstatat(dir, name, &st, flags) < 0)
		return sfd_fsck_reason(-errnum);
	return S_ISREG(st.st_mode) ? "its fs-verity data is damaged" : "no regular file";
}

bool sfd_fsck_has_object(struct sfd_fsck *f, const struct splitfd_digest *digest)
{
	char path[SFD_OBJECT_PATH_SIZE];
	int objects = sfd_repository_objects(f->repository, false, NULL);
	struct stat st;
	int r;

	sfd_object_path(digest, path);
	if (objects < 0)
		return false;
	r = sfd_object_stat(f->repository, objects, digest, &st);
	if (r == 0)
		return S_ISREG(st.st_mode);
	if (r == -ENOENT || r == -ENOTDIR)
		return false;
	/* Nobody knows whether it is missing. */
	return sfd_fsck_add(f, &f->report->errors, "object-check-failed: %s: %s", path,
		       sfd_fsck_reason(r)) == 0;
}

/* Work shared by threads. */
struct spread {
	struct sfd_fsck *f;
	size_t n, next; /* atomic */
	int (*work)(struct sfd_fsck *f, void *ctx, size_t i, struct splitfd_error *err);
	void *ctx;
	struct splitfd_error failed; /* the first; by f->lock */
};

static void *spread_thread(void *data)
{
	struct spread *s = data;

	for (;;) {
		size_t i = __atomic_fetch_add(&s->next, 1, __ATOMIC_RELAXED);
		struct splitfd_error err = { 0 };
		int r;

		if (i >= s->n)
			return NULL;
		r = sfd_fsck_cancelled(s->f, &err);
		if (r == 0)
			r = s->work(s->f, s->ctx, i, &err);
		if (r == 0)
			continue;
		if (err.errnum == 0)
			splitfd_error_sys(&err, -r, "fsck");
		pthread_mutex_lock(&s->f->lock);
		if (s->failed.errnum == 0)
			s->failed = err;
		pthread_mutex_unlock(&s->f->lock);
		__atomic_store_n(&s->next, s->n, __ATOMIC_RELAXED);
	}
}

static unsigned int count_jobs(const struct sfd_fsck *f, size_t n)
{
	unsigned int jobs = f->options->jobs;

	if (jobs == 0)
		jobs = sfd_count_cpus();
	if (jobs > SPLITFD_JOBS_MAX)
		jobs = SPLITFD_JOBS_MAX;
	return jobs > n ? (unsigned int)n : jobs;
}

int sfd_fsck_spread(struct sfd_fsck *f, size_t n,
	int (*work)(struct sfd_fsck *f, void *ctx, size_t i, struct splitfd_error *err), void *ctx,
	struct splitfd_error *err)
{
	struct spread s = { .f = f, .n = n, .work = work, .ctx = ctx };
	unsigned int jobs = count_jobs(f, n), started = 0;
	struct sfd_thread threads[SPLITFD_JOBS_MAX];

	/* This thread works too; where no other can be started it works alone. */
	while (started + 1 < jobs &&
		sfd_thread_start(&threads[started], SFD_STACK_LARGE, spread_thread, &s) == 0)
		started++;
	spread_thread(&s);
	while (started > 0)
		sfd_thread_join(&threads[--started]);
	if (s.failed.errnum == 0)
		return 0;
	return splitfd_error_copy(err, -s.failed.errnum, &s.failed);
}

static void texts_done(struct sfd_fsck_texts *texts)
{
	for (size_t i = 0; i < texts->n; i++)
		free(texts->items[i]);
	free(texts->items);
}

void sfd_fsck_report_done(struct sfd_fsck_report *report)
{
	texts_done(&report->errors);
	texts_done(&report->oci_errors);
	memset(report, 0, sizeof(*report));
}
