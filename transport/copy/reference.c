/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/copy/reference.h"

#include <stdio.h>
#include <unistd.h>
#include <errno.h>
#include <string.h>

/* "oci:latest" may be a short name; whoever means an image of the store under such a name writes
 * containers-storage: in front, as with podman. */
static const struct {
	const char *prefix;
	enum sfd_reference_kind kind;
} prefixes[] = {
	{ "varlink:", SFD_REFERENCE_VARLINK },
	{ "jsonrpc:", SFD_REFERENCE_JSONRPC },
	{ "atomic:", SFD_REFERENCE_SKOPEO },
	{ "dir:", SFD_REFERENCE_SKOPEO },
	{ "docker:", SFD_REFERENCE_SKOPEO },
	{ "docker-archive:", SFD_REFERENCE_SKOPEO },
	{ "docker-daemon:", SFD_REFERENCE_SKOPEO },
	{ "oci:", SFD_REFERENCE_SKOPEO },
	{ "oci-archive:", SFD_REFERENCE_SKOPEO },
	{ "ostree:", SFD_REFERENCE_SKOPEO },
	{ "sif:", SFD_REFERENCE_SKOPEO },
	{ "tarball:", SFD_REFERENCE_SKOPEO },
};

enum sfd_reference_kind sfd_reference_kind(const char *reference)
{
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (strncmp(reference, prefixes[i].prefix, strlen(prefixes[i].prefix)) == 0)
			return prefixes[i].kind;
	return SFD_REFERENCE_STORE;
}

int sfd_service_reference(
	const char *reference, char **ret_socket, const char **ret_image, struct splitfd_error *err)
{
	const char *colon = strchr(reference, ':');
	const char *hash = colon != NULL ? strrchr(colon, '#') : NULL;

	if (hash == NULL || hash == colon + 1 || hash[1] == '\0')
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"'%s': an image of a service is named %.*s:SOCKET#IMAGE", reference,
			colon != NULL ? (int)(colon - reference) : 0, reference);
	*ret_socket = strndup(colon + 1, (size_t)(hash - colon - 1));
	*ret_image = hash + 1;
	return *ret_socket != NULL ? 0 : splitfd_error_oom(err);
}

int sfd_repo_absolute(const char *path, char ret[PATH_MAX], struct splitfd_error *err)
{
	char here[PATH_MAX] = "";

	if (path[0] != '/' && getcwd(here, sizeof(here)) == NULL)
		return splitfd_error_sys(
			err, errno, "cannot read the path of the working directory");
	if (snprintf(ret, PATH_MAX, "%s%s%s", here, path[0] == '/' ? "" : "/", path) >= PATH_MAX)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, ENAMETOOLONG,
			"the repository's path is too long");
	return 0;
}
