/* SPDX-License-Identifier: Apache-2.0 */
/* What a name in images/ points at: a well-formed EROFS image whose objects are there. */
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/base/shortage.h"
#include "splitfdstream/base/text.h"
#include "transport/composefs/digest-table.h"
#include "transport/composefs/erofs/erofs-objects.h"
#include "transport/composefs/fsck/fsck-private.h"
#include "transport/composefs/images/names.h"
#include "transport/composefs/repository-private.h"

#include <string.h>

struct check {
	struct sfd_fsck *f;
	const char *name;
	struct sfd_digest_table known; /* each object is looked up once */
};

static int corrupted(struct sfd_fsck *f, const char *kind, const char *name, const char *detail)
{
	f->report->images.corrupted++;
	return sfd_fsck_add(f, &f->report->errors, "%s: images/%s: %s", kind, name, detail);
}

static int on_object(void *ctx, const struct splitfd_digest *digest, struct splitfd_error *err)
{
	struct check *c = ctx;
	char hex[2 * SPLITFD_DIGEST_MAX + 1];
	bool new = false;

	if (sfd_digest_table_add(&c->known, digest, &new) < 0)
		return splitfd_error_oom(err);
	if (!new || sfd_fsck_has_object(c->f, digest))
		return 0;
	c->f->report->missing_objects++;
	splitfd_digest_hex(digest, hex);
	if (sfd_fsck_add(c->f, &c->f->report->errors, "image-missing-object: images/%s: %s",
		    c->name, hex) < 0)
		return splitfd_error_oom(err);
	return 0;
}

/* An image's name is its digest. */
static int check_name(struct sfd_fsck *f, const char *name)
{
	char hex[2 * SPLITFD_DIGEST_MAX + 1];
	sfd_cleanup_free char *path = sfd_asprintf("images/%s", name);
	struct splitfd_error why = { 0 };
	struct splitfd_digest digest;
	int r;

	if (path == NULL)
		return -ENOMEM;
	r = sfd_name_read(f->repository, path, &digest, &why);
	if (r < 0 && why.kind == SPLITFD_ERROR_FAILED)
		return corrupted(f, "image-read-failed", name, why.text);
	if (r <= 0)
		return corrupted(f, "image-name-mismatch", name, "points at no object");
	splitfd_digest_hex(&digest, hex);
	return strcmp(hex, name) != 0 ? corrupted(f, "image-name-mismatch", name, hex) : 0;
}

static int check_image(struct sfd_fsck *f, const char *name, int fd)
{
	struct check c = { .f = f, .name = name };
	sfd_cleanup_free char *data = NULL;
	struct splitfd_error why = { 0 };
	size_t size = 0;
	int r = sfd_read_file_fd(fd, SFD_EROFS_IMAGE_MAX, &data, &size);

	if (r < 0)
		return sfd_is_shortage(r) ? r
					  : corrupted(f, "image-read-failed", name, strerror(-r));
	sfd_digest_table_init(&c.known, f->repository->algorithm);
	r = sfd_erofs_objects(
		(const uint8_t *)data, size, f->repository->algorithm, on_object, &c, &why);
	sfd_digest_table_done(&c.known);
	if (r < 0)
		return sfd_is_shortage(r) ? r : corrupted(f, "image-invalid", name, why.text);
	return check_name(f, name);
}

int sfd_fsck_image(struct sfd_fsck *f, const char *name, int fd)
{
	int r = check_image(f, name, fd);

	sfd_close(fd);
	return r;
}
