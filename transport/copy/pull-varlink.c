/* SPDX-License-Identifier: Apache-2.0 */
/* A pull from a composefs service. */
#include "transport/copy/pull.h"
#include "transport/copy/needs.h"
#include "transport/copy/pull-varlink-layer.h"
#include "transport/copy/reference.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/clock.h"
#include "splitfdstream/digest.h"
#include "transport/oci/oci-json.h"
#include "transport/composefs/repository-private.h"
#include "transport/rpc/peer-opener.h"
#include "transport/rpc/peer-rights.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

SFD_DEFINE_CLEANUP(cleanup_connection, struct sfd_varlink, sfd_varlink_free);
SFD_DEFINE_CLEANUP(cleanup_opener, struct sfd_peer_opener, sfd_peer_opener_unref);
SFD_DEFINE_CLEANUP(cleanup_source, struct splitfd_source, splitfd_source_free);

/* What the service says that the image is. */
struct description {
	char *manifest, *config;
	struct sfd_oci_config facts;
};

/* A service of one store or repository needs no handle, and takes 0. */
static int open_repository(struct sfd_pull_service *s, const char *path, struct splitfd_error *err)
{
	char absolute[PATH_MAX];
	struct sfd_oci_repository opened;
	int r;

	if (path == NULL)
		return 0;
	r = sfd_repo_absolute(path, absolute, err);
	if (r == 0)
		r = sfd_oci_call_open(s->connection, &(struct sfd_oci_selector){ .path = absolute },
			&opened, err);
	if (r == 0)
		s->handle = opened.handle;
	return r;
}

/* Where the image is named by its manifest's digest, the manifest has to have it. */
static int check_digest(const char *image, const char *manifest, struct splitfd_error *err)
{
	const char *at = strrchr(image, '@'), *wanted = at != NULL ? at + 1 : image;
	char found[72];
	int r;

	if (strncmp(wanted, "sha256:", 7) != 0)
		return 0;
	r = splitfd_sha256_text(manifest, strlen(manifest), found, err);
	if (r < 0)
		return r;
	if (strcmp(found, wanted) == 0)
		return 0;
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
		"the service gave the manifest %s for '%s'", found, image);
}

/* An artifact has no layers that are tars, and no diff_ids. */
static int check_container(const char *manifest, struct splitfd_error *err)
{
	sfd_cleanup_free char *converted = NULL;
	struct sfd_oci_manifest facts = { 0 };
	size_t size = strlen(manifest);
	int r = sfd_oci_convert_docker(manifest, size, &converted, &size, err);

	if (r >= 0)
		r = sfd_oci_manifest_parse(converted != NULL ? converted : manifest, size,
			SFD_OCI_REPOSITORY, &facts, err);
	if (r >= 0 && !facts.container)
		r = splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"it is an artifact, its layers are not tars");
	sfd_oci_manifest_done(&facts);
	return r < 0 ? r : 0;
}

static int describe(const struct sfd_pull_service *s, const char *image, bool opened,
	struct description *ret, struct splitfd_error *err)
{
	int r = sfd_oci_call_inspect(
		s->connection, s->handle, image, &ret->manifest, &ret->config, err);

	if (r < 0 && err != NULL && !opened && strstr(err->text, ".InvalidHandle") != NULL)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"--from-repo DIR is required: the repository that the service opens");
	if (r == 0)
		r = check_digest(image, ret->manifest, err);
	if (r == 0)
		r = check_container(ret->manifest, err);
	if (r == 0)
		r = sfd_oci_config_parse(
			ret->config, strlen(ret->config), SFD_OCI_REPOSITORY, &ret->facts, err);
	return r;
}

static void description_done(struct description *d)
{
	sfd_oci_config_done(&d->facts);
	free(d->manifest);
	free(d->config);
}

