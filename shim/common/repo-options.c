/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/common/repo-options.h"
#include "shim/common/cancel.h"
#include "shim/common/report.h"
#include "splitfdstream/base/user.h"
#include "transport/composefs/repository-private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SYSTEM_REPOSITORY "/sysroot/composefs"
#define USER_REPOSITORY	  ".var/lib/composefs"

static int user_path(char path[PATH_MAX], struct splitfd_error *err)
{
	const char *home = getenv("HOME");

	if (home == NULL || home[0] != '/')
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"HOME is not an absolute path, so the user's repository is not known; use "
			"--repo "
			"DIR");
	if (snprintf(path, PATH_MAX, "%s/" USER_REPOSITORY, home) >= PATH_MAX)
		return splitfd_error_set(
			err, SPLITFD_ERROR_USAGE, ENAMETOOLONG, "HOME is too long");
	return 0;
}

int sfd_repo_path(const struct sfd_repo_options *o, char path[PATH_MAX], struct splitfd_error *err)
{
	if ((o->repo != NULL) + o->user + o->system > 1)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"give only one of --repo, --user and --system");
	if (o->repo != NULL && (o->repo[0] == '\0' || strlen(o->repo) >= PATH_MAX))
		return splitfd_error_set(
			err, SPLITFD_ERROR_USAGE, EINVAL, "--repo needs the path of a directory");
	/* podman unshare changes no one's repository. */
	if (o->user || (o->repo == NULL && !o->system && (geteuid() != 0 || sfd_user_id() != 0)))
		return user_path(path, err);
	snprintf(path, PATH_MAX, "%s", o->repo != NULL ? o->repo : SYSTEM_REPOSITORY);
	return 0;
}

/* Any thread of a service. */
static void print_notice(void *ctx, const char *text)
{
	(void)ctx;
	flockfile(stderr);
	fputs("splitfd: ", stderr);
	sfd_print_text(stderr, text);
	fputc('\n', stderr);
	funlockfile(stderr);
}

int sfd_repo_open(const struct sfd_repo_options *o, bool write, struct splitfd_repository **ret,
	struct splitfd_error *err)
{
	const struct sfd_lock_options lock = { .cancel_fd = o->cancel_fd > 0 ? o->cancel_fd
									     : sfd_cancel_fd(),
		.timeout_ms = (unsigned int)o->lock_timeout * 1000,
		.notice = print_notice };
	char path[PATH_MAX];
	int r = sfd_repo_path(o, path, err);

	if (r == 0)
		r = sfd_repository_open(path, write, &lock, ret, err);
	if (r == 0)
		(*ret)->cancel = sfd_cancel_flag();
	return r;
}

long sfd_lock_seconds(long lock_timeout, long timeout)
{
	long seconds = lock_timeout > 0 ? lock_timeout : SFD_LOCK_TIMEOUT_MS / 1000;

	return timeout > 0 && timeout < seconds ? timeout : seconds;
}

void sfd_lock_options_apply(long lock_timeout, long timeout, struct splitfd_store_options *store)
{
	store->lock_timeout = (unsigned int)sfd_lock_seconds(lock_timeout, timeout) * 1000;
	store->lock_notice = print_notice;
}

int sfd_repo_open_reader(const struct sfd_repo_options *o, struct splitfd_repository **ret,
	struct splitfd_error *err)
{
	int r = sfd_repo_open(o, false, ret, err);

	if (r == 0)
		sfd_confine(o->sandbox,
			&(struct sfd_needs){
				.read_rules = true, .repository = *ret, .objects = -EBADF });
	return r;
}

int sfd_parse_reflink(const char *text, enum splitfd_reflink *ret, struct splitfd_error *err)
{
	static const struct {
		const char *word;
		enum splitfd_reflink value;
	} words[] = { { "auto", SPLITFD_REFLINK_AUTO }, { "always", SPLITFD_REFLINK_ALWAYS },
		{ "never", SPLITFD_REFLINK_NEVER } };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(text != NULL ? text : "auto", words[i].word) == 0) {
			*ret = words[i].value;
			return 0;
		}
	}
	return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
		"--reflink takes auto, always or never, not '%s'", text);
}
