/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/copy/push-report.h"

void sfd_push_report_layer(struct sfd_push_report *report, const struct sfd_oci_put *put,
	const struct sfd_push_sent *sent)
{
	report->layers_sent++;
	report->sent.tar += sent->tar;
	report->sent.stream += sent->stream;
	report->objects.reflinked += put->reflinked;
	report->objects.hardlinked += put->hardlinked;
	report->objects.copied += put->copied;
	report->objects.present += put->present;
}
