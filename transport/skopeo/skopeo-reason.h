/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SKOPEO_SKOPEO_REASON_H
#define SPLITFD_SKOPEO_SKOPEO_REASON_H

/*
 * The kind of a failure that skopeo reports. Its protocol has no code for it, only the text, which
 * is the same from 1.9 to 1.22 where it is known here.
 */

#include "splitfdstream/base/error.h"

/* `reference`: the image that was to be opened, "oci:…"; NULL where it is open. FAILED where the
 * text is not known. */
enum splitfd_error_kind sfd_skopeo_kind(const char *text, const char *reference);

#endif
