/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SKOPEO_PROXY_IMAGE_H
#define SPLITFD_SKOPEO_PROXY_IMAGE_H

/*
 * An image as a proxy gives it: manifest and config checked against their digests, and what each
 * layer is called.
 */

#include "splitfdstream/base/cleanup.h"
#include "transport/skopeo/proxy-client.h"

struct sfd_remote_layer {
	char *digest;  /* by which the proxy gives the blob */
	char *diff_id; /* of the tar in it: the config's; of an artifact the same as digest */
	uint64_t size; /* of the blob; UINT64_MAX where not known */
};

struct sfd_remote_image {
	struct sfd_proxy *proxy; /* borrowed */
	uint64_t id;
	char *manifest, *config; /* exact bytes, NUL behind them */
	size_t manifest_size, config_size;
	char *original; /* the digest of the manifest before the proxy converted it; NULL: not */
	struct sfd_remote_layer *layers; /* the base first */
	size_t n_layers;
	bool artifact; /* its layers are blobs, not tars */
	int splitfd;   /* whether the proxy has GetLayerSplitfd for it: -1 not yet known; atomic */
};

/* Opens `reference` ("docker://…"). The manifest is OCI; one that the proxy has converted from
 * docker's has the converted config. *ret is the caller's. */
int sfd_remote_open(struct sfd_proxy *proxy, const char *reference, struct sfd_remote_image **ret,
	struct splitfd_error *err);
/* In the proxy it stays open, until that is stopped. NULL is allowed. Returns NULL. */
struct sfd_remote_image *sfd_remote_close(struct sfd_remote_image *image);

SFD_DEFINE_CLEANUP(sfd_cleanup_remote_, struct sfd_remote_image, sfd_remote_close);
#define sfd_cleanup_remote sfd_cleanup(sfd_cleanup_remote_)

#endif
