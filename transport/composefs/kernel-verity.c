/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/kernel-verity.h"

#include <errno.h>
#include <linux/fsverity.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

/* A forked child of another thread can hold the writing descriptor for a moment. */
#define BUSY_TRIES   50
#define BUSY_WAIT_NS 2000000L

int sfd_kernel_verity_enable(int fd, enum splitfd_algorithm algorithm)
{
	struct fsverity_enable_arg arg = {
		.version = 1, .hash_algorithm = (uint32_t)algorithm, .block_size = 4096
	};
	const struct timespec wait = { .tv_nsec = BUSY_WAIT_NS };

	for (int i = 0;; i++) {
		if (ioctl(fd, FS_IOC_ENABLE_VERITY, &arg) == 0 || errno == EEXIST)
			return 0;
		if (errno == ENOTTY)
			return -EOPNOTSUPP;
		if ((errno != ETXTBSY && errno != EINTR) || i == BUSY_TRIES)
			return -errno;
		nanosleep(&wait, NULL);
	}
}

int sfd_kernel_verity_measure(int fd, enum splitfd_algorithm algorithm, struct splitfd_digest *ret)
{
	union {
		struct fsverity_digest digest;
		uint8_t room[sizeof(struct fsverity_digest) + SPLITFD_DIGEST_MAX];
	} m = { .digest = { .digest_size = SPLITFD_DIGEST_MAX } };

	if (ioctl(fd, FS_IOC_MEASURE_VERITY, &m.digest) < 0) {
		if (errno == ENODATA || errno == ENOTTY || errno == EOPNOTSUPP)
			return 0;
		return errno == EOVERFLOW ? -EPROTO : -errno;
	}
	if ((algorithm != 0 && m.digest.digest_algorithm != (uint16_t)algorithm) ||
		m.digest.digest_size > SPLITFD_DIGEST_MAX)
		return -EPROTO;
	*ret = (struct splitfd_digest){ 0 };
	memcpy(ret->bytes, m.room + sizeof(m.digest), m.digest.digest_size);
	ret->size = (uint8_t)m.digest.digest_size;
	return 1;
}
