/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COPY_PUSH_REPORT_H
#define SPLITFD_COPY_PUSH_REPORT_H

/*
 * The result of a push.
 */

#include "transport/copy/push-layer.h"

struct sfd_push_report {
	const char *tag;
	struct sfd_oci_final final;
	uint64_t layers_sent, layers_present;
	struct sfd_push_sent sent;
	struct sfd_oci_put objects; /* the counts of all layers */
};

/* Adds a layer that was sent. */
void sfd_push_report_layer(struct sfd_push_report *report, const struct sfd_oci_put *put,
	const struct sfd_push_sent *sent);

#endif
