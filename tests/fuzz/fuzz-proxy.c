/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image proxy's requests: each line is a packet. All of them wait in the socket, so that the
 * server runs in this thread until it has read them, or said why it does not. Every answer is one
 * JSON object of bounded size; where there is no policy, no image is opened.
 */
#include "shim/proxy/proxy-serve.h"
#include "transport/json/go-json.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Their answers fit into the socket. */
#define PACKETS_MAX 6

static void send_packets(int socket, const uint8_t *data, size_t size)
{
	for (int i = 0; i < PACKETS_MAX && size > 0; i++) {
		const uint8_t *end = memchr(data, '\n', size);
		size_t n = end != NULL ? (size_t)(end - data) : size;

		if (n > 0 && send(socket, data, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			break;
		n += end != NULL;
		data += n;
		size -= n;
	}
	assert(shutdown(socket, SHUT_WR) == 0);
}

static void check_answers(int socket)
{
	static char packet[SFD_PROXY_REPLY_MAX + 1];
	ssize_t n;

	while ((n = recv(socket, packet, sizeof(packet), MSG_DONTWAIT | MSG_TRUNC)) > 0) {
		cJSON *json = NULL;

		assert((size_t)n <= SFD_PROXY_REPLY_MAX);
		assert(sfd_json_parse(packet, (size_t)n, &json) == 0 && json != NULL);
		assert(cJSON_IsBool(cJSON_GetObjectItemCaseSensitive(json, "success")));
		cJSON_Delete(json);
	}
}

/* Nothing of this machine is looked at. */
static void set_environment(void)
{
	static const char *const names[] = { "HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME",
		"XDG_RUNTIME_DIR", "CONTAINERS_REGISTRIES_CONF" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert(setenv(names[i], "/nonexistent", 1) == 0);
	assert(setenv("CONTAINERS_STORAGE_CONF", "/dev/null", 1) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const no_arguments[] = { NULL };
	struct sfd_proxy_settings settings = { .announce = SFD_PROXY_PROTOCOL,
		.skopeo = "/nonexistent/skopeo",
		.policy = "/nonexistent/policy.json",
		.stall_ms = 1000,
		.arguments = no_arguments };
	struct splitfd_error err = { 0 };
	int pair[2];

	set_environment();
	assert(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	settings.socket = pair[0];
	settings.cancel_fd = eventfd(0, EFD_CLOEXEC);
	assert(settings.cancel_fd >= 0);
	send_packets(pair[1], data, size);
	if (sfd_proxy_serve(&settings, &err) < 0)
		assert(err.text[0] != '\0');
	check_answers(pair[1]);
	close(pair[0]);
	close(pair[1]);
	close(settings.cancel_fd);
	return 0;
}
