/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_COPY_PRINT_H
#define SPLITFD_SHIM_COPY_PRINT_H

/*
 * Prints the result of a pull or push.
 */

#include "transport/copy/pull.h"
#include "transport/copy/push-report.h"

/* After sfd_pull_end: what cfsctl prints, or JSON. */
int sfd_pull_print(const struct sfd_pull *pull, bool json, struct splitfd_error *err);

int sfd_push_report_print(
	const struct sfd_push_report *report, bool json, struct splitfd_error *err);

#endif