static int pull_layer(struct sfd_pull *pull, const struct sfd_pull_service *s, size_t i,
	const char *diff_id, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_source) struct splitfd_source *source = NULL;
	struct splitfd_sink *sink;
	int r = sfd_pull_layer_sink(pull, i, UINT64_MAX, &sink, err);

	if (r < 0 || sink == NULL)
		return r;
	r = sfd_pull_varlink_layer(s, diff_id, sfd_pull_repository(pull)->fd, &source, err);
	if (r == 0)
		r = sfd_pull_feed(pull, i, source, err);
	return r;
}

static int pull_layers(struct sfd_pull *pull, const struct sfd_pull_service *s,
	const struct description *d, struct splitfd_error *err)
{
	const char *const *diff_ids = (const char *const *)d->facts.diff_ids;
	size_t n = d->facts.n_diff_ids;
	int r;

	/* What another process gives is never taken at its word. */
	sfd_pull_verify_diff_ids(pull);
	r = sfd_pull_begin(pull, d->manifest, strlen(d->manifest), d->config, strlen(d->config),
		diff_ids, n, err);
	for (size_t i = 0; r == 0 && i < n; i++) {
		r = pull_layer(pull, s, i, diff_ids[i], err);
		if (r < 0)
			return splitfd_error_wrap(err, r, "layer %s", diff_ids[i]);
	}
	return r;
}

static int pull_image(struct sfd_pull *pull, struct sfd_varlink *connection, int timeout_ms,
	const char *image, struct splitfd_error *err)
{
	const char *from = sfd_pull_get_options(pull)->from_repo;
	struct sfd_pull_service s = { .connection = connection,
		.timeout_ms = timeout_ms,
		.cancel_fd = sfd_pull_cancel_fd(pull) };
	sfd_cleanup(cleanup_opener) struct sfd_peer_opener *opener = NULL;
	struct description d = { 0 };
	struct sfd_peer_rights rights;
	int r = sfd_peer_opener_new(
		sfd_varlink_socket(connection), timeout_ms, s.cancel_fd, &opener, err);

	if (r < 0)
		return r;
	s.opener = opener;
	sfd_peer_rights(sfd_varlink_socket(connection), &rights);
	/* The opener has the rights of the service's user, who may have more in a namespace. */
	s.reads_all = rights.we_read_theirs && opener == NULL;
	if (opener != NULL)
		sfd_pull_other_writers(pull);
	sfd_announce_needs(sfd_pull_get_options(pull)->confine,
		&(struct sfd_needs){ .repository = sfd_pull_repository(pull),
			.objects = -EBADF,
			.ends_processes = opener != NULL });
	r = open_repository(&s, from, err);
	if (r == 0)
		r = describe(&s, image, from != NULL, &d, err);
	if (r == 0)
		r = pull_layers(pull, &s, &d, err);
	if (from != NULL && s.handle != 0)
		sfd_oci_call_close(connection, s.handle, r == 0);
	description_done(&d);
	return r;
}

int sfd_pull_from_varlink(struct sfd_pull *pull, struct splitfd_error *err)
{
	int timeout_ms = sfd_timeout_ms(sfd_pull_get_options(pull)->timeout);
	const struct sfd_varlink_options options = {
		.idle_ms = timeout_ms,
		.timeout_ms = timeout_ms,
		.cancel_fd = sfd_pull_cancel_fd(pull),
	};
	sfd_cleanup(cleanup_connection) struct sfd_varlink *connection = NULL;
	const char *reference = sfd_pull_get_options(pull)->reference, *image = NULL;
	sfd_cleanup_free char *socket = NULL;
	int r = sfd_service_reference(reference, &socket, &image, err);

	if (r < 0)
		return r;
	r = sfd_varlink_connect(socket, &options, &connection, err);
	if (r == 0)
		r = pull_image(pull, connection, timeout_ms, image, err);
	return r < 0 ? splitfd_error_wrap(err, r, "'%s'", reference) : 0;
}
