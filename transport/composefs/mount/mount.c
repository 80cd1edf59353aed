/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/mount/mount.h"

#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"
#include "transport/composefs/beneath.h"
#include "transport/composefs/object-store.h"
#include "transport/composefs/repository-private.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#define SOURCE_PREFIX "composefs:"
#define LOOP_ATTEMPTS 64 /* others may take the free device first */

/* The kernel's own words, which it keeps on the descriptor. */
static int mount_error(int fs, int errnum, const char *what, struct splitfd_error *err)
{
	char log[512];
	ssize_t n = fs >= 0 ? read(fs, log, sizeof(log) - 1) : -1;

	if (n <= 0)
		return splitfd_error_sys(err, errnum, "%s", what);
	log[n] = '\0';
	log[strcspn(log, "\n")] = '\0';
	return splitfd_error_sys(err, errnum, "%s (%s)", what, log);
}

static void fd_path(int fd, char text[32])
{
	snprintf(text, 32, "/proc/self/fd/%d", fd);
}

/* A new file system context; -errno with a text. */
static int open_fs(const char *type, struct splitfd_error *err)
{
	int fd = fsopen(type, FSOPEN_CLOEXEC);

	if (fd < 0 && errno == EPERM)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, EPERM,
			"only root (CAP_SYS_ADMIN) can mount an image");
	return fd >= 0 ? fd : splitfd_error_sys(err, errno, "the kernel cannot mount %s", type);
}

static int set_string(int fs, const char *key, const char *value, struct splitfd_error *err)
{
	char what[128];

	if (fsconfig(fs, FSCONFIG_SET_STRING, key, value, 0) == 0)
		return 0;
	snprintf(what, sizeof(what), "setting %s for the mount", key);
	return mount_error(fs, errno, what, err);
}

