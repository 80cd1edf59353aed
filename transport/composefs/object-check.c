/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/object-check.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/flag.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/base/text.h"
#include "transport/composefs/beneath.h"
#include "transport/composefs/kernel-verity.h"
#include "transport/composefs/object-path.h"
#include "transport/composefs/repository-private.h"
#include "transport/composefs/verity.h"

#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE ((size_t)512 * 1024)

/* With fewer descriptors than this none is kept. */
#define FDS_FOR_KEEPING 1024

static bool has_bit(const uint8_t *bits, uint8_t i)
{
	return (__atomic_load_n(&bits[i / 8], __ATOMIC_ACQUIRE) & (1U << (i & 7))) != 0;
}

static void set_bit(uint8_t *bits, uint8_t i)
{
	__atomic_or_fetch(&bits[i / 8], (uint8_t)(1U << (i & 7)), __ATOMIC_RELEASE);
}

void sfd_object_dirs_changed(struct splitfd_repository *repository)
{
	for (size_t i = 0; i < sizeof(repository->absent_dir); i++) {
		__atomic_store_n(&repository->looked_dir[i], 0, __ATOMIC_RELEASE);
		__atomic_store_n(&repository->absent_dir[i], 0, __ATOMIC_RELEASE);
	}
}

/* objects/xx is looked for once: in a new repository there is nothing to look for in it. What
 * another process puts there meanwhile is met when our object gets its name. */
