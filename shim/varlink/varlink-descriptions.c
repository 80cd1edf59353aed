/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/varlink/varlink-descriptions.h"

const char sfd_varlink_service_description[] =
	"# What every varlink service has\n"
	"interface org.varlink.service\n"
	"\n"
	"method GetInfo() -> (vendor: string, product: string, version: string, url: string, "
	"interfaces: []string)\n"
	"method GetInterfaceDescription(interface: string) -> (description: string)\n"
	"\n"
	"error InterfaceNotFound (interface: string)\n"
	"error MethodNotFound (method: string)\n"
	"error MethodNotImplemented (method: string)\n"
	"error InvalidParameter (parameter: string)\n"
	"error PermissionDenied ()\n"
	"error ExpectedMore ()\n";

#define OCI_READ                                                                                   \
	"# What this service can do: \"splitdirfdstream-v0\" and more\n"                           \
	"method GetInfo() -> (features: []string)\n"                                               \
	"\n"                                                                                       \
	"# Images with a name; `filter` is a part of the name\n"                                   \
	"method ListImages(handle: int, filter: ?string) -> (images: [](name: string, "            \
	"manifest_digest: string, is_container: bool, architecture: string, os: string, "          \
	"created: ?string, layer_count: int, referrer_count: int))\n"                              \
	"\n"                                                                                       \
	"# Manifest and config as they are stored\n"                                               \
	"method Inspect(handle: int, image: string) -> (manifest: string, config: string, "        \
	"referrers: []string, composefs_erofs: ?string, composefs_boot_erofs: ?string)\n"          \
	"\n"                                                                                       \
	"method HasLayer(handle: int, diff_id: string) -> (present: bool, "                        \
	"layer_verity: ?string)\n"                                                                 \
	"\n"                                                                                       \
	"# The layer as splitdirfdstream. Descriptors, over all frames: the stream, dir_count\n"   \
	"# directories, and what is to be kept open until all files were opened\n"                 \
	"method GetLayer(handle: int, params: (diff_id: ?string, storage: ?(storage_path: "        \
	"string, layer_id: string), consumer_has_cap_dac_override: bool)) -> (dir_count: int)\n"

#define OCI_WRITE                                                                                  \
	"\n"                                                                                       \
	"# The layer of a splitdirfdstream. Descriptors: the stream, then its directories\n"       \
	"method PutLayer(handle: int, diff_id: string, zerocopy: bool) -> (layer_verity: string, " \
	"already_present: bool, objects_reflinked: int, objects_hardlinked: int, "                 \
	"objects_copied: int, objects_already_present: int)\n"                                     \
	"\n"                                                                                       \
	"# Manifest and config of layers that are there, the EROFS image, and the tag\n"           \
	"method FinalizeImage(handle: int, manifest_json: string, config_json: string, "           \
	"layers: [](diff_id: string, layer_verity: string), name: ?string) -> "                    \
	"(manifest_digest: string, manifest_verity: string, config_digest: string, "               \
	"config_verity: string)\n"                                                                 \
	"\n"                                                                                       \
	"method Tag(handle: int, manifest_digest: string, name: string) -> ()\n"                   \
	"method Untag(handle: int, name: string) -> ()\n"                                          \
	"\n"                                                                                       \
	"method Check(handle: int, image: ?string) -> (ok: bool, images_checked: int, "            \
	"images_corrupted: int, errors: []string, repo: (ok: bool, has_metadata: bool, "           \
	"objects_checked: int, objects_corrupted: int, streams_checked: int, "                     \
	"streams_corrupted: int, images_checked: int, images_corrupted: int, broken_links: int, "  \
	"missing_objects: int, errors: []string))\n"                                               \
	"\n"                                                                                       \
	"method ComputeId(handle: int, image: string, verity: ?string, bootable: bool, "           \
	"xattrs: ?(AllowlistOnly, KeepUserXattrs)) -> (image_id: string)\n"                        \
	"\n"                                                                                       \
	"# Each answer has one member; `completed` is the last one, and without `more` the only\n" \
	"# one. For root and the service's own user. No boot image is made\n"                      \
	"method Pull(handle: int, image: string, name: ?string, local_fetch: string, "             \
	"storage_root: ?string, bootable: bool, xattrs: ?(AllowlistOnly, KeepUserXattrs), "        \
	"expected_digest: ?string) -> (started: ?(id: string, total: ?int, "                       \
	"unit: (Bytes, Items)), progress: ?(id: string, fetched: int, total: ?int), "              \
	"skipped: ?(id: string), done: ?(id: string, transferred: int), message: ?string, "        \
	"completed: ?(manifest_digest: string, config_digest: string, manifest_verity: string, "   \
	"config_verity: string, stats: string, boot_image: ?string, boot_image_mode: ?string, "    \
	"boot_image_format_version: ?string))\n"                                                   \
	"\n"                                                                                       \
	"# Not implemented\n"                                                                      \
	"method OciMount(handle: int, image: string, bootable: bool, options: (overlay: ?bool, "   \
	"read_write: ?bool)) -> (fd_index: int)\n"

