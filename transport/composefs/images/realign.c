/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/images/realign.h"
#include "transport/composefs/images/config-images.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"
#include "transport/composefs/beneath.h"
#include "transport/composefs/repository-private.h"

#include <fcntl.h>
#include <string.h>

#define LAYER_PREFIX	"oci-layer-"
#define CONFIG_PREFIX	"oci-config-"
#define MANIFEST_PREFIX "oci-manifest-"
#define STREAMS		"streams/"

struct realign {
	struct splitfd_repository *repository;
	struct sfd_names *names;
	const char *skip;
	struct sfd_splitstream_ref *rows; /* how a stream is referred to, and its digest */
	size_t n;
};

static void rows_done(struct realign *a)
{
	for (size_t i = 0; i < a->n; i++)
		free(a->rows[i].name);
	free(a->rows);
}

/* A stream's name in streams/, as references have it: a layer's diff_id, "config:" and a digest. */
static int add_row(struct realign *a, const char *name, const struct splitfd_digest *digest)
{
	struct sfd_splitstream_ref *rows;
	char *ref = NULL;

	if (strncmp(name, LAYER_PREFIX, strlen(LAYER_PREFIX)) == 0)
		ref = strdup(name + strlen(LAYER_PREFIX));
	else if (strncmp(name, CONFIG_PREFIX, strlen(CONFIG_PREFIX)) == 0)
		ref = sfd_asprintf("config:%s", name + strlen(CONFIG_PREFIX));
	else
		return 0;
	rows = reallocarray(a->rows, a->n + 1, sizeof(*rows));
	if (rows != NULL)
		a->rows = rows;
	if (rows == NULL || ref == NULL) {
		free(ref);
		return -ENOMEM;
	}
	rows[a->n++] = (struct sfd_splitstream_ref){ ref, *digest };
	return 0;
}

/* What gets a stream in this commit that its name does not lead to yet. */
static int collect(struct realign *a, struct splitfd_error *err)
{
	size_t n = sfd_names_count(a->names);

	for (size_t i = 0; i < n; i++) {
		enum sfd_name_policy policy;
		const char *name = sfd_names_get(a->names, i, &policy);
		struct splitfd_digest ours, there;

		if (name == NULL || strncmp(name, STREAMS, strlen(STREAMS)) != 0)
			continue;
		sfd_names_digest(a->names, i, &ours);
		if (sfd_name_read(a->repository, name, &there, NULL) == 1 &&
			splitfd_digest_equal(&ours, &there))
			continue;
		if (add_row(a, name + strlen(STREAMS), &ours) < 0)
			return splitfd_error_oom(err);
	}
	return 0;
}

static bool refers_elsewhere(const struct realign *a, const struct sfd_splitstream *s)
{
	size_t n;
	const struct sfd_splitstream_ref *refs = sfd_splitstream_refs(s, &n);

	for (size_t i = 0; i < n; i++) {
		const struct splitfd_digest *digest = sfd_ref_find(a->rows, a->n, refs[i].name);

		if (digest != NULL && !splitfd_digest_equal(digest, &refs[i].digest))
			return true;
	}
	return false;
}

static int put_inline(void *ctx, const uint8_t *data, size_t n, struct splitfd_error *err)
{
	return sfd_splitstream_inline(ctx, data, n, err);
}

static int put_object(
	void *ctx, const struct splitfd_digest *digest, uint64_t size, struct splitfd_error *err)
{
	return sfd_splitstream_object(ctx, digest, size, err);
}

/* The same stream with the new references, without images that were made of other layers. */
static int write_again(const struct realign *a, struct sfd_splitstream *s,
	struct splitfd_digest *ret, struct splitfd_error *err)
{
	sfd_cleanup_splitstream_writer struct sfd_splitstream_writer *w = NULL;
	sfd_cleanup_free char *file = NULL;
	struct sfd_stream_listener listener = { put_inline, put_object, NULL };
	const struct sfd_splitstream_ref *refs;
	enum sfd_object_how how;
	size_t n, size = 0;
	int r, hold = sfd_image_refs_hold(a->repository, s, a->rows, a->n, err);

