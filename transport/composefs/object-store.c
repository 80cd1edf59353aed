/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/object-store.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/base/text.h"
#include "transport/composefs/kernel-verity.h"
#include "transport/composefs/repository-private.h"
#include "transport/composefs/verity.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OBJECT_MODE 0644

enum { MODE_UNKNOWN = 0, MODE_RIGHT = 1, MODE_TO_SET = 2 };

void sfd_object_path(const struct splitfd_digest *digest, char *path)
{
	sfd_hex_encode(digest->bytes, 1, path);
	path[2] = '/';
	sfd_hex_encode(digest->bytes + 1, digest->size - 1U, path + 3);
}

static int fail(struct splitfd_error *err, int r, const char *what, const char *path)
{
	return splitfd_error_sys(err, -r, "cannot %s object %s", what, path);
}

/* In a secure repository the kernel vouches for an object. */
static int check_measured(struct splitfd_repository *repository, int fd,
	const struct splitfd_digest *digest, const char *path, struct splitfd_error *err)
{
	struct splitfd_digest measured;
	int r = sfd_kernel_verity_measure(fd, repository->algorithm, &measured);

	if (r < 0 && r != -EPROTO)
		return fail(err, r, "measure", path);
	if (r == 0)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"object %s has no fs-verity, but the repository is a secure one", path);
	if (r < 0 || measured.size != digest->size ||
		memcmp(measured.bytes, digest->bytes, digest->size) != 0)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"the kernel's fs-verity digest of object %s is not its name", path);
	return 0;
}

