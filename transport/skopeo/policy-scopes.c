/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/skopeo/policy-scopes.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A name in full: DOMAIN/PATH, and what comes behind it. Empty strings where there is none. */
struct named {
	char *name, *tag, *digest;
};

struct list {
	char **items;
	size_t n;
};

static void named_done(struct named *n)
{
	free(n->name);
	free(n->tag);
	free(n->digest);
}

void sfd_policy_scopes_free(char **scopes)
{
	for (size_t i = 0; scopes != NULL && scopes[i] != NULL; i++)
		free(scopes[i]);
	free(scopes);
}

/* Takes the text, which is NULL where memory was short. */
static int add(struct list *list, char *text)
{
	char **items = text != NULL ? reallocarray(list->items, list->n + 2, sizeof(*items)) : NULL;

	if (items == NULL) {
		free(text);
		return -ENOMEM;
	}
	items[list->n++] = text;
	items[list->n] = NULL;
	list->items = items;
	return 0;
}

/* The first component is a host where it looks like one. */
static bool has_domain(const char *text)
{
	const char *slash = strchr(text, '/');
	size_t len;

	if (slash == NULL)
		return false;
	len = (size_t)(slash - text);
	if (len == 9 && memcmp(text, "localhost", 9) == 0)
		return true;
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '.' || text[i] == ':' || isupper((unsigned char)text[i]))
			return true;
	}
	return false;
}

static char *full_name(const char *name)
{
	if (strncmp(name, "index.docker.io/", 16) == 0)
		name += 6;
	if (!has_domain(name))
		return sfd_asprintf(
			"docker.io/%s%s", strchr(name, '/') == NULL ? "library/" : "", name);
	if (strncmp(name, "docker.io/", 10) == 0 && strchr(name + 10, '/') == NULL)
		return sfd_asprintf("docker.io/library/%s", name + 10);
	return strdup(name);
}

/* Cuts `text` at its digest and tag. */
static int normalise(char *text, struct named *ret)
{
	char *at = strchr(text, '@'), *slash, *colon;

	if (at != NULL)
		*at++ = '\0';
	slash = strrchr(text, '/');
	colon = strrchr(slash != NULL ? slash : text, ':');
	if (colon != NULL)
		*colon++ = '\0';
	ret->digest = strdup(at != NULL ? at : "");
	ret->tag = strdup(colon != NULL ? colon : at == NULL ? "latest" : "");
	ret->name = full_name(text);
	return ret->name == NULL || ret->tag == NULL || ret->digest == NULL ? -ENOMEM : 0;
}

static int parse(const char *rest, const char *image_id, struct named *ret)
{
	sfd_cleanup_free char *text = strdup(rest);
	char *at;

	if (text == NULL)
		return -ENOMEM;
	at = strrchr(text, '@');
	if (at != NULL && strchr(at + 1, ':') == NULL)
		*at = '\0';
	else if (strlen(text) >= 3 && strpbrk(text, "@:") == NULL &&
		 strncmp(image_id, text, strlen(text)) == 0)
		return 0;
	return text[0] == '\0' ? 0 : normalise(text, ret);
}

/* NAME[:TAG][@DIGEST] behind the store. */
static char *full_text(const char *store, const struct named *n)
{
	if (n->name == NULL)
		return strdup(store);
	return sfd_asprintf("%s%s%s%s%s%s", store, n->name, n->tag[0] != '\0' ? ":" : "", n->tag,
		n->digest[0] != '\0' ? "@" : "", n->digest);
}

static int add_named(struct list *list, const char *store, const struct named *n)
{
	sfd_cleanup_free char *name = strdup(n->name);
	int r;

	if (name == NULL)
		return -ENOMEM;
	r = add(list, full_text(store, n));
	if (r == 0 && n->tag[0] != '\0' && n->digest[0] != '\0')
		r = add(list, sfd_asprintf("%s%s:%s", store, n->name, n->tag));
	while (r == 0) {
		char *slash = strrchr(name, '/');

		r = add(list, sfd_asprintf("%s%s", store, name));
		if (slash == NULL)
			break;
		*slash = '\0';
	}
	return r;
}

