/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_CONTAINERS_STORAGE_OWN_IDS_H
#define SPLITFD_CONTAINERS_STORAGE_OWN_IDS_H

/*
 * Whose files are the caller's own: root's, the caller's, and those of the caller's subordinate
 * ids.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct sfd_id_range {
	uint64_t first, count;
};

/* More are not looked at: their files are other users' then. */
#define SFD_OWN_RANGES_MAX 32

struct sfd_own_ids {
	uid_t uid;
	bool in_namespace; /* a user namespace: what it does not map is the overflow id */
	struct sfd_id_range uids[SFD_OWN_RANGES_MAX], gids[SFD_OWN_RANGES_MAX];
	size_t n_uids, n_gids;
};

/* Reads /etc/subuid and /etc/subgid, or the namespace's maps. What cannot be read counts as empty.
 * Before a sandbox. */
void sfd_own_ids_read(struct sfd_own_ids *ids);

bool sfd_own_uid(const struct sfd_own_ids *ids, uid_t uid);
bool sfd_own_gid(const struct sfd_own_ids *ids, gid_t gid);

/* Lines "OWNER:FIRST:COUNT" of /etc/subuid that are the user's: by number, or by `name` (may be
 * NULL). Returns how many ranges are in `ranges` now, of which `n` were before. */
size_t sfd_own_ids_parse(const char *line, uid_t uid, const char *name,
	struct sfd_id_range ranges[SFD_OWN_RANGES_MAX], size_t n);

#endif
