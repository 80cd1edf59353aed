/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of reasons that programs cannot easily be made to give. */
#include "transport/skopeo/skopeo-reason.h"
#include "tests/unit/check.h"

TEST(kinds_of_reasons)
{
	static const struct {
		const char *text, *reference;
		enum splitfd_error_kind kind;
	} cases[] = {
		{ "reading manifest x in r/y: name unknown: repository name not known to registry",
			"docker://r/y:x", SPLITFD_ERROR_NOT_FOUND },
		{ "reading manifest x in r/y: StatusCode: 404, \"<html>\"", "docker://r/y:x",
			SPLITFD_ERROR_NOT_FOUND },
		{ "reading manifest x in r/y: received unexpected HTTP status: 404 Not Found",
			"docker://r/y:x", SPLITFD_ERROR_NOT_FOUND },
		{ "reading manifest x in r/y: received unexpected HTTP status: 500 Internal",
			"docker://r/y:x", SPLITFD_ERROR_FAILED },
		{ "no image found in manifest list for architecture riscv64", "docker://r/y:x",
			SPLITFD_ERROR_NOT_FOUND },
		{ "creating temp directory: mkdir /x/oci1: no such file or directory",
			"oci-archive:/open a/b", SPLITFD_ERROR_FAILED },
		{ "dial unix /open /docker.sock: connect: no such file or directory",
			"docker-daemon:x:y", SPLITFD_ERROR_FAILED },
		{ "open /x/index.json: no such file or directory", "oci:/x",
			SPLITFD_ERROR_NOT_FOUND },
		{ "open /tmp/oci1/index.json: no such file or directory", "oci-archive:/x",
			SPLITFD_ERROR_REFUSED },
		{ "untarring file \"/tmp/oci1\": write /tmp/oci1/b: no space left on device",
			"oci-archive:/x", SPLITFD_ERROR_FAILED },
		{ "happened during read: unexpected EOF", "docker://r/y:x", SPLITFD_ERROR_FAILED },
		{ "happened during read: unexpected EOF", NULL, SPLITFD_ERROR_FAILED },
		{ "unexpected EOF", "dir:/x", SPLITFD_ERROR_REFUSED },
		{ "", NULL, SPLITFD_ERROR_FAILED },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CHECK_INT(sfd_skopeo_kind(cases[i].text, cases[i].reference), cases[i].kind);
}
