/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_BASE_DLOPEN_NOTE_H
#define SPLITFD_BASE_DLOPEN_NOTE_H

/*
 * Tells packaging tools of a library that is opened by dlopen(3), which no ELF header shows: a note
 * in the section .note.dlopen. Source of the format: systemd's "dlopen() Metadata for ELF Files"
 * (owner FDO, type 0x407c0c0a, a JSON array as a NUL-terminated string); dh_dlopenlibdeps of Debian
 * and the dlopen-notes generator of Fedora's RPM read it.
 */

#include <stdint.h>

#define SFD_DLOPEN_RECOMMENDED "recommended" /* what most users want does not work without it */
#define SFD_DLOPEN_SUGGESTED   "suggested"

#define SFD_DLOPEN_TEXT_(feature, description, priority, soname)                                   \
	"[{\"feature\":\"" feature "\",\"description\":\"" description                             \
	"\",\"priority\":\"" priority "\",\"soname\":[\"" soname "\"]}]"

/* At file scope, once in a file; all four are string literals without quotes in them. */
#define SFD_DLOPEN_NOTE(feature, description, priority, soname)                                    \
	__attribute__((used, aligned(4), section(".note.dlopen"))) static const struct {           \
		uint32_t owner_size, text_size, type;                                              \
		char owner[4];                                                                     \
		_Alignas(uint32_t) char text[sizeof(                                               \
			SFD_DLOPEN_TEXT_(feature, description, priority, soname))];                \
	} dlopen_note = {                                                                          \
		.owner_size = 4,                                                                   \
		.text_size = sizeof(SFD_DLOPEN_TEXT_(feature, description, priority, soname)),     \
		.type = 0x407c0c0aU,                                                               \
		.owner = "FDO",                                                                    \
		.text = SFD_DLOPEN_TEXT_(feature, description, priority, soname),                  \
	}

#endif
