/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/common/image-argument.h"

#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"
#include "transport/composefs/images/names.h"
#include "transport/composefs/images/tags.h"

#include <string.h>

static void say(void *ctx, const char *text)
{
	fprintf(stderr, "splitfd %s: %s\n", (const char *)ctx, text);
}

static int parse_xattrs(const char *word, enum sfd_tree_xattrs *ret, struct splitfd_error *err)
{
	if (word == NULL || strcmp(word, "allowlist-only") == 0)
		*ret = SFD_TREE_XATTRS_ALLOWLIST;
	else if (strcmp(word, "keep-user-xattrs") == 0)
		*ret = SFD_TREE_XATTRS_USER;
	else
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"--xattrs is allowlist-only or keep-user-xattrs, not '%s'", word);
	return 0;
}

/* "@sha256:…" of a config. 0 where there is no such config. */
static int config_tree(struct splitfd_repository *repository, const char *digest,
	const struct sfd_readings *readings, struct sfd_tree **ret, struct splitfd_error *err)
{
	sfd_cleanup(sfd_oci_document_done) struct sfd_oci_document config = { 0 };
	sfd_cleanup(sfd_oci_config_done) struct sfd_oci_config facts = { 0 };
	sfd_cleanup_free char *name = sfd_asprintf("streams/oci-config-%s", digest);
	struct splitfd_digest stream;
	int r;

	if (name == NULL)
		return splitfd_error_oom(err);
	r = sfd_name_read(repository, name, &stream, err);
	if (r <= 0)
		return r;
	r = sfd_oci_document_read(repository, &stream, SFD_STREAM_CONFIG, &config, err);
	if (r == 0)
		r = sfd_oci_config_parse(config.json, config.size, SFD_OCI_REPOSITORY, &facts, err);
	if (r == 0)
		r = sfd_image_tree_of_choice(readings, &config, &facts, ret, err);
	return r < 0 ? splitfd_error_wrap(err, r, "the config %s", digest) : 1;
}

int sfd_image_argument_tree(struct splitfd_repository *repository, const char *command,
	const char *name, const char *xattrs, const char *tree_of, struct sfd_tree **ret,
	struct splitfd_error *err)
{
	sfd_cleanup(sfd_oci_stored_done) struct sfd_oci_stored stored = { 0 };
	sfd_cleanup_free char *manifest = NULL;
	struct sfd_readings readings = { .repository = repository,
		.xattrs = SFD_TREE_XATTRS_ALLOWLIST,
		.told = say,
		.ctx = (void *)(uintptr_t)command };
	int r;

	r = parse_xattrs(xattrs, &readings.xattrs, err);
	if (r == 0)
		r = sfd_tree_choice_parse(tree_of, &readings.choice, err);
	if (r < 0)
		return r;
	if (name[0] == '@' && strchr(name, '/') == NULL) {
		r = config_tree(repository, name + 1, &readings, ret, err);
		if (r != 0)
			return r < 0 ? r : 0;
	}
	r = sfd_tag_resolve(repository, name, &manifest, err);
	if (r == 0)
		r = sfd_oci_stored_read(repository, manifest, &stored, err);
	if (r < 0)
		return r;
	if (!stored.manifest_facts.container)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EINVAL,
			"%s is an artifact, not the image of a file tree", name);
	r = sfd_image_tree_of_choice(&readings, &stored.config, &stored.config_facts, ret, err);
	return r < 0 ? splitfd_error_wrap(err, r, "%s", name) : 0;
}
