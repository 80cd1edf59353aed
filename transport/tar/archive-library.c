/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/tar/archive-library.h"
#include "splitfdstream/base/dlopen-note.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

/* The name carries the ABI version: all of libarchive 3 has this one. */
#define SONAME "libarchive.so.13"
#if ARCHIVE_VERSION_NUMBER < 3000000 || ARCHIVE_VERSION_NUMBER >= 4000000
// cppcheck-suppress preprocessorErrorDirective
#error "these headers of libarchive do not belong to libarchive.so.13"
#endif

SFD_DLOPEN_NOTE("libarchive", "Compressed tars and layers: gzip, zstd, xz, bzip2",
	SFD_DLOPEN_RECOMMENDED, SONAME);

static int missing(const char *what, struct splitfd_error *err)
{
	const char *why = dlerror();

	return splitfd_error_set(err, SPLITFD_ERROR_FAILED, ENOTSUP,
		"cannot read a tar that may be compressed without libarchive: %s; install %s",
		why != NULL ? why : what, SONAME);
}

int sfd_archive_library_open(struct sfd_archive_library *ret, struct splitfd_error *err)
{
	struct sfd_archive_library l = { 0 };
	void *handle;
	const struct {
		const char *name;
		void *function; /* where its address goes */
	} functions[] = {
		{ "archive_read_new", &l.read_new },
		{ "archive_read_free", &l.read_free },
		{ "archive_read_support_filter_gzip", &l.filter_gzip },
		{ "archive_read_support_filter_zstd", &l.filter_zstd },
		{ "archive_read_support_filter_xz", &l.filter_xz },
		{ "archive_read_support_filter_bzip2", &l.filter_bzip2 },
		{ "archive_read_support_format_raw", &l.format_raw },
		{ "archive_read_support_format_empty", &l.format_empty },
		{ "archive_read_open", &l.read_open },
		{ "archive_read_next_header", &l.next_header },
		{ "archive_read_data", &l.read_data },
		{ "archive_filter_bytes", &l.filter_bytes },
		{ "archive_error_string", &l.error_string },
		{ "archive_errno", &l.error_number },
		{ "archive_set_error", &l.set_error },
	};

	errno = 0; /* dlerror() does not always say that memory is short */
	handle = dlopen(SONAME, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (handle == NULL && errno == ENOMEM)
		return splitfd_error_oom(err);
	if (handle == NULL)
		return missing(SONAME, err);
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		void *address = dlsym(handle, functions[i].name);

		if (address == NULL) {
			int r = missing(functions[i].name, err);

			dlclose(handle);
			return r;
		}
		memcpy(functions[i].function, &address, sizeof(address));
	}
	/* NODELETE: the functions stay. */
	dlclose(handle);
	*ret = l;
	return 0;
}
