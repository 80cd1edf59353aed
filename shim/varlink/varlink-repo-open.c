/* SPDX-License-Identifier: Apache-2.0 */
/* The repository that a call means, and what several of its methods answer with. */
#include "shim/varlink/varlink-repo.h"
#include "transport/composefs/repository-private.h"
#include "transport/containers-storage/store-lock.h"

#include <string.h>

bool sfd_varlink_add_digest(cJSON *object, const char *key, const struct splitfd_digest *digest)
{
	char hex[2 * SPLITFD_DIGEST_MAX + 1];

	splitfd_digest_hex(digest, hex);
	return cJSON_AddStringToObject(object, key, hex) != NULL;
}

int sfd_varlink_repo_open(struct sfd_varlink_session *s, bool write,
	struct sfd_varlink_result *result, struct splitfd_error *err)
{
	struct sfd_lock_options lock =
		sfd_store_lock_options(&s->settings->store, s->settings->cancel_fd);
	struct splitfd_repository *repository = NULL;
	int r;

	if (s->repository != NULL && (s->writable || !write))
		return 1;
	r = sfd_repository_open(s->settings->repository, write, &lock, &repository, err);
	if (r < 0 && err->kind == SPLITFD_ERROR_NOT_FOUND)
		return sfd_varlink_fail(
			result, SFD_IFACE_OCI ".RepoNotFound", "message", err->text, err);
	if (r < 0)
		return r;
	splitfd_repository_close(s->repository);
	s->repository = repository;
	s->repository->cancel = s->settings->cancel;
	s->writable = write;
	return 1;
}

int sfd_varlink_repo(struct sfd_varlink_session *s, const cJSON *handle, bool write,
	struct sfd_varlink_result *result, struct splitfd_error *err)
{
	double number = handle->valuedouble;

	if (!sfd_varlink_handles_has(&s->shared->handles, number)) {
		/* Whoever closed it wants the repository let go. */
		s->repository = splitfd_repository_close(s->repository);
		return sfd_varlink_fail_number(
			result, SFD_IFACE_OCI ".InvalidHandle", "handle", number, err);
	}
	return sfd_varlink_repo_open(s, write, result, err);
}

int sfd_varlink_repo_itself(struct sfd_varlink_session *s, const cJSON *handle,
	struct sfd_varlink_result *result, struct splitfd_error *err)
{
	int r = sfd_varlink_repo(s, handle, false, result, err);

	if (r == 0 && result->error != NULL)
		result->error = strcmp(result->error, SFD_IFACE_OCI ".InvalidHandle") == 0
					? SFD_IFACE_REPOSITORY ".InvalidHandle"
					: SFD_IFACE_REPOSITORY ".RepoNotFound";
	return r;
}
