/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/common/confine.h"
#include "shim/common/sandbox-capabilities.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/fd.h"
#include "splitfdstream/base/unnamed-file.h"
#include "transport/composefs/repository-meta.h"
#include "transport/composefs/repository-private.h"
#include "transport/containers-storage/store-files.h"
#include "transport/containers-storage/store-private.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* From more additional layer stores nothing is read in the sandbox. */
#define LAYER_STORES_MAX 8

/* Each place of the store twice, and a few more. */
#define RULES_MAX (2 * SFD_PLACES_MAX + LAYER_STORES_MAX + 8)

struct rules {
	struct sfd_sandbox_rule rows[RULES_MAX];
	int owned[RULES_MAX];
	size_t n;
};

/* The process is in a sandbox; set once, before any thread. */
static bool confined;

static void add(struct rules *rules, int fd, unsigned int access)
{
	rules->owned[rules->n] = -EBADF;
	rules->rows[rules->n++] = (struct sfd_sandbox_rule){ .fd = fd, .access = access };
}

/* Takes fd, which may be none. */
static void add_owned(struct rules *rules, int fd, unsigned int access)
{
	add(rules, fd, access);
	rules->owned[rules->n - 1] = fd;
}

static void rules_done(struct rules *rules)
{
	for (size_t i = 0; i < rules->n; i++)
		sfd_close(rules->owned[i]);
}

static void add_store(struct rules *rules, const struct splitfd_store *store)
{
	const char *layers = store->driver->directory;

	for (size_t i = 0; i < store->n_places; i++) {
		int place = store->places[i].fd;

		add(rules, place, SFD_SANDBOX_READ);
		/* Podman mounts it on itself, and takes that mount away when it likes: what we
		 * have open in it is not below the place then, as the kernel sees it. */
		if (place >= 0)
			add_owned(rules, sfd_store_open_dir(place, layers, true), SFD_SANDBOX_READ);
	}
	add(rules, store->volatile_fd, SFD_SANDBOX_READ);
	for (size_t i = 0; i < store->config.n_layer_stores && i < LAYER_STORES_MAX; i++)
		add_owned(rules, sfd_store_open_root(store->config.layer_stores[i]),
			SFD_SANDBOX_READ);
}

/* meta.json lies beside an objects directory and is read. */
static void add_objects(struct rules *rules, int objects)
{
	add(rules, objects, SFD_SANDBOX_WRITE);
	if (objects >= 0)
		add_owned(rules, openat(objects, "../" SFD_META_NAME, O_PATH | O_CLOEXEC),
			SFD_SANDBOX_READ);
}

static void add_socket(struct rules *rules, const char *path)
{
	char copy[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];

	if (path != NULL && snprintf(copy, sizeof(copy), "%s", path) < (int)sizeof(copy))
		add_owned(rules, open(dirname(copy), O_PATH | O_DIRECTORY | O_CLOEXEC),
			SFD_SANDBOX_REMOVE);
}

/* A pipe is opened once more, so that a write to it does not have to block; a FIFO with a name
 * needs a rule for that. */
static void add_output(struct rules *rules)
{
	struct stat st;

	if (fstat(STDOUT_FILENO, &st) == 0 && S_ISFIFO(st.st_mode))
		add(rules, STDOUT_FILENO, SFD_SANDBOX_SPOOL);
}

/* Libraries that read their settings, or load others, when they are used first. */
static void prepare(const struct splitfd_repository *repository)
{
	if (repository != NULL && repository->write)
		(void)sfd_repository_hasher((struct splitfd_repository *)(uintptr_t)repository);
}

/* Root's rights over files of others are capabilities. */
static uint64_t capabilities(const struct sfd_needs *needs)
{
	bool stores = needs->objects >= 0 ||
		      (needs->repository != NULL && needs->repository->write);
	uint64_t keep = SFD_CAPABILITY(CAP_DAC_READ_SEARCH);

	/* trusted.overlay.metacopy says that a file's data is elsewhere. */
	if (needs->store != NULL || needs->opens_stores)
		keep |= SFD_CAPABILITY(CAP_SYS_ADMIN);
	if (stores || needs->spool || needs->socket_path != NULL)
		keep |= SFD_CAPABILITY(CAP_DAC_OVERRIDE);
	/* Leases on files of others, names in sticky directories, and the space that file systems
	 * reserve. */
	if (stores)
		keep |= SFD_CAPABILITY(CAP_LEASE) | SFD_CAPABILITY(CAP_FOWNER) |
			SFD_CAPABILITY(CAP_SYS_RESOURCE);
	if (needs->ends_processes)
		keep |= SFD_CAPABILITY(CAP_KILL);
	return keep;
}

void sfd_confine(bool wanted, const struct sfd_needs *needs)
{
	struct rules rules = { .n = 0 };

	if (!wanted || (needs->store != NULL && needs->store->opener != NULL))
		return;
	prepare(needs->repository);
	if (needs->store != NULL)
		add_store(&rules, needs->store);
	if (needs->repository != NULL)
		add(&rules, needs->repository->fd,
			needs->repository->write ? SFD_SANDBOX_WRITE : SFD_SANDBOX_READ);
	add_objects(&rules, needs->objects);
	add_socket(&rules, needs->socket_path);
	if (needs->spool)
		add_owned(&rules, sfd_unnamed_dir(), SFD_SANDBOX_SPOOL);
	add_output(&rules);
	confined = sfd_sandbox_enter(&(struct sfd_sandbox){ .rules = rules.rows,
		.n = rules.n,
		.read_rules = needs->read_rules,
		.signals = needs->ends_processes,
		.capabilities = capabilities(needs) });
	rules_done(&rules);
}

void sfd_confine_now(const struct sfd_needs *needs)
{
	sfd_confine(true, needs);
}

const char *sfd_confine_hint(const struct splitfd_error *err)
{
	/* Landlock's EXDEV is for links and renames between directories. */
	if (confined && (err->errnum == EACCES || err->errnum == EPERM || err->errnum == EXDEV))
		return " (the sandbox may have refused it: --no-sandbox does without, "
		       "see splitfd(1))";
	return "";
}
