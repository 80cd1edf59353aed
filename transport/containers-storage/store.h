/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_CONTAINERS_STORAGE_STORE_H
#define SPLITFD_CONTAINERS_STORAGE_STORE_H

/*
 * Reading containers-storage, the store of podman, buildah, skopeo and CRI-O: overlay and vfs.
 *
 * A store is opened by storage.conf's rules, an image is found by the words that podman's user
 * would use, and each of its layers is a chunk source that gives the exact tar. Nothing in a store
 * is ever written. Container-libs' own locks are held, shared, for milliseconds, only while records
 * are read and descriptors are opened. Sources of the format: container-libs' storage library, as
 * observed on running programs.
 */

#include "splitfdstream/base/error.h"
#include "splitfdstream/chunk.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* All may be NULL or 0: then storage.conf, the environment and the defaults decide. Strings are
 * borrowed for the call only. */
struct splitfd_store_options {
	const char *root;	    /* --root: graphroot, absolute */
	const char *runroot;	    /* --runroot */
	const char *driver;	    /* --storage-driver: "overlay" or "vfs" */
	const char *const *options; /* --storage-opt: NULL-terminated "KEY=VALUE" strings */
	const char *imagestore;	    /* podman's --imagestore: images apart from containers,
				       absolute */
	bool from_specifier; /* set by splitfd_store_parse_reference(): storage.conf's driver,
				its options, imagestore and transient_store do not count,
				nor do STORAGE_DRIVER and STORAGE_OPTS */
	const char *rootless_helper;	 /* the path of the program splitfd. A user without root may
					    have files in their own store that they cannot open; where
					    the first such file is met, `podman unshare` (or `buildah
					    unshare`) runs this program's rootless-opener, which opens
					    them. NULL, or for root: such a file is an error */
	const char *arch, *os, *variant; /* which image of a local list of manifests; NULL: this
					    machine's, linux, any */
	int cancel_fd; /* borrowed until the store is closed: as soon as it is readable, waiting
			  for locks and for that program ends (-ECANCELED); 0: none */
	unsigned int lock_timeout; /* milliseconds to wait for a lock that another process holds;
				      0: 60000 */
	/* Called once a lock has been waited for for two seconds, with a sentence that names the
	 * holder, by the thread that waits; NULL: not at all. */
	void (*lock_notice)(void *ctx, const char *text);
	void *lock_ctx;
};

struct splitfd_store;
struct splitfd_image;

/* Opens the store: configuration, driver, additional and split stores. No lock is held afterwards.
 * `options` NULL: zeros. *ret is the caller's (splitfd_store_close). NOT_FOUND where there is no
 * store. */
int splitfd_store_open(const struct splitfd_store_options *options, struct splitfd_store **ret,
	struct splitfd_error *err);
/* NULL is allowed. Returns NULL. */
struct splitfd_store *splitfd_store_close(struct splitfd_store *store);

/* The graphroot's path, as resolved; borrowed. */
const char *splitfd_store_graphroot(const struct splitfd_store *store);
/* "overlay" or "vfs"; borrowed. */
const char *splitfd_store_driver(const struct splitfd_store *store);

/* Cuts a reference: "containers-storage:[SPEC]REST" or a bare REST. The specifier's roots, driver
 * and options replace those of *options (which borrow from *ret_spec, one allocation that the
 * caller frees after the store is open; NULL where there is no specifier). *ret_rest points into
 * `reference`. USAGE where the specifier has no end or a path in it is not absolute. */
int splitfd_store_parse_reference(const char *reference, struct splitfd_store_options *options,
	char **ret_spec, const char **ret_rest, struct splitfd_error *err);

enum splitfd_lookup {
	SPLITFD_LOOKUP_PODMAN = 0, /* as podman's user expects: short names, any ID prefix, …; a
				      local list of manifests is its image for this machine */
	SPLITFD_LOOKUP_TRANSPORT = 1, /* as the containers-storage: transport of skopeo does */
	SPLITFD_LOOKUP_BOTH = 2, /* as the transport; what that does not find, as podman's user */
};