static bool dir_is_absent(struct splitfd_repository *repository, int objects, uint8_t first)
{
	char name[3];

	if (!has_bit(repository->looked_dir, first)) {
		sfd_hex_encode(&first, 1, name);
		if (faccessat(objects, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
			set_bit(repository->absent_dir, first);
		set_bit(repository->looked_dir, first);
	}
	return has_bit(repository->absent_dir, first);
}

size_t sfd_object_dirs_kept(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= FDS_FOR_KEEPING
		       ? (size_t)(limit.rlim_cur / 4)
		       : 0;
}

/* objects/xx, open, and then kept open; -errno. The numbers of descriptors are given from below, so
 * that one beyond the share means that others have it already. */
static int kept_dir(struct splitfd_repository *repository, int objects, uint8_t first)
{
	int *kept = &repository->dir_fds[first], fd = __atomic_load_n(kept, __ATOMIC_ACQUIRE);
	int none = -EBADF;
	char name[3];

	if (fd >= 0)
		return fd;
	if (repository->dirs_kept == 0)
		return -EMFILE;
	sfd_hex_encode(&first, 1, name);
	fd = sfd_beneath_open(objects, name, O_PATH | O_DIRECTORY, 0);
	if (fd < 0)
		return fd;
	if ((size_t)fd >= repository->dirs_kept) {
		sfd_close(fd);
		return -EMFILE;
	}
	if (__atomic_compare_exchange_n(kept, &none, fd, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return fd;
	sfd_close(fd);
	return none;
}

int sfd_object_stat(struct splitfd_repository *repository, int objects,
	const struct splitfd_digest *digest, struct stat *ret)
{
	int dir = kept_dir(repository, objects, digest->bytes[0]);
	char path[SFD_OBJECT_PATH_SIZE];

	sfd_object_path(digest, path);
	if (dir >= 0 && fstatat(dir, path + 3, ret, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	if (dir >= 0 && errno != ENOENT)
		return -errno;
	/* Where it is missing, the directory may be another one by now. */
	return sfd_beneath_stat(objects, path, ret);
}

int sfd_object_hash(struct splitfd_repository *repository, int fd, struct splitfd_digest *ret)
{
	sfd_cleanup_verity struct sfd_verity *verity =
		sfd_verity_new_by(repository->algorithm, sfd_repository_hasher(repository));
	sfd_cleanup_free uint8_t *piece = malloc(PIECE);
	uint64_t at = 0;

	if (verity == NULL || piece == NULL)
		return -ENOMEM;
	sfd_verity_begin(verity);
	for (;;) {
		ssize_t n = pread(fd, piece, PIECE, (off_t)at);
		int r;

		if (sfd_flag_is_set(repository->cancel))
			return -ECANCELED;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return sfd_verity_final(verity, ret);
		r = sfd_verity_update(verity, piece, (size_t)n);
		if (r < 0)
			return r;
		at += (uint64_t)n;
	}
}

int sfd_object_read_through(int fd, uint8_t *piece, size_t size)
{
	off_t at = 0;

	for (;;) {
		ssize_t n = pread(fd, piece, size, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		at += n;
	}
}

bool sfd_object_is_damage(int errnum)
{
	return errnum == ENOENT || errnum == EIO || errnum == EUCLEAN || errnum == EBADMSG ||
	       errnum == EINVAL || errnum == ELOOP || errnum == ENOTDIR || errnum == ENODATA ||
	       errnum == EOVERFLOW || errnum == ENXIO;
}

/* 1, 0 or -errno of a check that ended with r. */
static int result(
	struct splitfd_repository *repository, int r, const char *path, struct splitfd_error *err)
{
	if (r < 0 && !sfd_object_is_damage(-r))
		return splitfd_error_sys(err, -r, "cannot check object %s", path);
	if (r <= 0 && r != -ENOENT)
		__atomic_store_n(&repository->has_damage, true, __ATOMIC_RELEASE);
	return r > 0;
}

/* The digest of an open object: 1; 0: a secure repository's has none; -errno. With `content`, a
 * measured one is read, too. */
static int find_digest(
	struct splitfd_repository *repository, int fd, bool content, struct splitfd_digest *ret)
{
	sfd_cleanup_free uint8_t *piece = NULL;
	int r = sfd_kernel_verity_measure(fd, repository->algorithm, ret);

	if (r > 0 && content) {
		piece = malloc(PIECE);
		r = piece == NULL ? -ENOMEM : sfd_object_read_through(fd, piece, PIECE);
		return r < 0 ? r : 1;
	}
	if (r <= 0 && !repository->secure) {
		r = sfd_object_hash(repository, fd, ret);
		return r < 0 ? r : 1;
	}
	return r;
}

static int verify(struct splitfd_repository *repository, const struct splitfd_digest *digest,
	bool content, struct splitfd_error *err)
{
	sfd_cleanup_fd int fd = -EBADF;
	struct splitfd_digest found = { 0 };
	char path[SFD_OBJECT_PATH_SIZE];
	int objects = sfd_repository_objects(repository, false, err), r;

	if (objects < 0)
		return objects == -ENOENT ? 0 : objects;
	sfd_object_path(digest, path);
	fd = sfd_beneath_open_regular(objects, path);
	if (fd < 0)
		return result(repository, fd, path, err);
	r = find_digest(repository, fd, content, &found);
	if (r == -EPROTO || (r > 0 && !splitfd_digest_equal(&found, digest)))
		r = 0;
	return result(repository, r, path, err);
}

int sfd_object_verify(struct splitfd_repository *repository, const struct splitfd_digest *digest,
	struct splitfd_error *err)
{
	return verify(repository, digest, true, err);
}

int sfd_object_check(struct splitfd_repository *repository, const struct splitfd_digest *digest,
	uint64_t size, struct splitfd_error *err)
{
	char path[SFD_OBJECT_PATH_SIZE];
	int objects = sfd_repository_objects(repository, false, err);
	struct stat st;
	int r;

	if (objects < 0)
		return objects == -ENOENT ? 0 : objects;
	if (dir_is_absent(repository, objects, digest->bytes[0]))
		return 0;
	sfd_object_path(digest, path);
	r = sfd_object_stat(repository, objects, digest, &st);
	if (r < 0)
		return result(repository, r, path, err);
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != size)
		return result(repository, 0, path, err);
	if (!repository->secure && !repository->distrust)
		return 1;
	return verify(repository, digest, repository->distrust, err);
}
