/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/rpc/peer-rights.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

/* The number that the kernel gives the first user namespace (PROC_USER_INIT_INO). */
#define FIRST_NAMESPACE "user:[4026531837]"

/* The user namespace of a process as its link says; "" where it cannot be read. */
static void user_namespace(const char *process, char text[64])
{
	char path[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%s/ns/user", process);
	n = readlink(path, text, 63);
	text[n > 0 ? n : 0] = '\0';
}

void sfd_peer_rights(int socket, struct sfd_peer_rights *ret)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	char ours[64], theirs[64], pid[16];
	bool first, same;

	*ret = (struct sfd_peer_rights){ 0 };
	if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || len != sizeof(peer))
		return;
	snprintf(pid, sizeof(pid), "%d", (int)peer.pid);
	user_namespace("self", ours);
	user_namespace(pid, theirs);
	first = strcmp(ours, FIRST_NAMESPACE) == 0;
	same = ours[0] != '\0' && strcmp(ours, theirs) == 0;
	/* Seen from the first namespace a user is who the number says, wherever it lives. */
	ret->peer_reads_ours = (first || same) && (peer.uid == 0 || peer.uid == geteuid());
	ret->we_read_theirs = (first && geteuid() == 0) ||
			      (same && (geteuid() == 0 || peer.uid == geteuid()));
}

bool sfd_peer_is_own(int socket)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	char ours[64];

	if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || len != sizeof(peer))
		return false;
	user_namespace("self", ours);
	return peer.uid == geteuid() || (peer.uid == 0 && strcmp(ours, FIRST_NAMESPACE) == 0);
}
