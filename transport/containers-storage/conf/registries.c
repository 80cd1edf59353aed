/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/containers-storage/conf/registries.h"

#include "splitfdstream/base/cleanup.h"
#include "transport/containers-storage/conf/docker-ref.h"
#include "transport/containers-storage/conf/storage-conf.h"

#include <stdbool.h>
#include <string.h>

/* A [[registry]], or one of its mirrors. */
struct endpoint {
	char *location, *prefix, *pull_from_mirror;
	bool insecure, blocked, by_digest_only;
	bool mirror;
	unsigned int line;
};

struct check {
	const char *path;
	struct endpoint *v; /* in the file's order, mirrors behind their registry */
	size_t n, cap;
};

static void check_done(struct check *c)
{
	for (size_t i = 0; i < c->n; i++) {
		free(c->v[i].location);
		free(c->v[i].prefix);
		free(c->v[i].pull_from_mirror);
	}
	free(c->v);
}

static int invalid(struct splitfd_error *err, const char *path, unsigned int line, const char *what,
	const char *value)
{
	return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL, "%s line %u: %s%s%s%s", path,
		line, what, value != NULL ? " '" : "", value != NULL ? value : "",
		value != NULL ? "'" : "");
}

/* HOST[:PORT], the host of letters, digits and '-' between dots, no part beginning or ending in
 * '-'. */
static bool registry_valid(const char *s, size_t n)
{
	static const char alnum[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	size_t i = 0;

	while (i < n && s[i] != ':') {
		size_t part = 0;

		while (i + part < n && (s[i + part] == '-' || strchr(alnum, s[i + part]) != NULL))
			part++;
		if (part == 0 || s[i] == '-' || s[i + part - 1] == '-')
			return false;
		i += part;
		if (i < n && s[i] == '.' && ++i == n)
			return false;
		else if (i < n && s[i - 1] != '.' && s[i] != ':')
			return false;
	}
	if (i == 0 || s[i - 1] == '.')
		return false;
	if (i < n) {
		size_t digits = strspn(s + i + 1, "0123456789");

		return digits > 0 && i + 1 + digits == n;
	}
	return true;
}

static size_t trimmed(const char *s)
{
	size_t n = strlen(s);

	while (n > 0 && s[n - 1] == '/')
		n--;
	return n;
}

/* Whether the name's part before the first slash is a registry. */
static bool has_registry(const char *name)
{
	size_t n = strcspn(name, "/");

	return name[n] == '/' && registry_valid(name, n) &&
	       (memchr(name, '.', n) != NULL || memchr(name, ':', n) != NULL ||
		       (n == 9 && memcmp(name, "localhost", 9) == 0));
}

static int check_alias(const char *path, const char *name, const struct sfd_toml_value *value,
	struct splitfd_error *err)
{
	struct sfd_docker_ref ref;

	if (value->type != SFD_TOML_STRING || value->parts != 2)
		return invalid(err, path, value->line, "an alias is not a string:", name);
	if (sfd_docker_ref_parse(name, &ref) != NULL || ref.tag[0] != '\0' ||
		ref.digest[0] != '\0' || has_registry(name))
		return invalid(err, path, value->line,
			"an alias must be a name without registry, tag and digest, not", name);
	if (value->text[0] == '\0')
		return 0;
	if (sfd_docker_ref_parse(value->text, &ref) != NULL || ref.tag[0] != '\0' ||
		ref.digest[0] != '\0' || !has_registry(value->text))
		return invalid(err, path, value->line,
			"an alias must stand for a name with its registry, without tag and digest, "
			"not",
			value->text);
	return 0;
}

static int check_search(
	const char *path, const struct sfd_toml_value *value, struct splitfd_error *err)
{
	for (size_t i = 0; i < value->n_items; i++) {
		if (!registry_valid(value->items[i], trimmed(value->items[i])))
			return invalid(err, path, value->line,
				"unqualified-search-registries has an entry that is not "
				"HOST[:PORT]:",
				value->items[i]);
	}
	return 0;
}

static int check_mode(
	const char *path, const struct sfd_toml_value *value, struct splitfd_error *err)
{
	static const char *const modes[] = { "", "disabled", "enforcing", "permissive" };

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(modes[i], value->text) == 0)
			return 0;
	}
	return invalid(err, path, value->line, "unknown short-name-mode", value->text);
}

/* True where `key` is `name`, or below it. */
static bool is_at(const char *key, const struct sfd_toml_value *value, const char *name)
{
	size_t n = strlen(name);

	return strncasecmp(key, name, n) == 0 &&
	       (key[n] == '\0' || (key[n] == '.' && value->parts > 1));
}

/* The format of version 1 had its lists in [registries.search] and two more. */
static int check_version(const char *path, const char *key, const struct sfd_toml_value *value,
	struct splitfd_error *err)
{
	static const char *const lists[] = { "search", "insecure", "block" };
	const char *below = key + strlen("registries.");

	if (!is_at(key, value, "registries"))
		return 0;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		size_t n = strlen(lists[i]);

