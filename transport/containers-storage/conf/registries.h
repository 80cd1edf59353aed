/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_CONTAINERS_STORAGE_REGISTRIES_H
#define SPLITFD_CONTAINERS_STORAGE_REGISTRIES_H

/*
 * One file of registries.conf, checked as container-libs checks it: a file that it refuses makes
 * podman know no short name, so what is wrong matters also where the value would not. Source of
 * the format: containers-registries.conf(5).
 */

#include "splitfdstream/base/error.h"

struct sfd_conf;

/* Adds the file at `path`: the keys "aliases.NAME" and "unqualified-search-registries" are good
 * afterwards, but registries may end in '/'. -ENOENT (kind NOT_FOUND) where there is no file. */
int sfd_registries_load(struct sfd_conf *conf, const char *path, struct splitfd_error *err);

/* The same of short-name-aliases.conf, of which the aliases count and nothing else. */
int sfd_registries_load_aliases(struct sfd_conf *conf, const char *path, struct splitfd_error *err);

#endif
