/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_PROXY_NATIVE_H
#define SPLITFD_SHIM_PROXY_NATIVE_H

/*
 * Images of containers-storage that the proxy serves itself.
 */

#include "shim/proxy/proxy-pipe.h"
#include "splitfdstream/base/buffer.h"
#include "splitfdstream/base/cleanup.h"
#include "transport/containers-storage/store.h"

/* Documents of an image are never larger than this. */
#define SFD_PROXY_DOCUMENT_MAX ((size_t)64 * 1024 * 1024)

struct sfd_native; /* shared by reference count; one thread */

/* True for a reference of the containers-storage transport. */
bool sfd_native_is_ours(const char *reference);

int sfd_native_open(const char *reference, long lock_seconds, struct sfd_native **ret,
	struct splitfd_error *err);
struct sfd_native *sfd_native_ref(struct sfd_native *native);
/* NULL is allowed. Returns NULL. */
struct sfd_native *sfd_native_unref(struct sfd_native *native);

/* True where both are the same image with the same documents. */
bool sfd_native_same(const struct sfd_native *a, const struct sfd_native *b);

/* The image's names for policy.json; borrowed. */
const char *const *sfd_native_scopes(const struct sfd_native *native);
/* The stored manifest's digest; borrowed. */
const char *sfd_native_digest(const struct sfd_native *native);
struct splitfd_image *sfd_native_image(struct sfd_native *native);
struct splitfd_store *sfd_native_store(struct sfd_native *native);

/* What GetManifest, GetConfig (inner), GetFullConfig and GetLayerInfo give. Appended to *ret. */
int sfd_native_manifest(
	struct sfd_native *native, struct sfd_buffer *ret, struct splitfd_error *err);
int sfd_native_config(
	struct sfd_native *native, bool inner, struct sfd_buffer *ret, struct splitfd_error *err);
int sfd_native_layer_info(
	struct sfd_native *native, struct sfd_buffer *ret, struct splitfd_error *err);

/* A blob by digest: a layer's tar by diff_id, the config as stored, the empty layer. *wanted_size,
 * where not NULL: size and digest of the whole are checked at the end. *ret_size is UINT64_MAX
 * where it is not known before the end. The work is the caller's; it writes the blob and stands by
 * itself. */
int sfd_native_blob(struct sfd_native *native, const char *digest, const uint64_t *wanted_size,
	struct sfd_pipe_work *ret, uint64_t *ret_size, struct splitfd_error *err);

SFD_DEFINE_CLEANUP(sfd_cleanup_native_, struct sfd_native, sfd_native_unref);
#define sfd_cleanup_native sfd_cleanup(sfd_cleanup_native_)

#endif
