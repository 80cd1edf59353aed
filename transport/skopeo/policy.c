/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/skopeo/policy.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/base/text.h"
#include "splitfdstream/base/user.h"
#include "transport/json/json-tree.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#define POLICY_MAX ((size_t)4 * 1024 * 1024)

struct sfd_policy {
	cJSON *json;
};

SFD_DEFINE_CLEANUP(cleanup_policy, struct sfd_policy, sfd_policy_free);

struct sfd_policy *sfd_policy_free(struct sfd_policy *policy)
{
	if (policy != NULL)
		cJSON_Delete(policy->json);
	free(policy);
	return NULL;
}

/* What each kind of requirement may hold; its first member is always "type". */
static const struct requirement {
	const char *type;
	const char *keys[12];
} requirements[] = {
	{ "insecureAcceptAnything", { "type" } },
	{ "reject", { "type" } },
	{ "signedBy", { "type", "keyType", "keyPath", "keyPaths", "keyData", "signedIdentity" } },
	{ "signedBaseLayer", { "type", "baseLayerIdentity" } },
	{ "sigstoreSigned",
		{ "type", "keyPath", "keyPaths", "keyData", "keyDatas", "fulcio",
			"rekorPublicKeyPath", "rekorPublicKeyPaths", "rekorPublicKeyData",
			"rekorPublicKeyDatas", "pki", "signedIdentity" } },
};

static int invalid(struct splitfd_error *err, const char *what, const char *name)
{
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EINVAL, "%s '%s'", what, name);
}

static int check_unique(const cJSON *object, struct splitfd_error *err)
{
	for (const cJSON *a = object->child; a != NULL; a = a->next) {
		for (const cJSON *b = a->next; b != NULL; b = b->next) {
			if (strcmp(a->string, b->string) == 0)
				return invalid(err, "repeated key", a->string);
		}
	}
	return 0;
}

static const struct requirement *find_requirement(const char *type)
{
	for (size_t i = 0; i < sizeof(requirements) / sizeof(requirements[0]); i++) {
		if (strcmp(requirements[i].type, type) == 0)
			return &requirements[i];
	}
	return NULL;
}

static bool is_one_of(const cJSON *item, const char *const *words)
{
	if (!cJSON_IsString(item))
		return false;
	while (*words != NULL && strcmp(*words, item->valuestring) != 0)
		words++;
	return *words != NULL;
}

/* Exactly one way to the keys must be given. */
static int check_keys(const cJSON *json, const char *const *ways, struct splitfd_error *err)
{
	int n = 0;

	for (; *ways != NULL; ways++)
		n += cJSON_GetObjectItemCaseSensitive(json, *ways) != NULL;
	return n == 1 ? 0 : invalid(err, "not exactly one source of keys in", "a requirement");
}

static int check_identity(const cJSON *json, struct splitfd_error *err)
{
	static const char *const kinds[] = { "matchExact", "matchRepoDigestOrExact",
		"matchRepository", "exactReference", "exactRepository", "remapIdentity", NULL };
	const cJSON *identity = cJSON_GetObjectItemCaseSensitive(json, "signedIdentity");

	if (identity == NULL ||
		is_one_of(cJSON_GetObjectItemCaseSensitive(identity, "type"), kinds))
		return 0;
	return invalid(err, "unknown kind of", "signedIdentity");
}

static int check_signed(const cJSON *json, const char *type, struct splitfd_error *err)
{
	static const char *const key_types[] = { "GPGKeys", "signedByGPGKeys", "X509Certificates",
		"signedByX509CAs", NULL };
	static const char *const gpg_ways[] = { "keyPath", "keyPaths", "keyData", NULL };
	static const char *const sigstore_ways[] = { "keyPath", "keyPaths", "keyData", "keyDatas",
		"fulcio", "pki", NULL };
	int r = 0;

	if (strcmp(type, "signedBy") == 0) {
		if (!is_one_of(cJSON_GetObjectItemCaseSensitive(json, "keyType"), key_types))
			return invalid(err, "unknown", "keyType");
		r = check_keys(json, gpg_ways, err);
	} else if (strcmp(type, "sigstoreSigned") == 0) {
		r = check_keys(json, sigstore_ways, err);
	}
	return r == 0 ? check_identity(json, err) : r;
}

static int check_requirement(const cJSON *json, struct splitfd_error *err)
{
	const cJSON *type = cJSON_GetObjectItemCaseSensitive(json, "type");
	const struct requirement *r;

	if (!cJSON_IsObject(json) || !cJSON_IsString(type))
		return invalid(err, "a requirement is not an object with the key", "type");
	r = find_requirement(type->valuestring);
	if (r == NULL)
		return invalid(err, "unknown kind of requirement", type->valuestring);
	for (const cJSON *item = json->child; item != NULL; item = item->next) {
		bool known = false;

		for (size_t i = 0; i < 12 && r->keys[i] != NULL; i++)
			known = known || strcmp(r->keys[i], item->string) == 0;
		if (!known)
			return invalid(err, "unknown key of a requirement:", item->string);
	}
	if (check_signed(json, r->type, err) < 0)
		return -EINVAL;
	return check_unique(json, err);
}

