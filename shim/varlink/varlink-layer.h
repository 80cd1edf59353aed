/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_VARLINK_LAYER_H
#define SPLITFD_SHIM_VARLINK_LAYER_H

/*
 * GetLayer, as far as it is the same for a store and a repository.
 */

#include "shim/varlink/varlink-session.h"

struct sfd_varlink_get_layer {
	const char *diff_id;	  /* NULL: not given */
	const char *storage_path; /* NULL, and layer_id too: no storage locator was given */
	const char *layer_id;
	bool reads_all;
};

/* The call's parameters; strings are borrowed from the call. False where they are wrong: the result
 * tells. */
bool sfd_varlink_get_layer_params(const struct sfd_varlink_call *call,
	struct sfd_varlink_get_layer *ret, struct sfd_varlink_result *result);

/* Starts to send `layer` (taken) and fills in the result. */
int sfd_varlink_send_layer(struct sfd_varlink_session *s, struct sfd_layer_to_send *layer,
	struct sfd_varlink_result *ret, struct splitfd_error *err);

#endif
