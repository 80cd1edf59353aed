/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/base/lock-holder.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define LINE_SIZE 4096

/* The file as /proc/locks has it. Its device is the superblock's, which btrfs does not tell by
 * fstat(2): only the mount does. */
struct file {
	unsigned int major, minor;
	unsigned long long inode;
};

static bool find_mount(unsigned long long id, struct file *ret)
{
	FILE *mounts = fopen("/proc/self/mountinfo", "re");
	char line[LINE_SIZE];
	bool found = false, starts = true;

	if (mounts == NULL)
		return false;
	while (!found && fgets(line, sizeof(line), mounts) != NULL) {
		unsigned long long this_id;
		unsigned int major, minor;

		if (starts && sscanf(line, "%llu %*u %u:%u ", &this_id, &major, &minor) == 3 &&
			this_id == id) {
			ret->major = major;
			ret->minor = minor;
			found = true;
		}
		starts = strchr(line, '\n') != NULL;
	}
	(void)fclose(mounts);
	return found;
}

static bool find_file(int fd, struct file *ret)
{
	char path[64], line[LINE_SIZE];
	unsigned long long mount;
	struct stat st;
	FILE *info;

	if (fstat(fd, &st) < 0)
		return false;
	*ret = (struct file){ major(st.st_dev), minor(st.st_dev), st.st_ino };
	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = fopen(path, "re");
	while (info != NULL && fgets(line, sizeof(line), info) != NULL) {
		if (sscanf(line, "mnt_id: %llu", &mount) == 1) {
			(void)find_mount(mount, ret);
			break;
		}
	}
	if (info != NULL)
		(void)fclose(info);
	return true;
}

/* A line of a lock that is held, not one of who waits ("1: -> …"). */
static bool is_holder(const char *line, bool is_flock, const struct file *file, long *ret_pid)
{
	char class[16], mode[16], type[16];
	unsigned int major, minor;
	unsigned long long inode;

	if (sscanf(line, "%*d: %15s %15s %15s %ld %x:%x:%llu", class, mode, type, ret_pid, &major,
		    &minor, &inode) != 7)
		return false;
	if (is_flock ? strcmp(class, "FLOCK") != 0
		     : strcmp(class, "POSIX") != 0 && strcmp(class, "OFDLCK") != 0)
		return false;
	return strcmp(type, "WRITE") == 0 && major == file->major && minor == file->minor &&
	       inode == file->inode;
}

/* Locks of open file descriptions have no process: -1. */
static long find_holder(int fd, bool is_flock)
{
	FILE *locks = fopen("/proc/locks", "re");
	struct file file;
	char line[LINE_SIZE];
	bool found = false;
	long pid = -1;

	if (locks == NULL)
		return -1;
	if (find_file(fd, &file)) {
		while (!found && fgets(line, sizeof(line), locks) != NULL)
			found = is_holder(line, is_flock, &file, &pid);
	}
	(void)fclose(locks);
	return found ? pid : -1;
}

void sfd_lock_holder(int fd, bool is_flock, char ret[SFD_LOCK_HOLDER_SIZE])
{
	long pid = find_holder(fd, is_flock);
	char path[64], name[32] = "";
	FILE *comm;

	if (pid <= 0) {
		(void)snprintf(ret, SFD_LOCK_HOLDER_SIZE, "another process");
		return;
	}
	(void)snprintf(path, sizeof(path), "/proc/%ld/comm", pid);
	comm = fopen(path, "re");
	if (comm != NULL) {
		if (fgets(name, sizeof(name), comm) == NULL)
			name[0] = '\0';
		name[strcspn(name, "\n")] = '\0';
		(void)fclose(comm);
	}
	(void)snprintf(ret, SFD_LOCK_HOLDER_SIZE,
		name[0] != '\0' ? "process %ld (%s)" : "process %ld", pid, name);
}