/* Mounts the image from `source`; the detached mount, or -errno. */
static int mount_erofs(const char *source, struct splitfd_error *err)
{
	sfd_cleanup_fd int fs = open_fs("erofs", err);
	int r, mount;

	if (fs < 0)
		return fs;
	if (fsconfig(fs, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0)
		return mount_error(fs, errno, "setting ro for the image", err);
	r = set_string(fs, "source", source, err);
	if (r < 0)
		return r;
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return mount_error(fs, errno, "mounting the image", err);
	mount = fsmount(
		fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	return mount >= 0 ? mount : mount_error(fs, errno, "mounting the image", err);
}

/* A read-only loop device for the file behind `fd`, which goes away with its last user. Its path is
 * put at `path`. A descriptor of it, or -errno. */
static int attach_loop(int fd, char path[32], struct splitfd_error *err)
{
	sfd_cleanup_fd int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	struct loop_config config = {
		.fd = (uint32_t)fd,
		.block_size = 4096,
		.info = { .lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR },
	};

	if (control < 0)
		return splitfd_error_sys(err, errno, "opening /dev/loop-control");
	for (int i = 0; i < LOOP_ATTEMPTS; i++) {
		sfd_cleanup_fd int loop = -EBADF;
		int n = ioctl(control, LOOP_CTL_GET_FREE);

		if (n < 0)
			return splitfd_error_sys(err, errno, "finding a free loop device");
		snprintf(path, 32, "/dev/loop%d", n);
		loop = open(path, O_RDONLY | O_CLOEXEC);
		if (loop < 0)
			return splitfd_error_sys(err, errno, "opening %s", path);
		if (ioctl(loop, LOOP_CONFIGURE, &config) == 0)
			return sfd_take_fd(&loop);
		if (errno != EBUSY)
			return splitfd_error_sys(err, errno, "attaching the image to %s", path);
	}
	return splitfd_error_set(
		err, SPLITFD_ERROR_FAILED, EBUSY, "no loop device became free in time");
}

/* From the file where the kernel can (6.12), else by a loop device. */
static int mount_image_file(int image, bool old_kernel, struct splitfd_error *err)
{
	sfd_cleanup_fd int loop = -EBADF;
	char source[32];
	int mount;

	fd_path(image, source);
	if (!old_kernel) {
		mount = mount_erofs(source, err);
		if (mount >= 0 || (mount != -ENOTBLK && mount != -EINVAL))
			return mount;
		splitfd_error_clear(err);
	}
	loop = attach_loop(image, source, err);
	return loop < 0 ? loop : mount_erofs(source, err);
}

/* A directory to attach a mount to for a while. */
struct temporary {
	char path[32];
	bool made, mounted;
};

static void temporary_done(struct temporary *t)
{
	if (t->mounted)
		umount2(t->path, MNT_DETACH);
	if (t->made)
		rmdir(t->path);
}

/* Attaches the detached mount; the returned descriptor is of its root. */
static int attach(int mount, struct temporary *t, struct splitfd_error *err)
{
	char name[13];
	int r, fd;

	r = sfd_random_name(name, sizeof(name) - 1);
	if (r < 0)
		return splitfd_error_sys(err, -r, "making a temporary mount point");
	snprintf(t->path, sizeof(t->path), "/tmp/splitfd-%s", name);
	t->made = mkdir(t->path, 0700) == 0;
	if (!t->made)
		return splitfd_error_sys(err, errno, "making a temporary mount point");
	if (move_mount(mount, "", AT_FDCWD, t->path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return splitfd_error_sys(err, errno, "attaching the image to %s", t->path);
	t->mounted = true;
	fd = open(t->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 ? fd : splitfd_error_sys(err, errno, "opening %s", t->path);
}

/* lowerdir+ and datadir+ by descriptor (6.13); 0, or -errno without a text. */
static int set_layers(int fs, int lower, int data)
{
	if (fsconfig(fs, FSCONFIG_SET_FD, "lowerdir+", NULL, lower) < 0)
		return -errno;
	if (fsconfig(fs, FSCONFIG_SET_FD, "datadir+", NULL, data) < 0)
		return -errno;
	return 0;
}

/* The same as one string of names (6.5). */
static int set_layers_by_name(int fs, int lower, int data, struct splitfd_error *err)
{
	char l[32], d[32], both[72];

	fd_path(lower, l);
	fd_path(data, d);
	snprintf(both, sizeof(both), "%s::%s", l, d);
	return set_string(fs, "lowerdir", both, err);
}

static int set_overlay_options(int fs, const struct splitfd_repository *repository, const char *hex,
	const struct sfd_mount_options *o, struct splitfd_error *err)
{
	char source[sizeof(SOURCE_PREFIX) + 2 * SPLITFD_DIGEST_MAX];
	int r;

	snprintf(source, sizeof(source), SOURCE_PREFIX "%s", hex);
	r = set_string(fs, "source", source, err);
	if (r == 0)
		r = set_string(fs, "metacopy", "on", err);
	if (r == 0)
		r = set_string(fs, "redirect_dir", "on", err);
	if (r == 0 && repository->secure)
		r = set_string(fs, "verity", "require", err);
	if (r == 0 && o->upper != NULL)
		r = set_string(fs, "upperdir", o->upper, err);
	if (r == 0 && o->upper != NULL)
		r = set_string(fs, "workdir", o->work, err);
	return r;
}

/* The overlay as a detached mount. */
static int mount_overlay(const struct splitfd_repository *repository, int image_mount, int data,
	const char *hex, const struct sfd_mount_options *o, struct splitfd_error *err)
{
	sfd_cleanup(temporary_done) struct temporary t = { 0 };
	sfd_cleanup_fd int fs = open_fs("overlay", err), lower = -EBADF;
	int r, mount;

	if (fs < 0)
		return fs;
	r = set_overlay_options(fs, repository, hex, o, err);
	if (r < 0)
		return r;
	if (o->old_kernel || set_layers(fs, image_mount, data) < 0) {
		lower = attach(image_mount, &t, err);
		r = lower < 0 ? lower : set_layers_by_name(fs, lower, data, err);
		if (r < 0)
			return r;
	}
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return mount_error(fs, errno, "mounting the overlay", err);
	mount = fsmount(fs, FSMOUNT_CLOEXEC,
		(o->read_write ? 0 : MOUNT_ATTR_RDONLY) | (o->suid ? 0 : MOUNT_ATTR_NOSUID) |
			(o->dev ? 0 : MOUNT_ATTR_NODEV));
	return mount >= 0 ? mount : mount_error(fs, errno, "mounting the overlay", err);
}

/* In place of the kernel's "Invalid argument" for an option that it does not know. */
static int mount_overlay_or_say(const struct splitfd_repository *repository, int image_mount,
	int data, const char *hex, const struct sfd_mount_options *o, struct splitfd_error *err)
{
	unsigned int major = 0, minor = 0, needed = repository->secure ? 6 : 5;
	int r = mount_overlay(repository, image_mount, data, hex, o, err);
	struct utsname name;

	if (r != -EINVAL || uname(&name) < 0 ||
		sscanf(name.release, "%u.%u", &major, &minor) != 2 || major > 6 ||
		(major == 6 && minor >= needed))
		return r;
	splitfd_error_clear(err);
	return splitfd_error_set(err, SPLITFD_ERROR_FAILED, EOPNOTSUPP,
		"mounting an image of %s repository needs Linux 6.%u or newer; this is %s",
		repository->secure ? "a secure" : "an insecure", needed, name.release);
}

int sfd_mount_image(struct splitfd_repository *repository, const struct splitfd_digest *image,
	const char *target, const struct sfd_mount_options *options, struct splitfd_error *err)
{
	sfd_cleanup_fd int file = -EBADF, erofs = -EBADF, data = -EBADF, overlay = -EBADF,
			   dir = -EBADF;
	char hex[2 * SPLITFD_DIGEST_MAX + 1];
	int r;

	if ((options->upper == NULL) != (options->work == NULL) ||
		(options->read_write && options->upper == NULL))
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"a writable layer needs an upper and a work directory");
	splitfd_digest_hex(image, hex);
	dir = open(target, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return splitfd_error_sys(err, errno, "opening the mount point %s", target);
	data = sfd_beneath_open(repository->fd, "objects", O_RDONLY | O_DIRECTORY, 0);
	if (data < 0)
		return sfd_beneath_failed(
			repository->fd, repository->path, "open", "objects", data, err);
	r = sfd_object_open(repository, image, &file, NULL, err);
	if (r < 0)
		return splitfd_error_wrap(err, r, "the image %s", hex);
	erofs = mount_image_file(file, options->old_kernel, err);
	if (erofs < 0)
		return erofs;
	overlay = mount_overlay_or_say(repository, erofs, data, hex, options, err);
	if (overlay < 0)
		return overlay;
	if (move_mount(overlay, "", dir, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return splitfd_error_sys(err, errno, "mounting on %s", target);
	return 0;
}

/* One line of mountinfo: the mount's id is `id`, and it is a composefs overlay. 1, 0; -ENOENT where
 * the line is of another mount. */
static int is_composefs(const char *line, unsigned long id)
{
	const char *dash;

	if (strtoul(line, NULL, 10) != id)
		return -ENOENT;
	dash = strstr(line, " - ");
	return dash != NULL &&
	       strncmp(dash, " - overlay " SOURCE_PREFIX, strlen(" - overlay " SOURCE_PREFIX)) == 0;
}

/* The mount that `fd` is on is a composefs overlay. -errno with a text. */
static int check_mount(int fd, const char *target, struct splitfd_error *err)
{
	sfd_cleanup_free char *line = NULL;
	struct statx stx;
	size_t cap = 0;
	int r = -ENOENT;
	FILE *f;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &stx) < 0)
		return splitfd_error_sys(err, errno, "%s", target);
	if ((stx.stx_attributes & STATX_ATTR_MOUNT_ROOT) == 0)
		return splitfd_error_set(
			err, SPLITFD_ERROR_NOT_FOUND, EINVAL, "nothing is mounted on %s", target);
	f = fopen("/proc/self/mountinfo", "re");
	if (f == NULL)
		return splitfd_error_sys(err, errno, "reading /proc/self/mountinfo");
	while (r == -ENOENT && getline(&line, &cap, f) > 0)
		r = is_composefs(line, stx.stx_mnt_id);
	fclose(f);
	if (r <= 0)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EINVAL,
			"what is mounted on %s is not a composefs image", target);
	return 0;
}

/* The descriptor is closed again: it would keep the mount busy. */
static int check_target(const char *target, struct splitfd_error *err)
{
	sfd_cleanup_fd int fd = open(target, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return splitfd_error_sys(err, errno, "opening %s", target);
	return check_mount(fd, target, err);
}

int sfd_umount_image(const char *target, struct splitfd_error *err)
{
	int r = check_target(target, err);

	if (r < 0)
		return r;
	if (umount2(target, UMOUNT_NOFOLLOW) < 0)
		return splitfd_error_sys(err, errno, "unmounting %s", target);
	return 0;
}
