/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/objects-repository.h"
#include "splitfdstream/base/cleanup.h"
#include "transport/composefs/kernel-verity.h"
#include "transport/composefs/repository-meta.h"
#include "transport/composefs/repository-private.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The same question as for a repository that was opened by its path: is fs-verity on meta.json? It
 * lies beside the directory, whose own ".." is not the process's to choose. */
static int find_secure(int objects, bool *ret, struct splitfd_error *err)
{
	sfd_cleanup_fd int fd = sfd_openat2(objects, "../" SFD_META_NAME,
		O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
	struct splitfd_digest digest;
	int r;

	*ret = false;
	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return splitfd_error_sys(
			err, -fd, "cannot open " SFD_META_NAME " beside the objects directory");
	r = sfd_check_regular(fd, UINT64_MAX, SFD_META_NAME, NULL, err);
	if (r < 0)
		return r;
	r = sfd_kernel_verity_measure(fd, 0, &digest);
	if (r < 0)
		return splitfd_error_sys(err, -r,
			"cannot find out whether " SFD_META_NAME
			" beside the objects directory has fs-verity");
	*ret = r == 1;
	return 0;
}

int sfd_repository_of_objects(int objects, enum splitfd_algorithm algorithm,
	struct splitfd_repository **ret, struct splitfd_error *err)
{
	sfd_cleanup_fd int owned = objects, dir = -EBADF;
	struct splitfd_repository *repository;
	bool secure;
	struct stat st;
	int r;

	if (fstat(owned, &st) < 0)
		return splitfd_error_sys(err, errno, "cannot examine the objects directory");
	if (!S_ISDIR(st.st_mode))
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, ENOTDIR,
			"the descriptor of the objects directory is not a directory");
	/* It may be O_PATH, which syncfs does not take. */
	dir = sfd_openat2(owned, ".", O_RDONLY | O_DIRECTORY, 0, 0);
	if (dir < 0)
		return splitfd_error_sys(err, -dir, "cannot open the objects directory");
	r = find_secure(owned, &secure, err);
	if (r < 0)
		return r;
	repository = sfd_repository_new();
	if (repository == NULL)
		return splitfd_error_oom(err);
	repository->path = strdup("(passed objects directory)");
	if (repository->path == NULL) {
		splitfd_repository_close(repository);
		return splitfd_error_oom(err);
	}
	repository->fd = sfd_take_fd(&dir);
	repository->objects_fd = sfd_take_fd(&owned);
	repository->algorithm = algorithm;
	repository->secure = secure;
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
