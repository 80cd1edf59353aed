/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_VERSION_H
#define SPLITFD_VERSION_H

/* The version of program and library; the Makefile reads it from here. */
#define SPLITFD_VERSION "0.1.0"

#endif