	if (hold < 0)
		return hold;
	r = sfd_splitstream_writer_new(a->repository->algorithm, sfd_splitstream_content_type(s),
		a->repository->fd, &w, err);
	refs = sfd_splitstream_refs(s, &n);
	for (size_t i = 0; r == 0 && i < n; i++) {
		const struct splitfd_digest *digest = sfd_ref_find(a->rows, a->n, refs[i].name);

		if (hold == 0 && sfd_is_image_ref(refs[i].name))
			continue;
		r = sfd_splitstream_ref(
			w, refs[i].name, digest != NULL ? digest : &refs[i].digest, err);
	}
	listener.ctx = w;
	if (r == 0)
		r = sfd_splitstream_tell(s, true, &listener, err);
	if (r == 0)
		r = sfd_splitstream_finish(w, &file, &size, err);
	return r < 0 ? r : sfd_object_put_bytes(a->repository, file, size, ret, &how, err);
}

static int look_at(struct realign *a, const char *type, const char *name, struct splitfd_error *err)
{
	sfd_cleanup_splitstream struct sfd_splitstream *s = NULL;
	sfd_cleanup_free char *path = sfd_asprintf(STREAMS "%s", name);
	struct splitfd_error why = { 0 };
	struct splitfd_digest digest;
	int r;

	if (path == NULL)
		return splitfd_error_oom(err);
	if ((a->skip != NULL && strcmp(path, a->skip) == 0) ||
		sfd_name_read(a->repository, path, &digest, NULL) != 1)
		return 0;
	r = sfd_splitstream_open(a->repository, &digest, type, &s, &why);
	if (r == 0 && !refers_elsewhere(a, s))
		return 0;
	if (r == 0)
		r = write_again(a, s, &digest, &why);
	if (r < 0) {
		/* Not ours to report. */
		if (sfd_is_stream_damage(r, &why))
			return 0;
		return splitfd_error_copy(err, r, &why);
	}
	r = sfd_names_add_object(a->names, path, &digest, SFD_NAME_REALIGN, err);
	if (r >= 0 && add_row(a, name, &digest) < 0)
		return splitfd_error_oom(err);
	return r < 0 ? r : 0;
}

static int look_at_all(
	struct realign *a, const char *prefix, const char *type, struct splitfd_error *err)
{
	sfd_cleanup_dir DIR *dir = NULL;
	const struct dirent *entry;
	int fd, r = 0;

	fd = sfd_beneath_open(a->repository->fd, "streams", O_RDONLY | O_DIRECTORY, 0);
	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return sfd_beneath_failed(
			a->repository->fd, a->repository->path, "read", "streams", fd, err);
	dir = fdopendir(fd);
	if (dir == NULL) {
		r = splitfd_error_sys(err, errno, "cannot read %s/streams", a->repository->path);
		sfd_close(fd);
		return r;
	}
	for (errno = 0; r == 0 && (entry = readdir(dir)) != NULL; errno = 0) {
		if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
			r = look_at(a, type, entry->d_name, err);
	}
	if (r == 0 && errno != 0)
		r = splitfd_error_sys(err, errno, "cannot read %s/streams", a->repository->path);
	return r;
}

int sfd_realign(struct splitfd_repository *repository, struct sfd_names *names, const char *skip,
	struct splitfd_error *err)
{
	struct realign a = { .repository = repository, .names = names, .skip = skip };
	struct splitfd_error local = { 0 };
	int r = collect(&a, &local);

	if (r == 0 && a.n > 0)
		r = look_at_all(&a, CONFIG_PREFIX, SFD_STREAM_CONFIG, &local);
	if (r == 0 && a.n > 0)
		r = look_at_all(&a, MANIFEST_PREFIX, SFD_STREAM_MANIFEST, &local);
	rows_done(&a);
	return r < 0 ? splitfd_error_copy(err, r, &local) : r;
}
