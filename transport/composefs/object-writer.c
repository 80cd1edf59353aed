/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/object-writer.h"
#include "splitfdstream/base/io.h"
#include "transport/composefs/object-check.h"
#include "transport/composefs/repository-private.h"
#include "transport/composefs/verity.h"

struct sfd_object_writer {
	struct splitfd_repository *repository;
	struct sfd_verity *verity;
	struct sfd_staged staged;
};

int sfd_object_writer_new(struct splitfd_repository *repository, struct sfd_object_writer **ret,
	struct splitfd_error *err)
{
	struct sfd_object_writer *w = calloc(1, sizeof(*w));
	int r;

	if (w == NULL)
		return splitfd_error_oom(err);
	w->repository = repository;
	w->staged = SFD_STAGED_INIT;
	w->verity = sfd_verity_new_by(repository->algorithm, sfd_repository_hasher(repository));
	r = w->verity == NULL ? splitfd_error_oom(err)
			      : sfd_object_begin(repository, NULL, &w->staged, err);
	if (r < 0) {
		sfd_object_writer_free(w);
		return r;
	}
	*ret = w;
	return 0;
}

struct sfd_object_writer *sfd_object_writer_free(struct sfd_object_writer *w)
{
	if (w == NULL)
		return NULL;
	sfd_staged_done(&w->staged);
	sfd_verity_free(w->verity);
	free(w);
	return NULL;
}

int sfd_object_writer_add(void *ctx, const uint8_t *data, size_t n, struct splitfd_error *err)
{
	struct sfd_object_writer *w = ctx;
	int r = sfd_verity_update(w->verity, data, n);

	if (r < 0)
		return splitfd_error_sys(err, -r, "cannot hash an object");
	r = sfd_write_all(w->staged.fd, data, n);
	return r < 0 ? splitfd_error_sys(err, -r, "cannot write an object") : 0;
}

int sfd_object_writer_finish(struct sfd_object_writer *w, struct splitfd_digest *ret,
	enum sfd_object_how *ret_how, struct splitfd_error *err)
{
	int r = sfd_verity_final(w->verity, ret);

	if (r < 0)
		return splitfd_error_sys(err, -r, "cannot hash an object");
	r = sfd_object_verify(w->repository, ret, err);
	if (r == 0)
		r = sfd_object_commit(w->repository, ret, &w->staged, err);
	if (r < 0)
		return r;
	*ret_how = r == 1 ? SFD_OBJECT_PRESENT : SFD_OBJECT_COPIED;
	return 0;
}
