/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/cmds/commands.h"
#include "shim/common/confined-child.h"
#include "shim/common/repo-options.h"
#include "splitfdstream/base/cleanup.h"
#include "transport/composefs/algorithm.h"
#include "transport/composefs/mount/mount.h"
#include "transport/composefs/images/oci-read.h"
#include "transport/composefs/images/tags.h"
#include "transport/composefs/repository-cleanup.h"

#include <string.h>

extern const struct sfd_command sfd_cmd_mount;

static int find_image(struct splitfd_repository *repository, const char *name, bool boot,
	struct splitfd_digest *ret, struct splitfd_error *err)
{
	sfd_cleanup(sfd_oci_stored_done) struct sfd_oci_stored stored = { 0 };
	sfd_cleanup_free char *manifest = NULL;
	int r;

	/* An image id as images/HEX has it, for images that no tag names. */
	if (sfd_digest_parse(splitfd_repository_algorithm(repository), name, ret))
		return 0;
	r = sfd_tag_resolve(repository, name, &manifest, err);
	if (r == 0)
		r = sfd_oci_stored_read(repository, manifest, &stored, err);
	if (r < 0)
		return r;
	if (!sfd_oci_stored_erofs(repository, &stored, boot, ret))
		return splitfd_error_set(err, SPLITFD_ERROR_NOT_FOUND, ENOENT,
			boot ? "%s has no bootable EROFS image; 'cfsctl oci pull --bootable' makes "
			       "it"
			     : "%s has no EROFS image; pull it again without --no-image",
			name);
	return 0;
}

/* What is to be mounted. */
struct subject {
	struct splitfd_repository *repository; /* borrowed */
	const char *name;
	bool bootable;
};

static int find_confined(void *ctx, void *result, struct splitfd_error *err)
{
	const struct subject *s = ctx;

	sfd_confine(
		true, &(struct sfd_needs){
			      .read_rules = true, .repository = s->repository, .objects = -EBADF });
	return find_image(s->repository, s->name, s->bootable, result, err);
}

/* Whoever has taken the child over can name an image, but nothing that is no digest. */
static int find_in_child(struct subject *s, struct splitfd_digest *ret, struct splitfd_error *err)
{
	int r = sfd_in_child(find_confined, s, ret, sizeof(*ret), err);

	if (r < 0 || ret->size == sfd_digest_size(splitfd_repository_algorithm(s->repository)))
		return r;
	return splitfd_error_set(err, SPLITFD_ERROR_FAILED, EPROTO,
		"the process that reads untrusted data gives something that is not a digest");
}

static int run(int argc, char **argv, struct splitfd_error *err)
{
	sfd_cleanup_repository struct splitfd_repository *repository = NULL;
	struct sfd_mount_options mount = { 0 };
	struct sfd_repo_options repo = SFD_REPO_READER;
	struct splitfd_digest image = { 0 };
	struct subject subject;
	bool bootable = false;
	const struct sfd_option options[] = {
		SFD_REPO_READER_OPTIONS(&repo),
		{ "bootable", 0, SFD_OPTION_FLAG, &bootable, 0, 0, NULL, "The boot variant" },
		{ "upperdir", 0, SFD_OPTION_STRING, &mount.upper, 0, 0, "DIR", "A writable layer" },
		{ "workdir", 0, SFD_OPTION_STRING, &mount.work, 0, 0, "DIR", "Its work directory" },
		{ "read-write", 0, SFD_OPTION_FLAG, &mount.read_write, 0, 0, NULL,
			"Mount read-write (with --upperdir)" },
		{ "suid", 0, SFD_OPTION_FLAG, &mount.suid, 0, 0, NULL,
			"Honour set-user-ID bits and file capabilities" },
		{ "dev", 0, SFD_OPTION_FLAG, &mount.dev, 0, 0, NULL, "Honour device files" },
		{ NULL },
	};
	int r;

	r = sfd_parse_options(&sfd_cmd_mount, options, &argc, &argv, err);
	if (r != 0)
		return r < 0 ? r : 0;
	r = sfd_repo_open(&repo, false, &repository, err);
	subject =
		(struct subject){ .repository = repository, .name = argv[0], .bootable = bootable };
	/* Mounting needs all privileges; finding the image, which reads its documents, needs none.
	 */
	if (r == 0 && repo.sandbox)
		r = find_in_child(&subject, &image, err);
	else if (r == 0)
		r = find_image(repository, argv[0], bootable, &image, err);
	return r < 0 ? r : sfd_mount_image(repository, &image, argv[1], &mount, err);
}

const struct sfd_command sfd_cmd_mount = {
	.name = "mount",
	.class = SFD_PORCELAIN,
	.operands = "NAME DIR",
	.summary = "Mount a stored image (requires root)",
	.run = run,
};
