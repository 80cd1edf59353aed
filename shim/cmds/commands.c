/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/cmds/commands.h"

/* One declaration and one row for each cmd-NAME.c. */
extern const struct sfd_command sfd_cmd_pull;
extern const struct sfd_command sfd_cmd_push;
extern const struct sfd_command sfd_cmd_init;
extern const struct sfd_command sfd_cmd_images;
extern const struct sfd_command sfd_cmd_inspect;
extern const struct sfd_command sfd_cmd_layers;
extern const struct sfd_command sfd_cmd_fsck;
extern const struct sfd_command sfd_cmd_mount;
extern const struct sfd_command sfd_cmd_umount;
extern const struct sfd_command sfd_cmd_dump;
extern const struct sfd_command sfd_cmd_compute_id;
extern const struct sfd_command sfd_cmd_get_layer;
extern const struct sfd_command sfd_cmd_import_layer;
extern const struct sfd_command sfd_cmd_stream;
extern const struct sfd_command sfd_cmd_proxy;
extern const struct sfd_command sfd_cmd_serve;
extern const struct sfd_command sfd_cmd_rootless_opener;

/* In the order of --help. */
const struct sfd_command *const sfd_commands[] = {
	&sfd_cmd_pull,
	&sfd_cmd_push,
	&sfd_cmd_init,
	&sfd_cmd_images,
	&sfd_cmd_inspect,
	&sfd_cmd_layers,
	&sfd_cmd_fsck,
	&sfd_cmd_mount,
	&sfd_cmd_umount,
	&sfd_cmd_dump,
	&sfd_cmd_compute_id,
	&sfd_cmd_get_layer,
	&sfd_cmd_import_layer,
	&sfd_cmd_stream,
	&sfd_cmd_proxy,
	&sfd_cmd_serve,
	&sfd_cmd_rootless_opener,
	NULL,
};

const size_t sfd_n_commands = sizeof(sfd_commands) / sizeof(sfd_commands[0]) - 1;