int sfd_object_open(struct splitfd_repository *repository, const struct splitfd_digest *digest,
	int *ret_fd, uint64_t *ret_size, struct splitfd_error *err)
{
	sfd_cleanup_fd int fd = -EBADF;
	char path[SFD_OBJECT_PATH_SIZE];
	int dir, r;

	sfd_object_path(digest, path);
	dir = sfd_repository_objects(repository, false, err);
	fd = dir < 0 ? dir
		     : sfd_openat2(dir, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0,
			       RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
	if (fd == -ENOENT)
		return splitfd_error_set(err, SPLITFD_ERROR_NOT_FOUND, ENOENT,
			"object %s is missing in the repository '%s'", path, repository->path);
	if (fd < 0)
		return fail(err, fd, "open", path);
	r = sfd_check_regular(fd, UINT64_MAX, path, ret_size, err);
	if (r == 0 && repository->secure)
		r = check_measured(repository, fd, digest, path, err);
	if (r < 0)
		return r;
	*ret_fd = sfd_take_fd(&fd);
	return 0;
}

int sfd_object_read(struct splitfd_repository *repository, const struct splitfd_digest *digest,
	size_t max, char **ret_data, size_t *ret_size, struct splitfd_error *err)
{
	sfd_cleanup_fd int fd = -EBADF;
	char path[SFD_OBJECT_PATH_SIZE];
	int r;

	r = sfd_object_open(repository, digest, &fd, NULL, err);
	if (r < 0)
		return r;
	r = sfd_read_file_fd(fd, max, ret_data, ret_size);
	sfd_object_path(digest, path);
	return r < 0 ? fail(err, r, "read", path) : 0;
}

int sfd_object_exists(struct splitfd_repository *repository, const struct splitfd_digest *digest,
	struct splitfd_error *err)
{
	sfd_cleanup_fd int fd = -EBADF;
	char path[SFD_OBJECT_PATH_SIZE];
	int dir = sfd_repository_objects(repository, false, err);
	int r;

	if (dir < 0)
		return dir == -ENOENT ? 0 : dir;
	sfd_object_path(digest, path);
	if (faccessat(dir, path, F_OK, 0) < 0)
		return errno == ENOENT ? 0 : fail(err, -errno, "look for", path);
	if (!repository->secure)
		return 1;
	r = sfd_object_open(repository, digest, &fd, NULL, err);
	return r < 0 ? r : 1;
}

static bool has_bit(const uint8_t *bits, uint8_t i)
{
	return (__atomic_load_n(&bits[i / 8], __ATOMIC_RELAXED) & (1U << (i & 7))) != 0;
}

static void set_bit(uint8_t *bits, uint8_t i)
{
	__atomic_or_fetch(&bits[i / 8], (uint8_t)(1U << (i & 7)), __ATOMIC_RELAXED);
}

bool sfd_object_dir_is_new(
	struct splitfd_repository *repository, const struct splitfd_digest *digest)
{
	return !repository->secure && has_bit(repository->made_dir, digest->bytes[0]);
}

/* objects/xx, once for each. */
static int make_dir(struct splitfd_repository *repository, int objects, uint8_t first)
{
	char name[3];

	if (has_bit(repository->have_dir, first))
		return 0;
	sfd_hex_encode(&first, 1, name);
	if (mkdirat(objects, name, 0755) == 0)
		set_bit(repository->made_dir, first);
	else if (errno != EEXIST)
		return -errno;
	set_bit(repository->have_dir, first);
	return 0;
}

/* Objects are 0644 whatever the umask; whether it interferes is found out once. */
static int set_mode(struct splitfd_repository *repository, int fd)
{
	int state = __atomic_load_n(&repository->mode_state, __ATOMIC_RELAXED);
	struct stat st;

	if (state == MODE_UNKNOWN) {
		if (fstat(fd, &st) < 0)
			return -errno;
		state = (st.st_mode & 07777) == OBJECT_MODE ? MODE_RIGHT : MODE_TO_SET;
		__atomic_store_n(&repository->mode_state, state, __ATOMIC_RELAXED);
	}
	if (state == MODE_TO_SET && fchmod(fd, OBJECT_MODE) < 0)
		return -errno;
	return 0;
}

int sfd_object_begin(struct splitfd_repository *repository, const struct splitfd_digest *digest,
	struct sfd_temp *ret, struct splitfd_error *err)
{
	char path[SFD_OBJECT_PATH_SIZE] = "in the making", near[3] = ".";
	int objects = sfd_repository_objects(repository, true, err);
	int r = 0;

	if (objects < 0)
		return objects;
	if (digest != NULL) {
		sfd_object_path(digest, path);
		sfd_hex_encode(digest->bytes, 1, near);
		r = make_dir(repository, objects, digest->bytes[0]);
	}
	if (r == 0)
		r = sfd_temp_open(objects, near, OBJECT_MODE, ret);
	if (r == 0)
		r = set_mode(repository, ret->fd);
	return r < 0 ? fail(err, r, "make", path) : 0;
}

int sfd_object_commit(struct splitfd_repository *repository, const struct splitfd_digest *digest,
	struct sfd_temp *temp, struct splitfd_error *err)
{
	char path[SFD_OBJECT_PATH_SIZE];
	int r;

	sfd_object_path(digest, path);
	if (repository->secure) {
		r = sfd_temp_seal(temp);
		if (r == 0)
			r = sfd_kernel_verity_enable(temp->fd, repository->algorithm);
		if (r < 0)
			return fail(err, r, "enable fs-verity on", path);
		r = check_measured(repository, temp->fd, digest, path, err);
		if (r < 0)
			return r;
	}
	r = make_dir(repository, temp->dirfd, digest->bytes[0]);
	if (r == 0)
		r = sfd_temp_link(temp, path);
	if (r < 0 && r != -EEXIST)
		return fail(err, r, "name", path);
	sfd_temp_done(temp);
	return r == -EEXIST ? 1 : 0;
}

int sfd_object_put_bytes(struct splitfd_repository *repository, const void *data, size_t n,
	struct splitfd_digest *ret, enum sfd_object_how *ret_how, struct splitfd_error *err)
{
	sfd_cleanup_temp struct sfd_temp temp = SFD_TEMP_INIT;
	char path[SFD_OBJECT_PATH_SIZE];
	struct splitfd_digest digest;
	int r;

	r = sfd_verity_bytes(repository->algorithm, data, n, &digest);
	if (r < 0)
		return splitfd_error_sys(err, -r, "cannot hash an object of %zu bytes", n);
	r = sfd_object_exists(repository, &digest, err);
	if (r == 0) {
		r = sfd_object_begin(repository, &digest, &temp, err);
		if (r < 0)
			return r;
		r = sfd_write_all(temp.fd, data, n);
		if (r < 0) {
			sfd_object_path(&digest, path);
			return fail(err, r, "write", path);
		}
		r = sfd_object_commit(repository, &digest, &temp, err);
	}
	if (r < 0)
		return r;
	*ret_how = r == 1 ? SFD_OBJECT_PRESENT : SFD_OBJECT_COPIED;
	*ret = digest;
	return 0;
}