static int check_list(const cJSON *list, const char *scope, struct splitfd_error *err)
{
	const cJSON *item;

	if (!cJSON_IsArray(list) || list->child == NULL)
		return invalid(
			err, "the requirements are not a list with at least one member:", scope);
	cJSON_ArrayForEach (item, list) {
		int r = check_requirement(item, err);

		if (r < 0)
			return splitfd_error_wrap(err, r, "'%s'", scope);
	}
	return 0;
}

/* Scopes of stores are "[DRIVER@ROOT]…" or "[ROOT]…", roots absolute. */
static bool storage_scope_valid(const char *scope)
{
	const char *end = strchr(scope, ']'), *at = strchr(scope, '@');

	if (scope[0] == '\0')
		return true;
	if (scope[0] != '[' || end == NULL || end == scope + 1)
		return false;
	if (at == NULL || at > end)
		return scope[1] == '/';
	return at != scope + 1 && at[1] == '/';
}

/* An absolute path in its plainest form, and not "/", which would mean the same as "". */
static bool path_scope_valid(const char *scope)
{
	size_t len = strlen(scope);

	return scope[0] == '\0' ||
	       (scope[0] == '/' && len > 1 && scope[len - 1] != '/' &&
		       strstr(scope, "//") == NULL && strstr(scope, "/./") == NULL &&
		       strstr(scope, "/../") == NULL && strcmp(scope + len - 2, "/.") != 0 &&
		       (len < 3 || strcmp(scope + len - 3, "/..") != 0));
}

static bool no_scope_valid(const char *scope)
{
	return scope[0] == '\0';
}

/* Scopes that a transport can have; any where it is not in the table. */
static bool scope_valid(const char *transport, const char *scope)
{
	static const struct {
		const char *transport;
		bool (*valid)(const char *scope);
	} rules[] = { { "containers-storage", storage_scope_valid }, { "dir", path_scope_valid },
		{ "oci", path_scope_valid }, { "oci-archive", path_scope_valid },
		{ "sif", path_scope_valid }, { "docker-archive", no_scope_valid } };

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		if (strcmp(rules[i].transport, transport) == 0)
			return rules[i].valid(scope);
	}
	return true;
}

static int check_transports(const cJSON *transports, struct splitfd_error *err)
{
	const cJSON *transport, *scope;
	int r;

	if (!cJSON_IsObject(transports))
		return invalid(err, "not an object:", "transports");
	r = check_unique(transports, err);
	for (transport = transports->child; r == 0 && transport != NULL;
		transport = transport->next) {
		if (!cJSON_IsObject(transport))
			return invalid(err, "not an object:", transport->string);
		r = check_unique(transport, err);
		for (scope = transport->child; r == 0 && scope != NULL; scope = scope->next) {
			if (!scope_valid(transport->string, scope->string))
				return invalid(err, "not a scope of its transport:", scope->string);
			r = check_list(scope, scope->string, err);
		}
	}
	return r;
}

static int check_policy(const cJSON *json, struct splitfd_error *err)
{
	const cJSON *transports = cJSON_GetObjectItemCaseSensitive(json, "transports");
	int r;

	if (!cJSON_IsObject(json))
		return splitfd_error_set(
			err, SPLITFD_ERROR_REFUSED, EINVAL, "it is not a JSON object");
	for (const cJSON *item = json->child; item != NULL; item = item->next) {
		if (strcmp(item->string, "default") != 0 && strcmp(item->string, "transports") != 0)
			return invalid(err, "unknown key", item->string);
	}
	r = check_unique(json, err);
	if (r == 0)
		r = check_list(cJSON_GetObjectItemCaseSensitive(json, "default"), "default", err);
	if (r == 0 && transports != NULL)
		r = check_transports(transports, err);
	return r;
}

/* 1 where DIR/policy.json is there or cannot be looked at, which opening it will say. */
static int policy_in(const char *dir, char **ret, struct splitfd_error *err)
{
	*ret = sfd_asprintf("%s/policy.json", dir);
	if (*ret == NULL)
		return splitfd_error_oom(err);
	if (access(*ret, F_OK) == 0 || errno != ENOENT)
		return 1;
	free(sfd_take_ptr(ret));
	return 0;
}

