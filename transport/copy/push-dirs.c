/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/copy/push-dirs.h"
#include "splitfdstream/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* The directory as the root of a mount that nobody else sees; -EBADF where that is not allowed. */
static int private_mount(int dir)
{
	sfd_cleanup_fd int fd = open_tree(
		dir, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (unsigned int)AT_EMPTY_PATH);
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
					       MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC };

	if (fd < 0 || mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return -EBADF;
	return sfd_take_fd(&fd);
}

/* Whether files below `folder` can share extents, by trying it with two unnamed ones. */
static bool can_clone(const char *folder)
{
	sfd_cleanup_fd int a = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	sfd_cleanup_fd int b = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	return a >= 0 && b >= 0 && write(a, "x", 1) == 1 && ioctl(b, FICLONE, a) == 0;
}

/* The service will not come to making hard links of files below `dir`. */
static bool never_linked(const struct sfd_push_target *t, int dir)
{
	struct stat ours, theirs;

	if (!t->has_device || fstat(dir, &ours) < 0)
		return false;
	if (ours.st_dev != t->device)
		return true;
	return t->objects != NULL && stat(t->objects, &theirs) == 0 && theirs.st_dev == t->device &&
	       can_clone(t->objects);
}

/* A descriptor of the directory for the service, or -EBADF. */
static int give(const struct sfd_push_target *t, int dir)
{
	int fd = t->may_link ? -EBADF : private_mount(dir);

	if (fd < 0 && (t->may_link || never_linked(t, dir)))
		fd = fcntl(dir, F_DUPFD_CLOEXEC, 3);
	return fd < 0 ? -EBADF : fd;
}

/* All of the set's directories, or none. */
static void give_all(const struct sfd_push_target *t, const struct splitfd_files *files,
	struct sfd_push_dirs *ret)
{
	if (!t->reads_ours || files == NULL || files->n_dirs > SFD_PUSH_DIRS_MAX)
		return;
	while (ret->n < files->n_dirs) {
		int fd = give(t, files->dirs[ret->n]);

		if (fd < 0) {
			sfd_push_dirs_done(ret);
			return;
		}
		ret->fds[ret->n++] = fd;
	}
	ret->named = ret->n > 0;
}

int sfd_push_dirs_make(const struct sfd_push_target *target, const struct splitfd_files *files,
	struct sfd_push_dirs *ret, struct splitfd_error *err)
{
	*ret = (struct sfd_push_dirs){ 0 };
	give_all(target, files, ret);
	if (ret->n > 0)
		return 0;
	/* A slot that no chunk names may hold anything; this is what cfsctl itself sends. */
	ret->fds[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (ret->fds[0] < 0)
		return splitfd_error_sys(err, errno, "/dev/null");
	ret->n = 1;
	return 0;
}

void sfd_push_dirs_done(struct sfd_push_dirs *dirs)
{
	while (dirs->n > 0)
		sfd_close(dirs->fds[--dirs->n]);
	dirs->named = false;
}