/* Finds an image, reads its records, manifest and config (both checked against their digests), and
 * walks its chain of layers. NOT_FOUND where there is none; an ambiguous name is a USAGE error that
 * lists the candidates; REFUSED for what is damaged, and what is no image of layers (a list of
 * manifests, an artifact, docker's schema 1). *ret is the caller's and may outlive the store. */
int splitfd_image_open(struct splitfd_store *store, const char *name, enum splitfd_lookup lookup,
	struct splitfd_image **ret, struct splitfd_error *err);
/* NULL is allowed. Returns NULL. */
struct splitfd_image *splitfd_image_close(struct splitfd_image *image);

/* All borrowed from the image. */
const char *splitfd_image_id(const struct splitfd_image *image);	   /* 64 hex digits */
const char *const *splitfd_image_names(const struct splitfd_image *image); /* NULL-terminated */
/* The bytes as stored, never serialised again; *ret_size (not NULL) bytes, with a NUL behind them.
 */
const char *splitfd_image_manifest(const struct splitfd_image *image, size_t *ret_size);
const char *splitfd_image_config(const struct splitfd_image *image, size_t *ret_size);
/* "sha256:HEX" of these bytes. */
const char *splitfd_image_manifest_digest(const struct splitfd_image *image);
const char *splitfd_image_config_digest(const struct splitfd_image *image);

size_t splitfd_image_n_layers(const struct splitfd_image *image);

struct splitfd_layer_info {
	const char *diff_id;	     /* "sha256:HEX" of the tar */
	const char *manifest_digest; /* the manifest's digest of this layer's blob */
	const char *media_type;	     /* of the manifest's layer; NULL where it does not tell */
	uint64_t size;		     /* bytes of the tar; UINT64_MAX where not recorded */
	const char *layer_id;	     /* the storage layer's ID */
	bool diff_id_claimed; /* the store never checked the diff_id (a partial pull by table of
				 contents): whoever stores the tar checks its sha256, always */
	const char *unknown;  /* a member or flag of the store's record that this release does not
				 know, so that diff_id_claimed is set, too; NULL */
};

/* Layer i (0 is the base), less than splitfd_image_n_layers(). Borrowed from the image. */
const struct splitfd_layer_info *splitfd_image_layer(const struct splitfd_image *image, size_t i);

/* Finds a layer by diff_id, by the manifest's digest, or by decimal index. NOT_FOUND otherwise. */
int splitfd_image_find_layer(const struct splitfd_image *image, const char *layer, size_t *ret,
	struct splitfd_error *err);

/* The layer's exact tar as a chunk source: FILE chunks for the content of regular files with at
 * least one byte (with their CRC-64), INLINE for the rest. The source checks the sum of all sizes
 * against diff-size; who reads the files checks CRC-64. A layer of an additional layer store comes
 * as bytes, its files of more than 64 bytes are cut out of these without a CRC-64, and the source
 * checks the whole's SHA-256. Holds a handful of descriptors. A layer
 * that was removed meanwhile is NOT_FOUND (-ESTALE), one that changed REFUSED. *ret is the
 * caller's, may outlive image and store, and may be read by another thread. */
int splitfd_image_open_layer(struct splitfd_image *image, size_t i, struct splitfd_source **ret,
	struct splitfd_error *err);

/* One row of a listing of the store; borrowed while the callback runs. */
struct splitfd_image_row {
	const char *id;		  /* 64 hex digits */
	const char *digest;	  /* "sha256:HEX" of the manifest; NULL where not recorded */
	const char *const *names; /* NULL-terminated */
	const char *created;	  /* RFC 3339; NULL where not recorded */
	const char *layer;	  /* the ID of the topmost layer; NULL where it has none */
};

/* Calls `row` for each image of all stores, once each, until it returns not 0; that is returned. No
 * lock is held meanwhile. */
int splitfd_store_list_images(struct splitfd_store *store,
	int (*row)(void *ctx, const struct splitfd_image_row *row), void *ctx,
	struct splitfd_error *err);

#ifdef __cplusplus
}
#endif

#endif
