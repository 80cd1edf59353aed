/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_VARLINK_DESCRIPTIONS_H
#define SPLITFD_SHIM_VARLINK_DESCRIPTIONS_H

/*
 * The interfaces in varlink's own language. Types and names are those of cfsctl 0.9.4.
 */

extern const char sfd_varlink_service_description[];
/* org.composefs.Oci: what a store's service has of it, and all. */
extern const char sfd_varlink_oci_store_description[];
extern const char sfd_varlink_oci_description[];
extern const char sfd_varlink_repository_description[];

#endif