		if (value->parts == 1 ||
			(strncasecmp(below, lists[i], n) == 0 &&
				(value->parts == 2
						? below[n] == '\0'
						: strncasecmp(below + n, ".registries", 11) == 0)))
			return invalid(err, path, value->line,
				"the format of version 1, which is no longer read:", key);
	}
	return 0;
}

/* The keys outside of [[registry]]. */
static int check_top(const char *path, const char *key, const struct sfd_toml_value *value,
	struct splitfd_error *err)
{
	static const struct {
		const char *name;
		enum sfd_toml_type type;
		int (*check)(const char *, const struct sfd_toml_value *, struct splitfd_error *);
	} known[] = { { "unqualified-search-registries", SFD_TOML_ARRAY, check_search },
		{ "credential-helpers", SFD_TOML_ARRAY, NULL },
		{ "short-name-mode", SFD_TOML_STRING, check_mode },
		{ "additional-layer-store-auth-helper", SFD_TOML_STRING, NULL } };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (!is_at(key, value, known[i].name))
			continue;
		if (value->type != known[i].type || value->parts != 1 ||
			value->append != SFD_TOML_UNSAID)
			return invalid(err, path, value->line, known[i].name,
				known[i].type == SFD_TOML_ARRAY ? "must be an array of strings"
								: "must be a string");
		return known[i].check != NULL ? known[i].check(path, value, err) : 0;
	}
	if (is_at(key, value, "registry") &&
		(value->parts > 1 || value->type != SFD_TOML_ARRAY || value->n_items > 0))
		return invalid(err, path, value->line, "registry must be an array of tables", NULL);
	return check_version(path, key, value, err);
}

static int add_endpoint(
	struct check *c, const struct sfd_toml_value *value, struct splitfd_error *err)
{
	if (c->n == c->cap) {
		size_t cap = c->cap == 0 ? 16 : c->cap * 2;
		struct endpoint *v = reallocarray(c->v, cap, sizeof(*v));

		if (v == NULL)
			return splitfd_error_oom(err);
		c->v = v;
		c->cap = cap;
	}
	c->v[c->n++] = (struct endpoint){ .mirror = value->elements == 2, .line = value->line };
	return 0;
}

static int set_text(struct check *c, char **ret, const char *name,
	const struct sfd_toml_value *value, struct splitfd_error *err)
{
	if (value->type != SFD_TOML_STRING)
		return invalid(err, c->path, value->line, "not a string:", name);
	if (*ret != NULL)
		return invalid(err, c->path, value->line, "set a second time:", name);
	*ret = strdup(value->text);
	return *ret == NULL ? splitfd_error_oom(err) : 0;
}

static int set_truth(struct check *c, bool *ret, const char *name,
	const struct sfd_toml_value *value, struct splitfd_error *err)
{
	if (value->type != SFD_TOML_BOOL)
		return invalid(err, c->path, value->line, "neither true nor false:", name);
	*ret = value->truth;
	return 0;
}

/* The last mirror or registry; the parser has said that it begins. */
static struct endpoint *current(struct check *c, bool mirror)
{
	size_t i = c->n - 1;

	while (!mirror && c->v[i].mirror)
		i--;
	return &c->v[i];
}

/* A member of a [[registry]] or of its mirror; `name` is the key within it. */
static int check_member(struct check *c, const char *name, const struct sfd_toml_value *value,
	struct splitfd_error *err)
{
	struct endpoint *e = current(c, value->elements == 2);

	if (!e->mirror && strcasecmp(name, "prefix") == 0)
		return set_text(c, &e->prefix, name, value, err);
	if (!e->mirror && strcasecmp(name, "blocked") == 0)
		return set_truth(c, &e->blocked, name, value, err);
	if (!e->mirror && strcasecmp(name, "mirror-by-digest-only") == 0)
		return set_truth(c, &e->by_digest_only, name, value, err);
	if (strcasecmp(name, "location") == 0)
		return set_text(c, &e->location, name, value, err);
	if (strcasecmp(name, "insecure") == 0)
		return set_truth(c, &e->insecure, name, value, err);
	if (strcasecmp(name, "pull-from-mirror") == 0)
		return set_text(c, &e->pull_from_mirror, name, value, err);
	if (strcasecmp(name, "namespace-proxy") == 0 && value->type != SFD_TOML_STRING)
		return invalid(err, c->path, value->line, "not a string:", name);
	if (!e->mirror && is_at(name, value, "mirror") &&
		(value->type != SFD_TOML_ARRAY || value->n_items > 0))
		return invalid(
			err, c->path, value->line, "mirror must be an array of tables", NULL);
	return 0;
}

static int check_value(
	void *ctx, const char *key, const struct sfd_toml_value *value, struct splitfd_error *err)
{
	struct check *c = ctx;
	size_t prefix = value->elements == 2 ? strlen("registry.mirror.") : strlen("registry.");

	if (is_at(key, value, "aliases") && value->elements == 0 && value->parts > 1)
		return check_alias(c->path, key + 8, value, err);
	if (value->elements == 0)
		return check_top(c->path, key, value, err);
	if (value->type == SFD_TOML_TABLE)
		return add_endpoint(c, value, err);
	return check_member(c, key + prefix, value, err);
}

