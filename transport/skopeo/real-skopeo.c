/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/skopeo/real-skopeo.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Programs that were started as the real skopeo by a splitfd above us: DEV.INO:DEV.INO… */
#define STARTED "SPLITFD_SKOPEO_STARTED"

static void identity(const struct stat *st, char text[64])
{
	snprintf(text, 64, "%llx.%llx", (unsigned long long)st->st_dev,
		(unsigned long long)st->st_ino);
}

static bool was_started(const struct stat *st)
{
	const char *list = getenv(STARTED);
	char text[64];

	if (list == NULL)
		return false;
	identity(st, text);
	while (*list != '\0') {
		size_t len = strcspn(list, ":");

		if (len == strlen(text) && memcmp(list, text, len) == 0)
			return true;
		list += len + (list[len] == ':');
	}
	return false;
}

static bool is_self(const struct stat *st)
{
	struct stat self;

	return stat("/proc/self/exe", &self) == 0 && st->st_dev == self.st_dev &&
	       st->st_ino == self.st_ino;
}

static bool is_real(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0 &&
	       !is_self(&st) && !was_started(&st);
}

static int take_given(const char *text, char **ret, struct splitfd_error *err)
{
	struct stat st;

	if (stat(text, &st) == 0 && (is_self(&st) || was_started(&st)))
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, ELOOP,
			"%s is splitfd itself or starts it; name the real skopeo with --skopeo or "
			"SPLITFD_SKOPEO",
			text);
	*ret = strdup(text);
	return *ret == NULL ? splitfd_error_oom(err) : 0;
}

int sfd_find_skopeo(const char *given, char **ret, struct splitfd_error *err)
{
	const char *path = getenv("PATH");

	if (given == NULL)
		given = getenv("SPLITFD_SKOPEO");
	if (given != NULL && given[0] != '\0')
		return take_given(given, ret, err);
	if (path == NULL)
		path = "/usr/local/bin:/usr/bin:/bin";
	while (*path != '\0') {
		size_t len = strcspn(path, ":");
		sfd_cleanup_free char *candidate = sfd_asprintf("%.*s/skopeo", (int)len, path);

		if (candidate == NULL)
			return splitfd_error_oom(err);
		if (len > 0 && is_real(candidate)) {
			*ret = sfd_take_ptr(&candidate);
			return 0;
		}
		path += len + (path[len] == ':');
	}
	return splitfd_error_set(err, SPLITFD_ERROR_NOT_FOUND, ENOENT,
		"there is no skopeo on PATH besides splitfd; install skopeo, or name it with "
		"--skopeo "
		"or SPLITFD_SKOPEO");
}

int sfd_skopeo_environment(const char *program, char ***ret, struct splitfd_error *err)
{
	const char *before = getenv(STARTED);
	sfd_cleanup_free char *noted = NULL;
	char **list;
	char text[64] = "";
	struct stat st;
	size_t n = 0, kept = 0;

	if (stat(program, &st) == 0)
		identity(&st, text);
	noted = sfd_asprintf(STARTED "=%s:%s", text, before != NULL ? before : "");
	if (noted == NULL)
		return splitfd_error_oom(err);
	while (environ[n] != NULL)
		n++;
	list = calloc(n + 2, sizeof(*list));
	if (list == NULL)
		return splitfd_error_oom(err);
	list[kept++] = sfd_take_ptr(&noted);
	for (size_t i = 0; i < n; i++) {
		if (strncmp(environ[i], STARTED "=", sizeof(STARTED)) != 0)
			list[kept++] = environ[i];
	}
	*ret = list;
	return 0;
}

void sfd_skopeo_environment_free(char **environment)
{
	if (environment == NULL)
		return;
	free(environment[0]);
	free(environment);
}

int sfd_exec_skopeo(char **argv, struct splitfd_error *err)
{
	sfd_cleanup_free char *program = NULL;
	char **environment = NULL;
	int r, e;

	r = sfd_find_skopeo(NULL, &program, err);
	if (r == 0)
		r = sfd_skopeo_environment(program, &environment, err);
	if (r < 0)
		return r;
	execve(program, argv, environment);
	e = errno;
	sfd_skopeo_environment_free(environment);
	return splitfd_error_sys(err, e, "cannot run %s", program);
}
