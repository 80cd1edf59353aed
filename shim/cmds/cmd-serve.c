/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/common/command.h"
#include "shim/common/confine.h"
#include "shim/common/repo-options.h"
#include "shim/common/store-options.h"
#include "shim/serve/serve-socket.h"
#include "shim/serve/serve.h"
#include "shim/serve/stop-signal.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/fd.h"
#include "splitfdstream/base/text.h"

#include <string.h>
#include <unistd.h>

extern const struct sfd_command sfd_cmd_serve;

struct request {
	struct sfd_store_arguments from;
	struct sfd_repo_options repo;
	const char *protocol, *socket;
	struct sfd_strings allowed;
	bool allow_any, sandbox;
	long fd, max_clients, max_layers, timeout, idle_timeout, hold;
	char repository[PATH_MAX];
	uid_t *uids;
};

static int parse_uids(struct request *q, struct splitfd_error *err)
{
	q->uids = calloc(q->allowed.n + 1, sizeof(*q->uids));
	if (q->uids == NULL)
		return splitfd_error_oom(err);
	for (size_t i = 0; i < q->allowed.n; i++) {
		uint64_t uid;

		if (!sfd_parse_u64(q->allowed.items[i], UINT32_MAX - 1, &uid))
			return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
				"--allow-uid needs a user's number, not '%s'", q->allowed.items[i]);
		q->uids[i] = (uid_t)uid;
	}
	return 0;
}

/* One of: a path, an inherited descriptor, socket activation. */
static int find_sockets(
	const struct request *q, struct sfd_serve_sockets *sockets, struct splitfd_error *err)
{
	bool others = q->allow_any || q->allowed.n > 0;
	int r;

	if (q->socket != NULL && q->fd >= 0)
		return splitfd_error_set(
			err, SPLITFD_ERROR_USAGE, EINVAL, "give either --socket or --fd, not both");
	if (q->socket != NULL)
		return sfd_serve_listen(sockets, q->socket, others ? 0666 : 0600, err);
	if (q->fd >= 0)
		return sfd_serve_inherit(sockets, (int)q->fd, err);
	r = sfd_serve_activation(sockets, err);
	if (r == 0)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"there is no socket: give --socket PATH or --fd N, or start it by socket "
			"activation");
	return r < 0 ? r : 0;
}

static int serve(
	struct request *q, const struct sfd_serve_protocol *protocol, struct splitfd_error *err)
{
	const struct sfd_serve_access access = { .uids = q->uids,
		.n_uids = q->allowed.n,
		.any = q->allow_any,
		.max_clients = (size_t)q->max_clients };
	struct sfd_serve_settings settings = { .store = q->from.store,
		.repository = q->repository[0] != '\0' ? q->repository : NULL,
		.timeout_ms = (int)q->timeout * 1000,
		.idle_ms = (int)q->idle_timeout * 1000,
		.hold_ms = (int)q->hold * 1000,
		.max_layers = (size_t)q->max_layers };
	sfd_cleanup(sfd_serve_sockets_done) struct sfd_serve_sockets sockets = { 0 };
	struct sfd_stop *stop = NULL;
	int r;

	sfd_lock_options_apply(q->repo.lock_timeout, 0, &settings.store);
	/* Before there is anything that a signal would leave behind. */
	r = sfd_stop_new(&stop, &settings.cancel_fd, &settings.cancel, err);
	if (r == 0)
		r = find_sockets(q, &sockets, err);
	/* A repository's service may have to run other programs for its clients, and so may a user
	 * without root who opens a store, which each request does anew. The only other thread waits
	 * for signals. */
	if (r == 0)
		sfd_confine(q->sandbox && settings.repository == NULL && geteuid() == 0,
			&(struct sfd_needs){ .objects = -EBADF,
				.spool = true,
				.opens_stores = true,
				.socket_path = q->socket });
	if (r == 0)
		r = sfd_serve(protocol, &settings, &access, &sockets, err);
	if (r == -EBUSY) {
		/* Threads that still use all of this. */
		sfd_serve_sockets_done(&sockets);
		fprintf(stderr, "splitfd serve: %s\n", err->text);
		_exit(1);
	}
	sfd_stop_free(stop);
	return r;
}

