/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_CONTAINERS_STORAGE_STORAGE_CONF_H
#define SPLITFD_CONTAINERS_STORAGE_STORAGE_CONF_H

/*
 * storage.conf and registries.conf: the subset of TOML that they use (toml.h), read strictly. What
 * is not understood is an error with file and line, never skipped: a store that was found by half a
 * configuration is the wrong store.
 *
 * Several files go into one configuration, one after the other, key by key: a later value replaces
 * an earlier one, except that an array whose key was ever given {append=true} grows (until
 * {append=false}), as container-libs has it.
 */

#include "splitfdstream/base/error.h"
#include "transport/containers-storage/conf/toml.h"

#include <stdbool.h>
#include <stddef.h>

struct sfd_conf;

/* NULL when memory is short. */
struct sfd_conf *sfd_conf_new(void);
/* NULL is allowed. Returns NULL. */
struct sfd_conf *sfd_conf_free(struct sfd_conf *conf);

/* Adds the `size` bytes of a file; `file` names it in errors (kind USAGE). After an error the
 * configuration is good for nothing but sfd_conf_free(). */
int sfd_conf_parse(struct sfd_conf *conf, const char *text, size_t size, const char *file,
	struct splitfd_error *err);

/* Reads the file at `path` and adds it; /dev/null is an empty one. -ENOENT (kind NOT_FOUND) where
 * there is none. */
int sfd_conf_load(struct sfd_conf *conf, const char *path, struct splitfd_error *err);
/* The same; `check` (may be NULL) sees each value first: 0 adds it, 1 leaves it out, -errno ends.
 */
int sfd_conf_load_checked(struct sfd_conf *conf, const char *path, sfd_toml_set *check, void *ctx,
	struct splitfd_error *err);

/* The values of a key, written with dots from the top ("storage.options.overlay.mountopt").
 * An absent key leaves *ret alone and gives 0; a present one gives 1; a value of another type is
 * an error (kind USAGE). Strings and arrays are borrowed from conf. */
int sfd_conf_string(
	const struct sfd_conf *conf, const char *key, const char **ret, struct splitfd_error *err);
int sfd_conf_bool(
	const struct sfd_conf *conf, const char *key, bool *ret, struct splitfd_error *err);
int sfd_conf_array(const struct sfd_conf *conf, const char *key, const char *const **ret,
	size_t *ret_n, struct splitfd_error *err);

#endif