int sfd_policy_path(const char *etc, const char *usr, char **ret, struct splitfd_error *err)
{
	const char *named = getenv("CONTAINERS_POLICY_JSON");
	sfd_cleanup_free char *user = NULL;
	int r;

	*ret = NULL;
	if (named != NULL && *named != '\0') {
		*ret = strdup(named);
		return *ret == NULL ? splitfd_error_oom(err) : 0;
	}
	/* A user who has no home directory has no policy there. */
	r = sfd_user_config_dir(&user, NULL);
	if (r == -ENOMEM)
		return splitfd_error_oom(err);
	r = user != NULL ? policy_in(user, ret, err) : 0;
	if (r == 0)
		r = policy_in(etc, ret, err);
	if (r == 0)
		r = policy_in(usr, ret, err);
	if (r == 0)
		return splitfd_error_set(err, SPLITFD_ERROR_NOT_FOUND, ENOENT,
			"there is no policy.json in %s%s%s or %s", user != NULL ? user : "",
			user != NULL ? ", " : "", etc, usr);
	return r < 0 ? r : 0;
}

int sfd_policy_load(const char *path, struct sfd_policy **ret, struct splitfd_error *err)
{
	sfd_cleanup_free char *file = NULL, *text = NULL;
	sfd_cleanup(cleanup_policy) struct sfd_policy *policy = calloc(1, sizeof(*policy));
	sfd_cleanup_fd int fd = -EBADF;
	size_t at;
	size_t size = 0;
	int r;

	if (policy == NULL)
		return splitfd_error_oom(err);
	if (path == NULL) {
		r = sfd_policy_path("/etc/containers", "/usr/share/containers", &file, err);
		if (r < 0)
			return r;
		path = file;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	r = fd < 0 ? -errno : sfd_read_file_fd(fd, POLICY_MAX, &text, &size);
	if (r < 0)
		return splitfd_error_sys(err, -r, "cannot read the policy %s", path);
	r = sfd_json_tree_whole(text, size, &policy->json, &at);
	if (r == -ENOMEM)
		return splitfd_error_oom(err);
	if (r < 0)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EINVAL,
			"the policy %s is not valid JSON (byte %zu)", path, at);
	r = check_policy(policy->json, err);
	if (r < 0)
		return splitfd_error_wrap(err, r, "the policy %s is not valid", path);
	*ret = sfd_take_ptr(&policy);
	return 0;
}

static enum sfd_verdict judge(const cJSON *list)
{
	enum sfd_verdict verdict = SFD_POLICY_ACCEPT;
	const cJSON *item;

	cJSON_ArrayForEach (item, list) {
		const char *type = cJSON_GetObjectItemCaseSensitive(item, "type")->valuestring;

		if (strcmp(type, "reject") == 0)
			return SFD_POLICY_REJECT;
		if (strcmp(type, "insecureAcceptAnything") != 0)
			verdict = SFD_POLICY_CONDITION;
	}
	return verdict;
}

enum sfd_verdict sfd_policy_verdict(
	const struct sfd_policy *policy, const char *transport, const char *const *scopes)
{
	const cJSON *transports = cJSON_GetObjectItemCaseSensitive(policy->json, "transports");
	const cJSON *all = cJSON_GetObjectItemCaseSensitive(transports, transport), *list;

	for (size_t i = 0; all != NULL && scopes[i] != NULL; i++) {
		list = cJSON_GetObjectItemCaseSensitive(all, scopes[i]);
		if (list != NULL)
			return judge(list);
	}
	list = cJSON_GetObjectItemCaseSensitive(all, "");
	if (list == NULL)
		list = cJSON_GetObjectItemCaseSensitive(policy->json, "default");
	return judge(list);
}

bool sfd_policy_accepts_all(
	const struct sfd_policy *policy, const char *transport, const char *const *scopes)
{
	const cJSON *transports = cJSON_GetObjectItemCaseSensitive(policy->json, "transports");
	const cJSON *all = cJSON_GetObjectItemCaseSensitive(transports, transport), *list;

	cJSON_ArrayForEach (list, all) {
		for (const char *const *scope = scopes; *scope != NULL; scope++) {
			if (strncmp(list->string, *scope, strlen(*scope)) == 0 &&
				judge(list) != SFD_POLICY_ACCEPT)
				return false;
		}
	}
	return sfd_policy_verdict(policy, transport, scopes) == SFD_POLICY_ACCEPT;
}

enum sfd_verdict sfd_policy_verdict_unnamed(const struct sfd_policy *policy, const char *transport)
{
	const cJSON *transports = cJSON_GetObjectItemCaseSensitive(policy->json, "transports");
	const cJSON *all = cJSON_GetObjectItemCaseSensitive(transports, transport), *list;
	const char *const none[] = { NULL };
	enum sfd_verdict verdict = sfd_policy_verdict(policy, transport, none);

	cJSON_ArrayForEach (list, all) {
		if (judge(list) != verdict)
			return SFD_POLICY_CONDITION;
	}
	return verdict;
}
