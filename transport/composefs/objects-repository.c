/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/objects-repository.h"
#include "splitfdstream/base/cleanup.h"
#include "transport/composefs/repository-private.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int sfd_repository_of_objects(int objects, enum splitfd_algorithm algorithm,
	struct splitfd_repository **ret, struct splitfd_error *err)
{
	sfd_cleanup_fd int owned = objects, dir = -EBADF;
	struct splitfd_repository *repository;
	struct stat st;

	if (fstat(owned, &st) < 0)
		return splitfd_error_sys(err, errno, "cannot examine the objects directory");
	if (!S_ISDIR(st.st_mode))
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, ENOTDIR,
			"the descriptor of the objects directory is no directory");
	/* It may be O_PATH, which syncfs does not take. */
	dir = sfd_openat2(owned, ".", O_RDONLY | O_DIRECTORY, 0, 0);
	if (dir < 0)
		return splitfd_error_sys(err, -dir, "cannot open the objects directory");
	repository = calloc(1, sizeof(*repository));
	if (repository == NULL)
		return splitfd_error_oom(err);
	repository->path = strdup("(passed objects directory)");
	if (repository->path == NULL) {
		free(repository);
		return splitfd_error_oom(err);
	}
	(void)pthread_mutex_init(&repository->lock, NULL);
	repository->fd = sfd_take_fd(&dir);
	repository->objects_fd = sfd_take_fd(&owned);
	repository->algorithm = algorithm;
	repository->write = true;
	*ret = repository;
	return 0;
}

int sfd_objects_sync(struct splitfd_repository *repository, struct splitfd_error *err)
{
	if (syncfs(repository->fd) < 0)
		return splitfd_error_sys(err, errno, "cannot sync the objects directory");
	return 0;
}
