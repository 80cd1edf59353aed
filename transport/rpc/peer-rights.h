/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_RPC_PEER_RIGHTS_H
#define SPLITFD_RPC_PEER_RIGHTS_H

/*
 * Which of the two ends of a Unix socket can open the other's files. See unix(7), SO_PEERCRED, and
 * user_namespaces(7): inside a user namespace the number 0 may be any user, and every user that has
 * no number there is the overflow uid, 65534 as a rule: that number is nobody's then.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct sfd_peer_rights {
	bool peer_reads_ours; /* every file that this process can open by name, the peer can too */
	bool we_read_theirs;  /* and the other way round */
};

/* False wherever it is not certain. */
void sfd_peer_rights(int socket, struct sfd_peer_rights *ret);

/* False where the other end is a user who is neither root nor this process's own. */
bool sfd_peer_is_own(int socket);

/* False where the number stands for every user without one. */
bool sfd_peer_uid_known(uid_t uid);

/* Who the other end was when it connected, or began to listen. */
struct sfd_peer_identity {
	uid_t uid;
	gid_t gid;
	gid_t *groups;
	size_t n_groups;
};

/* 0; -EPERM where the user has no number here, or another -errno. */
int sfd_peer_identity(int socket, struct sfd_peer_identity *ret);
void sfd_peer_identity_done(struct sfd_peer_identity *identity);

#endif
