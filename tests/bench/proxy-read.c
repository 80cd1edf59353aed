/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other end of a pipe in the bench of the proxy: reads descriptor N to the end, or so many
 * bytes, and only reads. proxy-read FD BYTES
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	static char buffer[1024 * 1024];
	int fd = argc == 3 ? atoi(argv[1]) : 0;
	uint64_t left = argc == 3 ? strtoull(argv[2], NULL, 10) : UINT64_MAX;

	while (left > 0) {
		ssize_t n = read(fd, buffer, left < sizeof(buffer) ? (size_t)left : sizeof(buffer));

		if (n < 0) {
			perror("proxy-read");
			return 1;
		}
		if (n == 0)
			break;
		left -= (uint64_t)n;
	}
	return left > 0 && left != UINT64_MAX && argc == 3;
}
