/* SPDX-License-Identifier: Apache-2.0 */
/* In what two programs differ about one entry, in a sentence. */
#include "transport/tar/tar-reading.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SHOWN 200 /* bytes of a path in a sentence */

static int shown(size_t len)
{
	return (int)(len < SHOWN ? len : SHOWN);
}

static bool same(const char *a, size_t a_len, const char *b, size_t b_len)
{
	return a_len == b_len && (a_len == 0 || memcmp(a, b, a_len) == 0);
}

static const char *type_name(char type)
{
	static const char *const names[] = { "a file", "a hard link", "a symlink",
		"a character device", "a block device", "a directory", "a FIFO", "a file" };

	return type >= '0' && type <= '7' ? names[type - '0'] : "an entry of an unknown type";
}

static bool has_link(const struct sfd_tar_entry *e)
{
	return e->type == '1' || e->type == '2';
}

static bool has_device(const struct sfd_tar_entry *e)
{
	return e->type == '3' || e->type == '4';
}

/* Numbers that a tree has. */
static bool numbers_agree(const struct sfd_tar_entry *podman, const struct sfd_tar_entry *cfsctl,
	char *text, size_t size)
{
	const struct {
		const char *name;
		uint64_t podman, cfsctl;
	} rows[] = {
		{ "owner", (uint32_t)podman->uid, (uint32_t)cfsctl->uid },
		{ "group", (uint32_t)podman->gid, (uint32_t)cfsctl->gid },
		{ "mode", podman->mode & 07777, cfsctl->mode & 07777 },
		{ "time", (uint64_t)podman->mtime, (uint64_t)cfsctl->mtime },
		{ "fraction of the time", podman->mtime_nsec, cfsctl->mtime_nsec },
		{ "device number", has_device(podman) ? podman->dev_major : 0,
			has_device(podman) ? cfsctl->dev_major : 0 },
		{ "device number", has_device(podman) ? podman->dev_minor : 0,
			has_device(podman) ? cfsctl->dev_minor : 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].podman == rows[i].cfsctl)
			continue;
		snprintf(text, size,
			"the %s of %.*s is %" PRId64 " for podman and %" PRId64 " for cfsctl",
			rows[i].name, shown(podman->path_len), podman->path,
			(int64_t)rows[i].podman, (int64_t)rows[i].cfsctl);
		return false;
	}
	return true;
}

bool sfd_tar_views_agree(const struct sfd_tar_entry *podman, const struct sfd_tar_entry *cfsctl,
	char *text, size_t size)
{
	if (!same(podman->path, podman->path_len, cfsctl->path, cfsctl->path_len)) {
		snprintf(text, size, "podman reads the name %.*s where cfsctl reads %.*s",
			shown(podman->path_len), podman->path, shown(cfsctl->path_len),
			cfsctl->path);
		return false;
	}
	if (podman->type != cfsctl->type) {
		snprintf(text, size, "%.*s is %s for podman and %s for cfsctl",
			shown(podman->path_len), podman->path, type_name(podman->type),
			type_name(cfsctl->type));
		return false;
	}
	if (podman->content != cfsctl->content) {
		snprintf(text, size,
			"%s, %.*s, has a size in its header: cfsctl skips %" PRIu64
			" bytes behind it, podman %" PRIu64,
			type_name(podman->type), shown(podman->path_len), podman->path,
			cfsctl->content, podman->content);
		return false;
	}
	if (has_link(podman) &&
		!same(podman->link, podman->link_len, cfsctl->link, cfsctl->link_len)) {
		snprintf(text, size, "%.*s leads to %.*s for podman and to %.*s for cfsctl",
			shown(podman->path_len), podman->path, shown(podman->link_len),
			podman->link, shown(cfsctl->link_len), cfsctl->link);
		return false;
	}
	return numbers_agree(podman, cfsctl, text, size);
}
