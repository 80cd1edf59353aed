/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/import/import-private.h"
#include "splitfdstream/base/cpus.h"
#include "transport/composefs/stream/layer-whole.h"
#include "transport/composefs/object-check.h"
#include "transport/composefs/object-store.h"
#include "transport/composefs/images/realign.h"

#include <string.h>
#include <sys/resource.h>

/* Descriptors that the rest of the program may need beside the workers'. */
#define OTHER_FDS 34
#define AUTO_JOBS 12U /* a worker has about 1 MiB of its own */

SFD_DEFINE_CLEANUP(cleanup_import, struct splitfd_import, splitfd_import_free);

/* How many of so many workers may make files at once: see store_each in import-small.c. */
static unsigned int plan_storing(unsigned int jobs)
{
	unsigned int cpus = sfd_count_cpus();

	return jobs < cpus ? jobs : cpus;
}

unsigned int sfd_import_auto_jobs(void)
{
	unsigned int cpus = sfd_count_cpus();

	return cpus < AUTO_JOBS ? cpus : AUTO_JOBS;
}

/* How many workers, and how many files each has open at once, under the limit of descriptors. A
 * worker also needs one for the object in the making. */
static unsigned int plan_workers(struct splitfd_import *import)
{
	struct rlimit limit = { .rlim_cur = 1024 };
	unsigned int jobs = import->options.jobs;
	size_t fds, batch, others;

	if (jobs == 0)
		jobs = sfd_import_auto_jobs();
	(void)getrlimit(RLIMIT_NOFILE, &limit);
	others = OTHER_FDS + sfd_object_dirs_kept();
	fds = limit.rlim_cur > others + 4 ? limit.rlim_cur - others : 4;
	if (jobs > SPLITFD_JOBS_MAX)
		jobs = SPLITFD_JOBS_MAX;
	if (jobs > fds / 3)
		jobs = (unsigned int)(fds / 3);
	jobs = jobs < 1 ? 1 : jobs;
	batch = fds / jobs - 1;
	import->batch_max = batch < SFD_VERITY_FILES_MAX ? batch : SFD_VERITY_FILES_MAX;
	return jobs;
}

int splitfd_import_new(struct splitfd_repository *repository,
	const struct splitfd_import_options *options, struct splitfd_import **ret,
	struct splitfd_error *err)
{
	sfd_cleanup(cleanup_import) struct splitfd_import *import = calloc(1, sizeof(*import));
	unsigned int jobs;
	int r;

	if (import == NULL)
		return splitfd_error_oom(err);
	import->repository = repository;
	import->options = *options;
	import->layers_end = &import->layers;
	jobs = plan_workers(import);
	sem_init(&import->storing, 0, plan_storing(jobs));
	pthread_mutex_init(&import->lock, NULL);
	pthread_cond_init(&import->work, NULL);
	pthread_cond_init(&import->done, NULL);
	import->table = sfd_object_table_new(repository->algorithm);
	import->cloner = sfd_cloner_new(
		repository, options->reflink, options->foreign_source, options->cancel);
	import->names = sfd_names_new(repository);
	if (import->table == NULL || import->cloner == NULL || import->names == NULL)
		return splitfd_error_oom(err);
	r = sfd_import_start(import, jobs, err);
	if (r < 0)
		return r;
	*ret = sfd_take_ptr(&import);
	return 0;
}

struct splitfd_import *splitfd_import_free(struct splitfd_import *import)
{
	if (import == NULL)
		return NULL;
	sfd_import_stop(import);
	/* What was interrupted need not be done again. Nothing is promised of it, so that an error
	 * is none to report. */
	(void)sfd_objects_publish(import->repository, NULL);
	sfd_names_free(import->names);
	sfd_cloner_free(import->cloner);
	sfd_object_table_free(import->table);
	pthread_cond_destroy(&import->done);
	pthread_cond_destroy(&import->work);
	pthread_mutex_destroy(&import->lock);
	sem_destroy(&import->storing);
	free(import);
	return NULL;
}

void splitfd_import_stats(const struct splitfd_import *import, struct splitfd_import_stats *ret)
{
	struct splitfd_import *i = (struct splitfd_import *)(uintptr_t)import;

	pthread_mutex_lock(&i->lock);
	*ret = i->stats;
	pthread_mutex_unlock(&i->lock);
}

void sfd_import_count_present(struct splitfd_import *import)
{
	pthread_mutex_lock(&import->lock);
	import->stats.layers_already_present++;
	pthread_mutex_unlock(&import->lock);
}

void sfd_import_count_object(struct splitfd_import *import, enum sfd_object_how how, uint64_t size)
{
	pthread_mutex_lock(&import->lock);
	if (how == SFD_OBJECT_PRESENT) {
		import->stats.objects_already_present++;
	} else {
		import->stats.objects_copied++;
		import->stats.bytes_copied += size;
	}
	pthread_mutex_unlock(&import->lock);
}

struct sfd_names *sfd_import_names(struct splitfd_import *import)
{
	return import->names;
}

int splitfd_import_commit(struct splitfd_import *import, struct splitfd_error *err)
{
	int r = sfd_names_settle(import->names, err);

	if (r == 0)
		r = sfd_realign(import->repository, import->names, NULL, err);
	if (r == 0)
		r = sfd_names_commit(import->names, err);
	return r < 0 ? r : 0;
}

int splitfd_repository_has_layer(struct splitfd_repository *repository, const char *diff_id,
	struct splitfd_digest *ret, struct splitfd_error *err)
{
	char name[128];
	int r;

	if (snprintf(name, sizeof(name), "streams/oci-layer-%s", diff_id) >= (int)sizeof(name))
		return splitfd_error_set(
			err, SPLITFD_ERROR_REFUSED, EINVAL, "'%s' is not a diff_id", diff_id);
	r = sfd_name_find(repository, name, ret, err);
	/* Storing a layer that is not whole mends it. */
	return r <= 0 || repository->distrust ? (r < 0 ? r : 0)
					      : sfd_layer_is_whole(repository, ret, err);
}
