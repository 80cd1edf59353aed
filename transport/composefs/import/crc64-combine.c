/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/import/crc64-combine.h"

/* The polynomial, reflected: bit 63 is x^0. */
#define POLYNOMIAL 0xd800000000000000U
#define ONE	   0x8000000000000000U

/* a * b modulo the polynomial, over GF(2). */
static uint64_t multiply(uint64_t a, uint64_t b)
{
	uint64_t product = 0;

	for (uint64_t bit = ONE; bit != 0; bit >>= 1) {
		if ((a & bit) != 0)
			product ^= b;
		b = (b & 1) != 0 ? (b >> 1) ^ POLYNOMIAL : b >> 1;
	}
	return product;
}

uint64_t sfd_crc64_combine(uint64_t crc_a, uint64_t crc_b, uint64_t len_b)
{
	uint64_t shift = ONE, power = ONE >> 8; /* x^8: one byte */

	for (uint64_t n = len_b; n != 0; n >>= 1) {
		if ((n & 1) != 0)
			shift = multiply(shift, power);
		power = multiply(power, power);
	}
	return multiply(shift, crc_a) ^ crc_b;
}
