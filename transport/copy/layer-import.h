/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COPY_LAYER_IMPORT_H
#define SPLITFD_COPY_LAYER_IMPORT_H

/*
 * One layer that comes as a stream, into a repository.
 */

#include "transport/composefs/repository.h"

struct sfd_layer_import {
	bool present; /* the repository had it already; the rest but for `digest` is empty then */
	struct splitfd_digest digest; /* of the layer's splitstream */
	struct splitfd_import_stats stats;
	char actual[72]; /* what the stream's diff_id is, also where it is wrong; or "" */
};

/* Imports `source` (borrowed) as the layer diff_id, and gives it its name. Where the repository has
 * the layer already, the stream is read and checked all the same, so that its producer ends well
 * and a wrong stream does not pass for the right one. A stream that is another layer's is REFUSED
 * either way; `actual` tells its diff_id then. */
int sfd_layer_import(struct splitfd_repository *repository, const char *diff_id,
	struct splitfd_source *source, const struct splitfd_import_options *options,
	struct sfd_layer_import *ret, struct splitfd_error *err);

#endif
