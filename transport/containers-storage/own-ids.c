/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/containers-storage/own-ids.h"
#include "splitfdstream/base/text.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OVERFLOW_ID 65534

static bool parse_number(const char *text, size_t len, uint64_t *ret)
{
	char copy[16];

	if (len == 0 || len >= sizeof(copy))
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	return sfd_parse_u64(copy, UINT32_MAX, ret);
}

static size_t add(
	struct sfd_id_range ranges[SFD_OWN_RANGES_MAX], size_t n, uint64_t first, uint64_t count)
{
	if (n == SFD_OWN_RANGES_MAX)
		return n;
	ranges[n] = (struct sfd_id_range){ first, count };
	return n + 1;
}

size_t sfd_own_ids_parse(const char *line, uid_t uid, const char *name,
	struct sfd_id_range ranges[SFD_OWN_RANGES_MAX], size_t n)
{
	size_t owner = strcspn(line, ":"), digits, rest;
	uint64_t number, first, count;
	bool own;

	if (line[owner] != ':')
		return n;
	own = name != NULL && strlen(name) == owner && memcmp(name, line, owner) == 0;
	own = own || (parse_number(line, owner, &number) && number == uid);
	line += owner + 1;
	digits = strcspn(line, ":");
	if (!own || line[digits] != ':' || !parse_number(line, digits, &first))
		return n;
	line += digits + 1;
	rest = strcspn(line, "\n");
	return parse_number(line, rest, &count) ? add(ranges, n, first, count) : n;
}

static size_t read_file(const char *path, uid_t uid, const char *name,
	struct sfd_id_range ranges[SFD_OWN_RANGES_MAX])
{
	FILE *file = fopen(path, "re");
	char line[512];
	size_t n = 0;

	if (file == NULL)
		return 0;
	while (fgets(line, sizeof(line), file) != NULL)
		n = sfd_own_ids_parse(line, uid, name, ranges, n);
	(void)fclose(file);
	return n;
}

/* Lines "INSIDE OUTSIDE COUNT". */
static size_t read_map(const char *path, struct sfd_id_range ranges[SFD_OWN_RANGES_MAX])
{
	FILE *file = fopen(path, "re");
	unsigned long inside, outside, count;
	size_t n = 0;

	if (file == NULL)
		return 0;
	while (fscanf(file, "%lu %lu %lu", &inside, &outside, &count) == 3)
		n = add(ranges, n, inside, count);
	(void)fclose(file);
	return n;
}

/* The first namespace maps every id to itself. */
static bool maps_all(const struct sfd_id_range *ranges, size_t n)
{
	return n == 1 && ranges[0].first == 0 && ranges[0].count >= UINT32_MAX;
}

void sfd_own_ids_read(struct sfd_own_ids *ids)
{
	struct passwd entry, *found = NULL;
	char buffer[4096];
	const char *name = NULL;

	*ids = (struct sfd_own_ids){ .uid = geteuid() };
	ids->n_uids = read_map("/proc/self/uid_map", ids->uids);
	ids->n_gids = read_map("/proc/self/gid_map", ids->gids);
	ids->in_namespace = ids->n_uids > 0 && !maps_all(ids->uids, ids->n_uids);
	if (ids->in_namespace)
		return;
	ids->n_uids = ids->n_gids = 0;
	/* What containers of root's use is no other user's business, but not root's word either. */
	if (ids->uid == 0)
		return;
	if (getpwuid_r(ids->uid, &entry, buffer, sizeof(buffer), &found) == 0 && found != NULL)
		name = found->pw_name;
	ids->n_uids = read_file("/etc/subuid", ids->uid, name, ids->uids);
	ids->n_gids = read_file("/etc/subgid", ids->uid, name, ids->gids);
}

static bool is_in(const struct sfd_id_range *ranges, size_t n, uint64_t id)
{
	for (size_t i = 0; i < n; i++) {
		if (id >= ranges[i].first && id - ranges[i].first < ranges[i].count)
			return true;
	}
	return false;
}

bool sfd_own_uid(const struct sfd_own_ids *ids, uid_t uid)
{
	if (ids->in_namespace)
		return uid != OVERFLOW_ID && is_in(ids->uids, ids->n_uids, uid);
	return uid == 0 || uid == ids->uid || is_in(ids->uids, ids->n_uids, uid);
}

bool sfd_own_gid(const struct sfd_own_ids *ids, gid_t gid)
{
	if (ids->in_namespace)
		return gid != OVERFLOW_ID && is_in(ids->gids, ids->n_gids, gid);
	return gid == 0 || is_in(ids->gids, ids->n_gids, gid);
}