#define OCI_ERRORS                                                                                 \
	"\n"                                                                                       \
	"error RepoNotFound (message: string)\n"                                                   \
	"error InvalidHandle (handle: int)\n"                                                      \
	"error NoSuchImage (image: string)\n"                                                      \
	"error InternalError (message: string)\n"                                                  \
	"error NoSuchLayer (diff_id: string)\n"                                                    \
	"error InvalidDigest (message: string)\n"                                                  \
	"error DiffIdMismatch (expected: string, actual: string)\n"                                \
	"error InvalidRequest (message: string)\n"                                                 \
	"error FdLimitExceeded (fd_count: int, max_per_frame: int)\n"                              \
	"error BootImageMismatch (expected: string, tried: int)\n"

const char sfd_varlink_oci_store_description[] = "# Layers of a containers-storage store\n"
						 "interface org.composefs.Oci\n"
						 "\n" OCI_READ OCI_ERRORS;

const char sfd_varlink_oci_description[] = "# Images of a composefs repository\n"
					   "interface org.composefs.Oci\n"
					   "\n" OCI_READ OCI_WRITE OCI_ERRORS;

const char sfd_varlink_repository_description[] =
	"# A composefs repository\n"
	"interface org.composefs.Repository\n"
	"\n"
	"method InitRepository(path: string, algorithm: ?string, insecure: ?bool) -> "
	"(created: bool)\n"
	"method OpenRepository(path: ?string, user: ?bool, system: ?bool) -> (handle: int, "
	"hash_algorithm: ?string, objects_device_id: ?int)\n"
	"method CloseRepository(handle: int) -> ()\n"
	"method Fsck(handle: int, metadata_only: ?bool) -> (ok: bool, has_metadata: bool, "
	"objects_checked: int, objects_corrupted: int, streams_checked: int, "
	"streams_corrupted: int, images_checked: int, images_corrupted: int, broken_links: int, "
	"missing_objects: int, errors: []string)\n"
	"\n"
	"# What an EROFS image refers to, by its digest or by a name of ListImageRefs\n"
	"method ImageObjects(handle: int, name: string) -> (object_ids: []string)\n"
	"method ListImageRefs(handle: int) -> (images: [](name: string, digest: string))\n"
	"\n"
	"# Opened or Created; a repository without meta.json is not Upgraded\n"
	"method EnsureRepository(path: string, algorithm: ?string, insecure: ?bool) -> "
	"(status: (Opened, Created, Upgraded))\n"
	"# Not implemented\n"
	"method Gc(handle: int, dry_run: bool, roots: []string) -> (result: (objects_removed: int, "
	"objects_bytes: int, images_pruned: int, streams_pruned: int), dry_run: bool)\n"
	"# Not implemented\n"
	"method Mount(handle: int, name: string, options: (overlay: ?bool, read_write: ?bool)) -> "
	"(fd_index: int)\n"
	"\n"
	"error RepoNotFound (message: string)\n"
	"error InvalidHandle (handle: int)\n"
	"error InvalidSpec (message: string)\n"
	"error NoSuchRef (reference: string)\n"
	"error InternalError (message: string)\n";