/* Cuts the slashes at the end; URLs are refused. */
static int check_location(
	struct check *c, const struct endpoint *e, char *location, struct splitfd_error *err)
{
	if (location == NULL)
		return 0;
	location[trimmed(location)] = '\0';
	if (strncmp(location, "http://", 7) == 0 || strncmp(location, "https://", 8) == 0)
		return invalid(
			err, c->path, e->line, "a location is HOST[:PORT][/PATH], not", location);
	return 0;
}

static bool empty(const char *text)
{
	return text == NULL || *text == '\0';
}

static int check_mirror(struct check *c, const struct endpoint *registry, struct endpoint *e,
	struct splitfd_error *err)
{
	static const char *const uses[] = { "all", "digest-only", "tag-only" };
	bool known = false;

	if (check_location(c, e, e->location, err) < 0)
		return -EINVAL;
	if (empty(e->location))
		return invalid(err, c->path, e->line, "a mirror has no location", NULL);
	if (empty(e->pull_from_mirror))
		return 0;
	if (registry->by_digest_only)
		return invalid(err, c->path, e->line,
			"pull-from-mirror of a mirror contradicts its registry's "
			"mirror-by-digest-only",
			NULL);
	for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++)
		known = known || strcmp(uses[i], e->pull_from_mirror) == 0;
	return known ? 0
		     : invalid(err, c->path, e->line, "unknown pull-from-mirror",
			       e->pull_from_mirror);
}

static int check_registry(struct check *c, struct endpoint *e, struct splitfd_error *err)
{
	bool wildcard;

	if (check_location(c, e, e->location, err) < 0 || check_location(c, e, e->prefix, err) < 0)
		return -EINVAL;
	wildcard = !empty(e->prefix) && strncmp(e->prefix, "*.", 2) == 0;
	if (empty(e->location) && !wildcard)
		return invalid(err, c->path, e->line,
			"a registry without location needs a prefix like '*.example.com'", NULL);
	if (!empty(e->pull_from_mirror))
		return invalid(err, c->path, e->line,
			"pull-from-mirror belongs to a mirror, not to a registry", NULL);
	if (wildcard && strpbrk(e->prefix, "/@:") != NULL)
		return invalid(
			err, c->path, e->line, "a prefix like '*.example.com', not", e->prefix);
	return 0;
}

static const char *place_of(const struct endpoint *e)
{
	return !empty(e->location) ? e->location : e->prefix;
}

static int compare_places(const void *a, const void *b)
{
	const struct endpoint *x = *(const struct endpoint *const *)a;
	const struct endpoint *y = *(const struct endpoint *const *)b;

	return strcmp(place_of(x), place_of(y));
}

/* Registries of one location must agree on what is unsafe. */
static int check_conflicts(struct check *c, struct splitfd_error *err)
{
	sfd_cleanup_free const struct endpoint **v = calloc(c->n + 1, sizeof(*v));
	size_t n = 0;

	if (v == NULL)
		return splitfd_error_oom(err);
	for (size_t i = 0; i < c->n; i++) {
		if (!c->v[i].mirror)
			v[n++] = &c->v[i];
	}
	qsort(v, n, sizeof(*v), compare_places);
	for (size_t i = 1; i < n; i++) {
		if (strcmp(place_of(v[i - 1]), place_of(v[i])) != 0)
			continue;
		if (v[i - 1]->insecure != v[i]->insecure || v[i - 1]->blocked != v[i]->blocked)
			return invalid(err, c->path, v[i]->line,
				"registries of one location differ in insecure or blocked:",
				place_of(v[i]));
	}
	return 0;
}

int sfd_registries_load(struct sfd_conf *conf, const char *path, struct splitfd_error *err)
{
	sfd_cleanup(check_done) struct check c = { .path = path };
	struct endpoint *registry = NULL;
	int r = sfd_conf_load_checked(conf, path, check_value, &c, err);

	for (size_t i = 0; r >= 0 && i < c.n; i++) {
		struct endpoint *e = &c.v[i];

		if (!e->mirror)
			registry = e;
		r = e->mirror ? check_mirror(&c, registry, e, err) : check_registry(&c, e, err);
	}
	return r < 0 ? r : check_conflicts(&c, err);
}

static int check_aliases_only(
	void *ctx, const char *key, const struct sfd_toml_value *value, struct splitfd_error *err)
{
	const struct check *c = ctx;

	if (!is_at(key, value, "aliases") || value->elements > 0 || value->parts == 1)
		return 1;
	return check_alias(c->path, key + 8, value, err);
}

int sfd_registries_load_aliases(struct sfd_conf *conf, const char *path, struct splitfd_error *err)
{
	struct check c = { .path = path };

	return sfd_conf_load_checked(conf, path, check_aliases_only, &c, err);
}