static int check(
	struct request *q, const struct sfd_serve_protocol **ret, struct splitfd_error *err)
{
	const struct sfd_repo_options *repo = &q->repo;
	int r = parse_uids(q, err);

	*ret = sfd_serve_find_protocol(q->protocol);
	if (r == 0 && *ret == NULL)
		r = splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"--protocol is varlink or jsonrpc, not '%s'", q->protocol);
	if (q->from.storage_options.n > 0)
		q->from.store.options = q->from.storage_options.items;
	if (r == 0 && (repo->repo != NULL || repo->user || repo->system))
		r = sfd_repo_path(repo, q->repository, err);
	return r;
}

static int run(int argc, char **argv, struct splitfd_error *err)
{
	struct request q = { .protocol = "varlink",
		.fd = -1,
		.max_clients = 64,
		.max_layers = 64,
		.timeout = 60,
		.idle_timeout = 3600,
		.hold = 600,
		.sandbox = true };
	const struct sfd_option options[] = {
		{ "protocol", 0, SFD_OPTION_STRING, &q.protocol, 0, 0, "NAME",
			"varlink (the default) or jsonrpc" },
		{ "socket", 0, SFD_OPTION_STRING, &q.socket, 0, 0, "PATH", "Listen at this path" },
		{ "fd", 0, SFD_OPTION_NUMBER, &q.fd, 0, 1 << 20, "N",
			"Serve this inherited socket, listening or connected" },
		{ "allow-uid", 0, SFD_OPTION_STRINGS, &q.allowed, 0, 0, "UID",
			"Let this user call too; may be given again" },
		{ "allow-any", 0, SFD_OPTION_FLAG, &q.allow_any, 0, 0, NULL,
			"Let every user call that can reach the socket" },
		{ "max-clients", 0, SFD_OPTION_NUMBER, &q.max_clients, 1, 4096, "N",
			"Clients at a time (default 64); idle ones are closed to make room" },
		{ "max-layers", 0, SFD_OPTION_NUMBER, &q.max_layers, 1, 4096, "N",
			"Layers that are being sent at a time, 64 by default" },
		{ "timeout", 0, SFD_OPTION_NUMBER, &q.timeout, 1, 86400, "SECONDS",
			"Drop a client that is silent in the middle of a message (default 60)" },
		{ "idle-timeout", 0, SFD_OPTION_NUMBER, &q.idle_timeout, 0, 1000000, "SECONDS",
			"Drop a client that is silent between calls (default 3600; 0 disables)" },
		{ "hold", 0, SFD_OPTION_NUMBER, &q.hold, 1, 1000000, "SECONDS",
			"How long a sent layer may be held, 600 by default" },
		SFD_STORE_OPTIONS(&q.from),
		SFD_REPO_OPTIONS(&q.repo),
		SFD_SANDBOX_OPTION(&q.sandbox),
		{ NULL },
	};
	const struct sfd_serve_protocol *protocol = NULL;
	int r = sfd_parse_options(&sfd_cmd_serve, options, &argc, &argv, err);

	if (r == 0)
		r = check(&q, &protocol, err);
	/* Each layer under way takes descriptors. */
	sfd_raise_fd_limit();
	if (r == 0)
		r = serve(&q, protocol, err);
	free(q.uids);
	sfd_strings_done(&q.allowed);
	sfd_strings_done(&q.from.storage_options);
	return r < 0 ? r : 0;
}

const struct sfd_command sfd_cmd_serve = {
	.name = "serve",
	.class = SFD_SERVER,
	.operands = "",
	.summary = "Serve a store's or a repository's layers over a socket",
	.run = run,
};