/* An image that was found has its ID in its identity, however it was named. */
static int fill(struct list *list, const struct named *n, const char *driver, const char *graphroot,
	const char *image_id)
{
	sfd_cleanup_free char *store = sfd_asprintf("[%s@%s]", driver, graphroot);
	sfd_cleanup_free char *full = store != NULL ? full_text(store, n) : NULL;
	int r;

	if (full == NULL)
		return -ENOMEM;
	r = add(list, sfd_asprintf("%s@%s", full, image_id));
	if (r == 0 && n->name != NULL)
		r = add_named(list, store, n);
	if (r == 0)
		r = add(list, strdup(store));
	if (r == 0)
		r = add(list, sfd_asprintf("[%s]", graphroot));
	return r;
}

int sfd_policy_scopes(const char *rest, const char *driver, const char *graphroot,
	const char *image_id, char ***ret, struct splitfd_error *err)
{
	struct named n = { 0 };
	struct list list = { 0 };
	int r;

	r = parse(rest, image_id, &n);
	if (r == 0)
		r = fill(&list, &n, driver, graphroot, image_id);
	named_done(&n);
	if (r < 0) {
		sfd_policy_scopes_free(list.items);
		return splitfd_error_oom(err);
	}
	*ret = list.items;
	return 0;
}

/* *.example.com and so on, for the host of a name. */
static int add_wildcards(struct list *list, const char *name)
{
	char host[256];
	const char *dot = host;
	int r = 0;

	snprintf(host, sizeof(host), "%.*s", (int)strcspn(name, "/:"), name);
	while (r == 0 && (dot = strchr(dot, '.')) != NULL)
		r = add(list, sfd_asprintf("*.%s", ++dot));
	return r;
}

/* docker: //NAME[:TAG] or //NAME@DIGEST. */
static int add_docker(struct list *list, const char *rest)
{
	sfd_cleanup_free char *text = NULL;
	sfd_cleanup(named_done) struct named n = { 0 };
	int r;

	if (strncmp(rest, "//", 2) != 0)
		return 0;
	text = strdup(rest + 2);
	r = text == NULL ? -ENOMEM : normalise(text, &n);
	if (r == 0 && n.tag[0] != '\0' && n.digest[0] != '\0')
		return 0;
	if (r == 0)
		r = add_named(list, "", &n);
	if (r == 0)
		r = add_wildcards(list, n.name);
	return r < 0 ? r : 1;
}

/* A file or directory, and those that it lies in. */
static int add_path(struct list *list, const char *rest, bool has_image)
{
	sfd_cleanup_free char *given = has_image ? strndup(rest, strcspn(rest, ":")) : strdup(rest);
	sfd_cleanup_free char *path = given != NULL ? realpath(given, NULL) : NULL;
	int r = given == NULL ? -ENOMEM : 0;

	/* What does not exist is not accepted under any name but that of all. */
	if (r < 0 || path == NULL)
		return r;
	for (;;) {
		char *slash;

		r = add(list, strdup(path));
		slash = strrchr(path, '/');
		if (r < 0 || slash == NULL || slash == path)
			return r < 0 ? r : 1;
		*slash = '\0';
	}
}

int sfd_policy_scopes_of(const char *reference, char ***ret, struct splitfd_error *err)
{
	struct list list = { calloc(1, sizeof(*list.items)), 0 };
	size_t n = strcspn(reference, ":");
	const char *rest = reference + n + (reference[n] == ':');
	int r = 0;

	if (list.items == NULL)
		return splitfd_error_oom(err);
	if (strncmp(reference, "docker:", 7) == 0)
		r = add_docker(&list, rest);
	else if (strncmp(reference, "oci:", 4) == 0 || strncmp(reference, "oci-archive:", 12) == 0)
		r = add_path(&list, rest, true);
	else if (strncmp(reference, "dir:", 4) == 0 || strncmp(reference, "sif:", 4) == 0)
		r = add_path(&list, rest, false);
	else if (strncmp(reference, "docker-archive:", 15) == 0 ||
		 strncmp(reference, "tarball:", 8) == 0)
		r = 1;
	if (r > 0) {
		*ret = list.items;
		return 1;
	}
	sfd_policy_scopes_free(list.items);
	return r < 0 ? splitfd_error_oom(err) : 0;
}
