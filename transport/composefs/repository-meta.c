/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/repository-meta.h"
#include "splitfdstream/base/fd.h"
#include "transport/composefs/algorithm.h"
#include "transport/json/json-tree.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define V1_FEATURE "v1_erofs"

size_t sfd_meta_format(const struct sfd_meta *meta, char text[SFD_META_TEXT_SIZE])
{
	return (size_t)snprintf(text, SFD_META_TEXT_SIZE,
		"{\n"
		"  \"version\": 1,\n"
		"  \"algorithm\": \"%s\",\n"
		"  \"features\": {\n"
		"    \"compatible\": [],\n"
		"    \"read-only-compatible\": [%s],\n"
		"    \"incompatible\": []\n"
		"  },\n"
		"  \"erofs_formats\": {\n"
		"    \"default\": %d\n"
		"  }\n"
		"}\n",
		sfd_algorithm_name(meta->algorithm),
		meta->erofs_default == 1 ? "\n      \"" V1_FEATURE "\"\n    " : "",
		meta->erofs_default);
}

static int bad(struct splitfd_error *err, const char *what)
{
	return splitfd_error_set(
		err, SPLITFD_ERROR_REFUSED, EINVAL, SFD_META_NAME " is malformed: %s", what);
}

static int parse_version(const cJSON *json, struct splitfd_error *err)
{
	const cJSON *version = cJSON_GetObjectItemCaseSensitive(json, "version");

	if (!cJSON_IsNumber(version))
		return bad(err, "no version");
	if (version->valuedouble > 1)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EOPNOTSUPP,
			"the repository has format version %.17g, this program knows version 1; "
			"a newer splitfd may know it",
			version->valuedouble);
	if (version->valuedouble != (double)version->valueint || version->valueint < 0)
		return bad(err, "'version' is not a whole number");
	return 0;
}

static int parse_algorithm(const cJSON *json, struct sfd_meta *meta, struct splitfd_error *err)
{
	const char *name =
		cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "algorithm"));

	if (name == NULL)
		return bad(err, "no algorithm");
	if (sfd_algorithm_parse(name, &meta->algorithm))
		return 0;
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EOPNOTSUPP,
		"the repository's algorithm '%s' is not known (known: fsverity-sha256-12, "
		"fsverity-sha512-12)",
		name);
}

/* The first feature of a list that is not `known`; NULL where there is none. *ret_has_known tells
 * whether `known` is in it. -1: it is no list of strings. */
static int find_unknown(const cJSON *features, const char *kind, const char *known,
	const char **ret_unknown, bool *ret_has_known)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(features, kind), *item;

	*ret_unknown = NULL;
	*ret_has_known = false;
	if (list == NULL)
		return 0;
	if (!cJSON_IsArray(list))
		return -1;
	cJSON_ArrayForEach (item, list) {
		const char *name = cJSON_GetStringValue(item);

		if (name == NULL)
			return -1;
		if (known != NULL && strcmp(name, known) == 0)
			*ret_has_known = true;
		else if (*ret_unknown == NULL)
			*ret_unknown = name;
	}
	return 0;
}

static int parse_features(
	const cJSON *json, struct sfd_meta *meta, bool *ret_v1, struct splitfd_error *err)
{
	const cJSON *features = cJSON_GetObjectItemCaseSensitive(json, "features");
	const char *unknown;
	bool known;

	*ret_v1 = false;
	meta->read_only_feature[0] = '\0';
	if (features == NULL)
		return 0;
	if (!cJSON_IsObject(features))
		return bad(err, "'features' is not an object");
	if (find_unknown(features, "compatible", NULL, &unknown, &known) < 0 ||
		find_unknown(features, "incompatible", NULL, &unknown, &known) < 0)
		return bad(err, "a list of features is not one of strings");
	if (unknown != NULL)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EOPNOTSUPP,
			"the repository has the incompatible feature '%s', which this program "
			"does not know; a newer splitfd may know it",
			unknown);
	if (find_unknown(features, "read-only-compatible", V1_FEATURE, &unknown, ret_v1) < 0)
		return bad(err, "a list of features is not one of strings");
	if (unknown != NULL)
		snprintf(meta->read_only_feature, sizeof(meta->read_only_feature), "%s",
			unknown[0] != '\0' ? unknown : "(empty)");
	return 0;
}

static bool parse_format(const cJSON *json, int *ret)
{
	if (!cJSON_IsNumber(json) || json->valuedouble != (double)json->valueint ||
		json->valueint < 0 || json->valueint > 2)
		return false;
	*ret = json->valueint;
	return true;
}

static int parse_formats(
	const cJSON *json, bool v1, struct sfd_meta *meta, struct splitfd_error *err)
{
	const cJSON *formats = cJSON_GetObjectItemCaseSensitive(json, "erofs_formats"), *item;
	bool seen[3] = { false };

	meta->erofs_default = v1 ? 1 : 2;
	meta->n_erofs_extra = 0;
	if (formats == NULL)
		return 0;
	if (!parse_format(
		    cJSON_GetObjectItemCaseSensitive(formats, "default"), &meta->erofs_default))
		return bad(err, "'erofs_formats' has no default of 0, 1 or 2");
	seen[meta->erofs_default] = true;
	formats = cJSON_GetObjectItemCaseSensitive(formats, "extra");
	if (formats != NULL && !cJSON_IsArray(formats))
		return bad(err, "'extra' of 'erofs_formats' is not a list");
	cJSON_ArrayForEach (item, formats) {
		int format;

		if (!parse_format(item, &format))
			return bad(err, "'extra' of 'erofs_formats' has what is not 0, 1 or 2");
		if (!seen[format])
			meta->erofs_extra[meta->n_erofs_extra++] = format;
		seen[format] = true;
	}
	return 0;
}

int sfd_meta_parse(const char *text, size_t n, struct sfd_meta *ret, struct splitfd_error *err)
{
	bool v1 = false;
	cJSON *json;
	int r = sfd_json_tree_whole(text, n, &json, NULL);

	if (r == -ENOMEM)
		return splitfd_error_oom(err);
	if (!cJSON_IsObject(json)) {
		cJSON_Delete(json);
		return bad(err, "no JSON object");
	}
	r = parse_version(json, err);
	if (r == 0)
		r = parse_algorithm(json, ret, err);
	if (r == 0)
		r = parse_features(json, ret, &v1, err);
	if (r == 0)
		r = parse_formats(json, v1, ret, err);
	cJSON_Delete(json);
	return r;
}

bool sfd_meta_is_lost(int dir)
{
	struct stat st;
	int fd, errnum;

	if (fstatat(dir, SFD_META_NAME, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return false;
	if (st.st_size == 0)
		return true;
	fd = openat(dir, SFD_META_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	errnum = errno;
	sfd_close(fd);
	return fd < 0 && errnum == EINVAL;
}
