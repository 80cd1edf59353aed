/* SPDX-License-Identifier: Apache-2.0 */
/* Every object: its name, its type, its fs-verity digest. */
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/base/shortage.h"
#include "splitfdstream/base/text.h"
#include "transport/composefs/algorithm.h"
#include "transport/composefs/beneath.h"
#include "transport/composefs/fsck/fsck-private.h"
#include "transport/composefs/kernel-verity.h"
#include "transport/composefs/object-check.h"
#include "transport/composefs/repository-private.h"
#include "transport/composefs/verity.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define N_DIRS 256
#define PIECE  ((size_t)512 * 1024)

SFD_DEFINE_CLEANUP(cleanup_verity_, struct sfd_verity, sfd_verity_free);

/* One folder's work; everything but f belongs to the thread. */
struct folder {
	struct sfd_fsck *f;
	int fd;
	unsigned int first; /* byte */
	struct sfd_verity *verity;
	uint8_t *piece;
	uint64_t checked, corrupted;
};

static int hash_file(struct folder *d, int fd, struct splitfd_digest *ret)
{
	sfd_verity_begin(d->verity);
	for (;;) {
		ssize_t n = sfd_read_some(fd, d->piece, PIECE);
		int r;

		if (n < 0)
			return (int)n;
		if (n == 0)
			return sfd_verity_final(d->verity, ret);
		r = sfd_verity_update(d->verity, d->piece, (size_t)n);
		if (r == 0)
			r = sfd_fsck_cancelled(d->f, NULL);
		if (r < 0)
			return r;
	}
}

/* The digest that the object has: 1; 0 where a secure repository's object has none; -errno. EPROTO:
 * it has one of another algorithm. */
static int measure(struct folder *d, int fd, struct splitfd_digest *ret)
{
	const struct splitfd_repository *repository = d->f->repository;
	int r = sfd_kernel_verity_measure(fd, repository->algorithm, ret);

	/* The kernel checks each block when it is read. */
	if (r > 0) {
		r = sfd_object_read_through(fd, d->piece, PIECE);
		return r < 0 ? r : 1;
	}
	if (repository->secure)
		return r;
	r = hash_file(d, fd, ret);
	return r < 0 ? r : 1;
}

static bool parse_name(const struct folder *d, const char *name, struct splitfd_digest *ret)
{
	size_t size = sfd_digest_size(d->f->repository->algorithm);

	memset(ret, 0, sizeof(*ret));
	ret->size = (uint8_t)size;
	ret->bytes[0] = (uint8_t)d->first;
	return strlen(name) == 2 * (size - 1) && sfd_hex_decode(name, size - 1, ret->bytes + 1);
}

/* Adds an error about one object. */
static int wrong(struct folder *d, const char *kind, const char *name, const char *detail)
{
	d->corrupted++;
	return sfd_fsck_add(d->f, &d->f->report->errors, "%s: objects/%02x/%s%s%s", kind, d->first,
		name, detail[0] != '\0' ? ": " : "", detail);
}

static int check_object(struct folder *d, const char *name)
{
	struct splitfd_digest expected, measured;
	char detail[sizeof("measured ") + 2 * SPLITFD_DIGEST_MAX + 1] = "measured ";
	sfd_cleanup_fd int fd = -EBADF;
	int r;

	d->checked++;
	if (!parse_name(d, name, &expected))
		return wrong(d, "object-invalid-name", name, "no digest of this repository");
	fd = sfd_beneath_open_regular(d->fd, name);
	if (sfd_is_shortage(fd))
		return fd;
	if (fd < 0)
		return wrong(d, "object-open-failed", name,
			sfd_fsck_open_reason(d->fd, name, AT_SYMLINK_NOFOLLOW, -fd));
	r = measure(d, fd, &measured);
	if (r == 0)
		return wrong(d, "object-verity-missing", name, "");
	if (sfd_is_shortage(r) || r == -ECANCELED)
		return r;
	if (r < 0)
		return wrong(d, "object-verity-failed", name,
			r == -EPROTO ? "its fs-verity is by another algorithm" : strerror(-r));
	if (splitfd_digest_equal(&measured, &expected))
		return 0;
	splitfd_digest_hex(&measured, detail + strlen(detail));
	return wrong(d, "object-digest-mismatch", name, detail);
}

static int check_entries(struct folder *d, DIR *dir, struct splitfd_error *err)
{
	const struct dirent *entry;
	int r = 0;

	for (errno = 0; r == 0 && (entry = readdir(dir)) != NULL; errno = 0) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		r = sfd_fsck_cancelled(d->f, err);
		if (r == 0)
			r = check_object(d, entry->d_name);
	}
	if (r == 0 && errno != 0)
		return splitfd_error_sys(err, errno, "cannot read objects/%02x", d->first);
	return r;
}

static int check_folder(struct sfd_fsck *f, void *ctx, size_t i, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_verity_) struct sfd_verity *verity = NULL;
	sfd_cleanup_free uint8_t *piece = NULL;
	sfd_cleanup_dir DIR *dir = NULL;
	struct folder d = { .f = f, .first = (unsigned int)i };
	char path[16];
	int r;

	(void)ctx;
	snprintf(path, sizeof(path), "objects/%02zx", i);
	d.fd = sfd_beneath_open(f->repository->fd, path, O_RDONLY | O_DIRECTORY, 0);
	if (d.fd == -ENOENT)
		return 0;
	if (d.fd == -ELOOP)
		return sfd_fsck_add(f, &f->report->errors, "object-open-failed: %s: %s", path,
			sfd_fsck_reason(d.fd));
	if (d.fd < 0)
		return sfd_beneath_failed(
			f->repository->fd, f->repository->path, "open", path, d.fd, err);
	dir = fdopendir(d.fd);
	if (dir == NULL) {
		r = splitfd_error_sys(err, errno, "cannot read %s", path);
		sfd_close(d.fd);
		return r;
	}
	d.verity = verity = sfd_verity_new(f->repository->algorithm);
	d.piece = piece = malloc(PIECE);
	if (verity == NULL || piece == NULL)
		return splitfd_error_oom(err);
	r = check_entries(&d, dir, err);
	sfd_fsck_count(f, &f->report->objects.checked, d.checked);
	sfd_fsck_count(f, &f->report->objects.corrupted, d.corrupted);
	return r;
}

int sfd_fsck_objects(struct sfd_fsck *f, struct splitfd_error *err)
{
	size_t first = f->report->errors.n;
	int r = sfd_fsck_spread(f, N_DIRS, check_folder, NULL, err);

	sfd_fsck_sort(&f->report->errors, first);
	return r;
}
