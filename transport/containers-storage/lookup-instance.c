/* SPDX-License-Identifier: Apache-2.0 */
/* The image of a local list of manifests that is for this machine. */
#include "transport/containers-storage/image-ref.h"

#include "splitfdstream/base/cleanup.h"
#include "transport/containers-storage/store-private.h"
#include "transport/oci/oci-schema.h"

#include <errno.h>
#include <string.h>
#include <sys/utsname.h>

struct wanted {
	const char *arch, *os, *variant; /* NULL: any variant */
};

/* What images call this machine's processor. */
static const char *architecture(struct utsname *buf)
{
	static const char *const names[][2] = { { "x86_64", "amd64" }, { "aarch64", "arm64" },
		{ "i386", "386" }, { "i486", "386" }, { "i586", "386" }, { "i686", "386" },
		{ "armv6l", "arm" }, { "armv7l", "arm" }, { "armv8l", "arm" },
		{ "loongarch64", "loong64" } };

	if (uname(buf) < 0)
		return "unknown";
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(buf->machine, names[i][0]) == 0)
			return names[i][1];
	return buf->machine;
}

static bool member_is(struct sfd_json_value object, const char *key, const char *want)
{
	struct sfd_json_value member;

	return sfd_json_find(object, key, &member) && sfd_json_is(member, want);
}

/* The digest of a list's entry that is for that platform, the caller's; NULL: it is not. */
static int entry_digest(struct sfd_json_value entry, const struct wanted *want, char **ret)
{
	struct sfd_json_value platform, digest;

	*ret = NULL;
	if (!sfd_json_find(entry, "platform", &platform) || !member_is(platform, "os", want->os) ||
		!member_is(platform, "architecture", want->arch) ||
		(want->variant != NULL && !member_is(platform, "variant", want->variant)) ||
		!sfd_json_find(entry, "digest", &digest))
		return 0;
	return sfd_json_text(digest, ret, NULL) == -ENOMEM ? -ENOMEM : 0;
}

/* Its manifest is, or was, the one of that digest; `word` is the digest's text. */
static bool has_manifest(const struct sfd_image_record *image, const void *word)
{
	char key[256];

	if (image->digest != NULL && strcmp(image->digest, word) == 0)
		return true;
	(void)snprintf(key, sizeof(key), "manifest-%s", (const char *)word);
	return sfd_image_big_data_digest(image, key) != NULL;
}

int sfd_lookup_instance(const struct sfd_image_db *db, const struct sfd_platform *platform,
	const char *name, const char *manifest, size_t size, struct sfd_image_found *found,
	struct splitfd_error *err)
{
	struct sfd_json_value root, list, entry;
	struct sfd_json_items items;
	struct sfd_matches m = { .n = 0 };
	struct utsname buf;
	const struct wanted want = { .arch = platform->arch != NULL ? platform->arch
								    : architecture(&buf),
		.os = platform->os != NULL ? platform->os : "linux",
		.variant = platform->variant };
	int r;

	/* An empty list has null there; whoever reads it next says what else is not a list. */
	r = sfd_oci_check(manifest, size, SFD_OCI_INDEX, SFD_OCI_STORE, &root, NULL);
	if (r == -ENOMEM)
		return splitfd_error_oom(err);
	if (r < 0 || !sfd_json_find(root, "manifests", &list))
		return 0;
	items = sfd_json_items(list);
	while (sfd_json_next(&items, NULL, &entry)) {
		sfd_cleanup_free char *digest = NULL;
		size_t before = m.n;

		if (entry_digest(entry, &want, &digest) < 0)
			return splitfd_error_oom(err);
		if (digest == NULL)
			continue;
		for (size_t i = 0; i < db->n; i++)
			sfd_matches_add(&m, db, i, has_manifest, digest);
		if (m.n == 1 && before == 0)
			(void)snprintf(m.v[0].digest, sizeof(m.v[0].digest), "%s", digest);
	}
	if (m.n == 0)
		return splitfd_error_set(err, SPLITFD_ERROR_NOT_FOUND, ENOENT,
			"%s: it is a list of manifests, and the store has none of its images for "
			"%s/%s%s%s; name one of its images",
			name, want.os, want.arch, want.variant != NULL ? "/" : "",
			want.variant != NULL ? want.variant : "");
	if (m.n > 1)
		return sfd_lookup_ambiguous(name, &m, err);
	*found = m.v[0];
	return 0;
}
