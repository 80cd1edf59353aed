/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_OCI_CLIENT_H
#define SPLITFD_COMPOSEFS_OCI_CLIENT_H

/*
 * Calls of a composefs service: org.composefs.Repository.OpenRepository and the methods of
 * org.composefs.Oci that move images. Source of the interfaces: cfsctl 0.9.4, as observed.
 *
 * What the service says is hostile: every reply is checked for the members and types that its
 * method has (REFUSED otherwise), and descriptors that nobody asked for are closed. An error that
 * the service gives is one of sfd_varlink_reply_check().
 */

#include "splitfdstream/base/error.h"
#include "transport/rpc/varlink.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* An fs-verity digest in hex, 64 or 128 digits, and a NUL. */
#define SFD_OCI_VERITY_SIZE 129

/* Which repository the service shall open: exactly one of these. */
struct sfd_oci_selector {
	const char *path; /* as the service sees it */
	bool user, system;
};

struct sfd_oci_repository {
	uint64_t handle; /* names it in every other call */
	bool has_device; /* the device number of its objects is known */
	dev_t device;
};

int sfd_oci_call_open(struct sfd_varlink *v, const struct sfd_oci_selector *selector,
	struct sfd_oci_repository *ret, struct splitfd_error *err);

/* The service forgets the handle and its lock on the repository; cfsctl does not do so by itself
 * when the connection ends, and its garbage collection waits for such locks. `wait`: for the
 * answer, whose errors do not matter any more; else (after an error, when the service may be
 * silent) the call is only sent. */
void sfd_oci_call_close(struct sfd_varlink *v, uint64_t handle, bool wait);

/* 1 where the layer is there, with the digest of its stream at `verity`; 0 where not. */
int sfd_oci_call_has_layer(struct sfd_varlink *v, uint64_t handle, const char *diff_id,
	char verity[SFD_OCI_VERITY_SIZE], struct splitfd_error *err);

struct sfd_oci_put {
	char verity[SFD_OCI_VERITY_SIZE];
	bool already_present;
	uint64_t reflinked, hardlinked, copied, present; /* objects */
};

/* Sends the call. fds[0] is the reading end of a pipe for the splitdirfdstream, the others (one at
 * least) its directories; all stay the caller's. Then the stream is to be written, and the answer
 * to be fetched. */
int sfd_oci_call_put_layer(struct sfd_varlink *v, uint64_t handle, const char *diff_id,
	bool zerocopy, const int *fds, size_t n_fds, struct splitfd_error *err);
int sfd_oci_put_layer_result(
	struct sfd_varlink *v, struct sfd_oci_put *ret, struct splitfd_error *err);

struct sfd_oci_layer_ref {
	const char *diff_id;
	char verity[SFD_OCI_VERITY_SIZE];
};

struct sfd_oci_image_text {
	const char *manifest, *config; /* exact JSON, with a NUL behind */
	size_t manifest_size, config_size;
};

struct sfd_oci_final {
	char manifest_digest[72], config_digest[72];
	char manifest_verity[SFD_OCI_VERITY_SIZE], config_verity[SFD_OCI_VERITY_SIZE];
};

/* `name` is the tag, NULL for none. Refuses a manifest or config that is not UTF-8 (it cannot
 * travel in JSON), and a service whose digests of them are not theirs. */
int sfd_oci_call_finalize(struct sfd_varlink *v, uint64_t handle,
	const struct sfd_oci_image_text *image, const struct sfd_oci_layer_ref *layers,
	size_t n_layers, const char *name, struct sfd_oci_final *ret, struct splitfd_error *err);

/* The exact manifest and config of an image, by tag or "sha256:…" of its manifest. Both are the
 * caller's. */
int sfd_oci_call_inspect(struct sfd_varlink *v, uint64_t handle, const char *image,
	char **ret_manifest, char **ret_config, struct splitfd_error *err);

/* What GetLayer gives, all replies put together. */
struct sfd_oci_layer {
	int *fds; /* owned: the stream, n_dirs directories, the rest that has to stay open */
	size_t n_fds, n_dirs;
};

/* The layer as a splitdirfdstream. `reads_all`: we can open files that are not readable by
 * everybody. *ret is for sfd_oci_layer_done in any case. The directories are what the service sent:
 * any of them that no chunk names may be anything. */
int sfd_oci_call_get_layer(struct sfd_varlink *v, uint64_t handle, const char *diff_id,
	bool reads_all, struct sfd_oci_layer *ret, struct splitfd_error *err);
void sfd_oci_layer_done(struct sfd_oci_layer *layer);

#endif
