/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/containers-storage/conf/docker-ref.h"

#include <stddef.h>
#include <string.h>

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"
#define HEX    "0123456789abcdef"

bool sfd_digest_valid(const char *text)
{
	static const struct {
		const char *name;
		size_t digits;
	} known[] = { { "sha256:", 64 }, { "sha384:", 96 }, { "sha512:", 128 } };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		size_t n = strlen(known[i].name);

		if (strncmp(text, known[i].name, n) == 0)
			return strlen(text) == n + known[i].digits &&
			       strspn(text + n, HEX) == known[i].digits;
	}
	return false;
}

/* Letters and digits with single separators between them: one of "._", two "_", any count of "-".
 */
static bool path_component(const char *s, size_t n)
{
	size_t i = 0;

	while (i < n) {
		size_t run = strspn(s + i, LOWER DIGITS);

		if (run == 0)
			return false;
		i += run;
		if (i >= n)
			return i == n;
		if (s[i] == '-')
			i += strspn(s + i, "-");
		else if (s[i] == '.')
			i++;
		else if (s[i] == '_')
			i += s[i + 1] == '_' ? 2 : 1;
		else
			return false;
	}
	return false;
}

static bool domain(const char *s, size_t n)
{
	size_t i;

	if (n > 0 && s[0] == '[') {
		i = 1 + strspn(s + 1, "0123456789abcdefABCDEF:");
		if (i >= n || s[i] != ']')
			return false;
		i++;
	} else {
		i = strspn(s, LOWER UPPER DIGITS "-.");
		if (i == 0 || s[0] == '-' || s[0] == '.')
			return false;
	}
	if (i < n && s[i] == ':') {
		size_t digits = strspn(s + i + 1, DIGITS);

		i += digits == 0 ? 0 : digits + 1;
	}
	return i == n;
}

/* Whether the first component, n bytes before a slash, is a domain rather than a path. */
static bool looks_like_domain(const char *s, size_t n)
{
	if (n == 9 && memcmp(s, "localhost", 9) == 0)
		return true;
	for (size_t i = 0; i < n; i++)
		if (s[i] == '.' || s[i] == ':' || (s[i] >= 'A' && s[i] <= 'Z'))
			return true;
	return false;
}

static const char *check_repository(struct sfd_docker_ref *ref)
{
	const char *s = ref->repository, *slash = strchr(s, '/');

	ref->qualified = slash != NULL && looks_like_domain(s, (size_t)(slash - s));
	if (ref->qualified) {
		if (!domain(s, (size_t)(slash - s)))
			return "the part before the first slash is not a host name";
		s = slash + 1;
	}
	if (strlen(s) == 64 && strspn(s, HEX) == 64)
		return "64 hex digits are an ID, not a name";
	for (;;) {
		size_t n = strcspn(s, "/");

		if (!path_component(s, n))
			return strpbrk(s, UPPER) != NULL
				       ? "a repository is written in lower case"
				       : "a repository is made of lower-case letters and digits "
					 "with single separators";
		if (s[n] == '\0')
			return NULL;
		s += n + 1;
	}
}

const char *sfd_docker_ref_parse(const char *text, struct sfd_docker_ref *ret)
{
	const char *at = strchr(text, '@'), *colon, *slash;
	size_t n = at != NULL ? (size_t)(at - text) : strlen(text);

	*ret = (struct sfd_docker_ref){ .qualified = false };
	if (at != NULL) {
		if (!sfd_digest_valid(at + 1))
			return "what follows '@' is not a digest";
		memcpy(ret->digest, at + 1, strlen(at + 1) + 1);
	}
	slash = memrchr(text, '/', n);
	colon = memrchr(text, ':', n);
	if (colon != NULL && (slash == NULL || colon > slash)) {
		size_t tag_len = n - (size_t)(colon - text) - 1;

		if (tag_len == 0 || tag_len >= sizeof(ret->tag) || colon[1] == '.' ||
			colon[1] == '-' || strspn(colon + 1, LOWER UPPER DIGITS "_.-") < tag_len)
			return "the tag is malformed";
		memcpy(ret->tag, colon + 1, tag_len);
		n = (size_t)(colon - text);
	}
	if (n == 0)
		return "the name is empty";
	if (n > SFD_REPOSITORY_MAX)
		return "the name is too long";
	memcpy(ret->repository, text, n);
	return check_repository(ret);
}

void sfd_docker_ref_normalise(struct sfd_docker_ref *ref)
{
	static const char hub[] = "docker.io/", library[] = "docker.io/library/";
	char *s = ref->repository;
	const char *prefix = NULL;
	size_t drop = 0;

	if (!ref->qualified)
		prefix = strchr(s, '/') != NULL ? hub : library;
	else if (strncmp(s, "index.docker.io/", 16) == 0)
		drop = 16;
	else if (strncmp(s, hub, 10) == 0)
		drop = 10;
	if (drop != 0)
		prefix = strchr(s + drop, '/') != NULL ? hub : library;
	if (prefix != NULL) {
		memmove(s + strlen(prefix), s + drop, strlen(s + drop) + 1);
		memcpy(s, prefix, strlen(prefix));
	}
	ref->qualified = true;
}
