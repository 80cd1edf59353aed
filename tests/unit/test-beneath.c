/* SPDX-License-Identifier: Apache-2.0 */
/* Names below a directory: through no symbolic link, and never out of it. */
#include "splitfdstream/base/cleanup.h"
#include "tests/unit/check.h"
#include "tests/unit/temp-dir.h"
#include "transport/composefs/beneath.h"

#include <errno.h>

static struct splitfd_error err;

/* root/dir/file, links to it of many kinds, and root/../outside. */
static int make(void)
{
	int root, fd;

	temp_make();
	CHECK_INT(mkdir(temp_path("root"), 0755), 0);
	CHECK_INT(mkdir(temp_path("root/dir"), 0755), 0);
	CHECK_INT(mkdir(temp_path("outside"), 0755), 0);
	fd = open(temp_path("root/dir/file"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	CHECK(fd >= 0);
	close(fd);
	fd = open(temp_path("outside/file"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	CHECK(fd >= 0);
	close(fd);
	CHECK_INT(symlink("dir", temp_path("root/link")), 0);
	CHECK_INT(symlink("../dir/file", temp_path("root/dir/good")), 0);
	CHECK_INT(symlink("dir/good", temp_path("root/twice")), 0);
	CHECK_INT(symlink("link/file", temp_path("root/through")), 0);
	CHECK_INT(symlink("../outside/file", temp_path("root/up")), 0);
	CHECK_INT(symlink("../outside", temp_path("root/away")), 0);
	CHECK_INT(symlink(temp_path("root/dir/file"), temp_path("root/absolute")), 0);
	CHECK_INT(symlink("loop", temp_path("root/loop")), 0);
	root = open(temp_path("root"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(root >= 0);
	return root;
}

static int closed(int fd)
{
	return fd < 0 ? fd : (close(fd), 0);
}

TEST(only_directories_lead_to_a_name)
{
	sfd_cleanup_fd int root = make();
	char target[64];
	const char *base;
	struct stat st;

	CHECK_INT(closed(sfd_beneath_open_regular(root, "dir/file")), 0);
	CHECK_INT(sfd_beneath_open_regular(root, "link/file"), -ELOOP);
	CHECK_INT(sfd_beneath_open_regular(root, "away/file"), -ELOOP);
	CHECK_INT(sfd_beneath_open_regular(root, "../outside/file"), -EXDEV);
	CHECK_INT(sfd_beneath_open_regular(root, "dir"), -EINVAL);
	CHECK_INT(sfd_beneath_stat(root, "away/file", &st), -ELOOP);
	CHECK_INT(sfd_beneath_stat(root, "away", &st), 0);
	CHECK(S_ISLNK(st.st_mode));
	CHECK_INT(sfd_beneath_parent(root, "away/file", &base), -ELOOP);
	CHECK_INT(closed(sfd_beneath_parent(root, "file", &base)), 0);
	CHECK_INT(sfd_beneath_unlink(root, "away/file"), -ELOOP);
	CHECK_INT(sfd_beneath_unlink(root, "../outside/file"), -EXDEV);
	CHECK_INT(faccessat(root, "../outside/file", F_OK, 0), 0);
	CHECK_INT(sfd_beneath_make_parents(root, "away/new/name"), -ELOOP);
	CHECK(faccessat(root, "../outside/new", F_OK, 0) < 0);
	CHECK_INT(sfd_beneath_make_parents(root, "new/below/name"), 0);
	CHECK_INT(faccessat(root, "new/below", F_OK, 0), 0);
	CHECK_INT(sfd_beneath_readlink(root, "dir/good", target, sizeof(target)), 11);
	CHECK(strcmp(target, "../dir/file") == 0);
	CHECK_INT(sfd_beneath_readlink(root, "dir/good", target, 11), -ENAMETOOLONG);
	CHECK_INT(sfd_beneath_readlink(root, "dir/file", target, sizeof(target)), -EINVAL);
	CHECK_INT(sfd_beneath_readlink(root, "dir/none", target, sizeof(target)), -ENOENT);
	CHECK_INT(sfd_beneath_readlink(root, "link/good", target, sizeof(target)), -ELOOP);
	CHECK_INT(sfd_beneath_unlink(root, "dir/good"), 0);
	CHECK_INT(sfd_beneath_unlink(root, "dir/good"), -ENOENT);
}

TEST(a_name_that_is_a_link_leads_beneath)
{
	sfd_cleanup_fd int root = make();

	CHECK_INT(closed(sfd_beneath_follow(root, "dir/file")), 0);
	CHECK_INT(closed(sfd_beneath_follow(root, "dir/good")), 0);
	CHECK_INT(closed(sfd_beneath_follow(root, "twice")), 0);
	CHECK_INT(sfd_beneath_follow(root, "through"), -ELOOP);
	CHECK_INT(sfd_beneath_follow(root, "up"), -EXDEV);
	CHECK_INT(sfd_beneath_follow(root, "absolute"), -EXDEV);
	CHECK_INT(sfd_beneath_follow(root, "loop"), -ELOOP);
}

TEST(the_error_names_the_link)
{
	sfd_cleanup_fd int root = make();

	CHECK_INT(sfd_beneath_failed(root, "/r", "open", "dir/file/x", -ENOTDIR, &err), -ENOTDIR);
	CHECK(strcmp(err.text, "cannot open /r/dir/file/x: Not a directory") == 0);
	CHECK_INT(err.kind, SPLITFD_ERROR_FAILED);
	CHECK_INT(symlinkat("x", root, "dir/deep"), 0);
	CHECK_INT(sfd_beneath_failed(root, "/r", "open", "dir/deep/x/y", -ELOOP, &err), -ELOOP);
	CHECK(strncmp(err.text, "cannot open /r/dir/deep/x/y: /r/dir/deep is a symbolic link",
		      59) == 0);
	CHECK_INT(err.kind, SPLITFD_ERROR_REFUSED);
}
