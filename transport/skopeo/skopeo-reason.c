/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/skopeo/skopeo-reason.h"

#include <stdbool.h>
#include <string.h>

#define NO_FILE ": no such file or directory"

struct phrase {
	const char *text; /* anywhere in the reason */
	enum splitfd_error_kind kind;
};

static const struct phrase phrases[] = {
	/* Registries. What follows is the registry's own sentence. */
	{ ": manifest unknown", SPLITFD_ERROR_NOT_FOUND },
	{ ": name unknown", SPLITFD_ERROR_NOT_FOUND },
	{ ": blob unknown", SPLITFD_ERROR_NOT_FOUND },
	{ "invalid status code from registry 404", SPLITFD_ERROR_NOT_FOUND },
	{ "unexpected HTTP status: 404", SPLITFD_ERROR_NOT_FOUND },
	{ "StatusCode: 404", SPLITFD_ERROR_NOT_FOUND },
	/* Directories and archives. */
	{ "no descriptor found for reference", SPLITFD_ERROR_NOT_FOUND },
	{ "archive file not found", SPLITFD_ERROR_NOT_FOUND },
	{ "Invalid source index @", SPLITFD_ERROR_NOT_FOUND },
	{ "no image found in ", SPLITFD_ERROR_NOT_FOUND }, /* of this architecture */
	{ "does not resolve to an image ID", SPLITFD_ERROR_NOT_FOUND },
	/* The policy. */
	{ " is rejected by policy", SPLITFD_ERROR_REFUSED },
	{ "A signature was required", SPLITFD_ERROR_REFUSED },
	{ "Source image rejected", SPLITFD_ERROR_REFUSED },
	/* Damage. */
	{ "corrupted blob, expecting", SPLITFD_ERROR_REFUSED },
	{ "does not match provided manifest digest", SPLITFD_ERROR_REFUSED },
	{ "unexpected end of JSON input", SPLITFD_ERROR_REFUSED },
	{ "invalid character '", SPLITFD_ERROR_REFUSED },
	{ "archive/tar: ", SPLITFD_ERROR_REFUSED },
};

static bool has_suffix(const char *text, const char *suffix)
{
	size_t n = strlen(text), m = strlen(suffix);

	return n >= m && strcmp(text + n - m, suffix) == 0;
}

/* A file of the image, not a directory for temporary ones or a daemon's socket. */
static bool misses_file(const char *text)
{
	return (has_suffix(text, NO_FILE) || has_suffix(text, ": not a directory")) &&
	       (strstr(text, "open ") != NULL || strstr(text, "stat ") != NULL) &&
	       strstr(text, "mkdir") == NULL && strstr(text, "dial ") == NULL;
}

static bool is_of(const char *reference, const char *transport)
{
	return reference != NULL && strncmp(reference, transport, strlen(transport)) == 0;
}

static bool is_local(const char *reference)
{
	return is_of(reference, "oci:") || is_of(reference, "dir:") ||
	       is_of(reference, "oci-archive:") || is_of(reference, "docker-archive:");
}

enum splitfd_error_kind sfd_skopeo_kind(const char *text, const char *reference)
{
	/* The archive is there, and has no such member. */
	if (is_of(reference, "oci-archive:") && has_suffix(text, "/index.json" NO_FILE))
		return SPLITFD_ERROR_REFUSED;
	if (is_of(reference, "docker-archive:") && has_suffix(text, ": file does not exist"))
		return SPLITFD_ERROR_REFUSED;
	/* Where there is no network, an end is the file's. */
	if (is_local(reference) && has_suffix(text, "EOF"))
		return SPLITFD_ERROR_REFUSED;
	if (misses_file(text) ||
		(strncmp(text, "Tag \"", 5) == 0 && has_suffix(text, " not found")))
		return SPLITFD_ERROR_NOT_FOUND;
	for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++) {
		if (strstr(text, phrases[i].text) != NULL)
			return phrases[i].kind;
	}
	return SPLITFD_ERROR_FAILED;
}
