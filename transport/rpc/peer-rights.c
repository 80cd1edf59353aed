/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/rpc/peer-rights.h"
#include "splitfdstream/base/cleanup.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The number that the kernel gives the first user namespace (PROC_USER_INIT_INO). */
#define FIRST_NAMESPACE "user:[4026531837]"
/* Later than the oldest headers that we build with. */
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif
#define OVERFLOW_UID 65534

/* The user namespace of a process as its link says; "" where it cannot be read. */
static void user_namespace(const char *process, char text[64])
{
	char path[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%s/ns/user", process);
	n = readlink(path, text, 63);
	text[n > 0 ? n : 0] = '\0';
}

/* The peer's, "" where it is not certain: its number may be another process's by now. */
static void peer_namespace(int socket, pid_t peer, char text[64])
{
	sfd_cleanup_fd int pidfd = -EBADF;
	socklen_t len = sizeof(pidfd);
	char pid[16];
	int got = -1;

	snprintf(pid, sizeof(pid), "%d", (int)peer);
	user_namespace(pid, text);
	if (getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &got, &len) == 0)
		pidfd = got;
	else if (errno != ENOPROTOOPT)
		text[0] = '\0';
	/* Alive behind the look-up, it had the number all the time. */
	if (pidfd >= 0 && syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0) < 0 && errno != EPERM)
		text[0] = '\0';
}

static bool in_first_namespace(void)
{
	char ours[64];

	user_namespace("self", ours);
	return strcmp(ours, FIRST_NAMESPACE) == 0;
}

static uid_t overflow_uid(void)
{
	unsigned int uid = OVERFLOW_UID;
	FILE *f = fopen("/proc/sys/kernel/overflowuid", "re");

	if (f != NULL) {
		if (fscanf(f, "%u", &uid) != 1)
			uid = OVERFLOW_UID;
		(void)fclose(f);
	}
	return uid;
}

bool sfd_peer_uid_known(uid_t uid)
{
	return uid != (uid_t)-1 && (uid != overflow_uid() || in_first_namespace());
}

static int credentials(int socket, struct ucred *ret)
{
	socklen_t len = sizeof(*ret);

	if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, ret, &len) < 0)
		return -errno;
	return len == sizeof(*ret) && sfd_peer_uid_known(ret->uid) ? 0 : -EPERM;
}

void sfd_peer_rights(int socket, struct sfd_peer_rights *ret)
{
	struct ucred peer;
	char ours[64], theirs[64];
	bool first, same;

	*ret = (struct sfd_peer_rights){ 0 };
	if (credentials(socket, &peer) < 0)
		return;
	user_namespace("self", ours);
	peer_namespace(socket, peer.pid, theirs);
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

	if (credentials(socket, &peer) < 0)
		return false;
	return peer.uid == geteuid() || (peer.uid == 0 && in_first_namespace());
}

int sfd_peer_identity(int socket, struct sfd_peer_identity *ret)
{
	socklen_t size = 0;
	struct ucred peer;
	int r = credentials(socket, &peer);

	*ret = (struct sfd_peer_identity){ 0 };
	if (r < 0)
		return r;
	ret->uid = peer.uid;
	ret->gid = peer.gid;
	/* With no room it says how much is needed. */
	if (getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, NULL, &size) == 0)
		return 0;
	if (errno != ERANGE)
		return -errno;
	ret->groups = malloc(size);
	if (ret->groups == NULL)
		return -ENOMEM;
	if (getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, ret->groups, &size) < 0) {
		r = -errno;
		sfd_peer_identity_done(ret);
		return r;
	}
	ret->n_groups = size / sizeof(gid_t);
	return 0;
}

void sfd_peer_identity_done(struct sfd_peer_identity *identity)
{
	free(identity->groups);
	identity->groups = NULL;
	identity->n_groups = 0;
}
