/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_REPOSITORY_H
#define SPLITFD_COMPOSEFS_REPOSITORY_H

/*
 * A composefs repository as composefs-rs (cfsctl, bootc) keeps it: objects named by their fs-verity
 * digest, splitstreams, OCI manifests, configs and tags. What is written here is what cfsctl
 * writes: it lists, fscks, dumps, mounts and garbage-collects it. Source of the format:
 * composefs-rs 0.9.4, as observed on the running program.
 */

#include "splitfdstream/base/error.h"
#include "splitfdstream/chunk.h"
#include "transport/composefs/object-digest.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct splitfd_repository;

struct splitfd_init_options {
	enum splitfd_algorithm algorithm; /* 0: sha512 */
	bool insecure;			  /* no fs-verity on meta.json */
	int erofs_default;		  /* 0: V1, as cfsctl; else 1 or 2 */
	unsigned int lock_timeout;	  /* milliseconds to wait for a repository that is there and
					     locked; 0: 60000 */
};

/* Makes the directory (0700, those above it 0755) and meta.json. The same settings again: success
 * and no change. Others: -EEXIST. -EOPNOTSUPP where fs-verity is wanted and the file system has
 * none. `options` is not NULL. */
int splitfd_repository_init(
	const char *path, const struct splitfd_init_options *options, struct splitfd_error *err);

/* Opens a repository and holds flock(LOCK_SH) on it until closed. Waits up to 60 seconds for a
 * process that has it exclusively (cfsctl's garbage collection), then -ETIMEDOUT. `write`: it is
 * going to be written; refused where meta.json's features forbid that. NOT_FOUND where there is
 * none. A
 * directory with objects but without meta.json (old cfsctl) is refused with the way out. *ret is
 * the caller's (splitfd_repository_close). */
int splitfd_repository_open(
	const char *path, bool write, struct splitfd_repository **ret, struct splitfd_error *err);
/* NULL is allowed. Returns NULL. */
struct splitfd_repository *splitfd_repository_close(struct splitfd_repository *repository);

/* From here on nothing counts as present by its name and size: objects are read and hashed, and
 * layers are imported again. What is damaged is thereby replaced; it takes as long as a first
 * import. Before any other use of the repository. */
void splitfd_repository_distrust(struct splitfd_repository *repository);
/* Damaged objects that were replaced through this handle. Any thread. */
unsigned int splitfd_repository_replaced(const struct splitfd_repository *repository);

enum splitfd_algorithm splitfd_repository_algorithm(const struct splitfd_repository *repository);
bool splitfd_repository_secure(const struct splitfd_repository *repository);

enum splitfd_reflink {
	SPLITFD_REFLINK_AUTO = 0, /* FICLONE; copy where the file systems cannot share extents */
	SPLITFD_REFLINK_ALWAYS,	  /* FICLONE, or an error */
	SPLITFD_REFLINK_NEVER,	  /* copy */
};

/* File objects of an import, as cfsctl counts them. */
struct splitfd_import_stats {
	uint64_t layers, layers_already_present;
	uint64_t objects_copied, objects_reflinked, objects_already_present;
	uint64_t bytes_copied, bytes_reflinked, bytes_inlined;
};

/* The most threads that one import may have. */
#define SPLITFD_JOBS_MAX 64

struct splitfd_import_options {
	enum splitfd_reflink reflink;
	unsigned int jobs;   /* threads, at most SPLITFD_JOBS_MAX; 0: one for each CPU that this
				process may   use, at most 12 */
	bool verify_diff_id; /* sha256 of each layer against its diff_id */
	/* Others than root and this user can write the files that come: what is taken of them is
	 * hashed, in any case. */
	bool foreign_source;
	/* Not 0 ends the import with ECANCELED: workers look at it too. May be NULL. */
	const volatile int *cancel;
};

/* One import: worker threads, the table of objects already seen, statistics. */
struct splitfd_import;

/* The repository must outlive the import; `options` (not NULL) is copied. *ret is the caller's. */
int splitfd_import_new(struct splitfd_repository *repository,
	const struct splitfd_import_options *options, struct splitfd_import **ret,
	struct splitfd_error *err);
/* Waits for the workers; drops what was not committed. Its sinks have to be freed before. NULL is
 * allowed. Returns NULL. */
struct splitfd_import *splitfd_import_free(struct splitfd_import *import);
/* The counts so far. Any thread. */
void splitfd_import_stats(const struct splitfd_import *import, struct splitfd_import_stats *ret);

/* 1 where streams/oci-layer-DIFFID is there (its digest in *ret) with its object, 0 where not.
 * diff_id is "sha256:HEX", as below. */
int splitfd_repository_has_layer(struct splitfd_repository *repository, const char *diff_id,
	struct splitfd_digest *ret, struct splitfd_error *err);

/* A sink that imports one layer: files become objects, the stream a splitstream object. finish()
 * checks sizes, CRC-64 and, where wanted, sha256, and stores the splitstream's object; the name in
 * streams/ appears with splitfd_import_commit. Several sinks of one import may be fed at once from
 * different threads, or one after the other with the finish() calls at the end: work of the first
 * then overlaps with reading the second. *ret is the caller's. */
int splitfd_import_layer(struct splitfd_import *import, const char *diff_id,
	struct splitfd_sink **ret, struct splitfd_error *err);

/* One syncfs, then streams/oci-layer-DIFFID of each finished layer of the import, durable when this
 * returns 0. A name that has appeared meanwhile is adopted, never repointed. */
int splitfd_import_commit(struct splitfd_import *import, struct splitfd_error *err);

#ifdef __cplusplus
}
#endif

#endif
