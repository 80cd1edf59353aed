#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Changes nine bytes of a file so that its CRC-64 (ISO, as tar-split has it) stays: crc64-forge.py FILE OFFSET

CRC-64 is linear: what is added to a file changes the CRC by what the sum's own CRC is, and that of the polynomial
(65 bits, lowest bit of a byte first) is nothing."""
import sys

POLYNOMIAL = 1 << 64 | 1 << 4 | 1 << 3 | 1 << 1 | 1


def crc64(data):
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0xD800000000000000 if byte & 1 else 0)
        table.append(byte)
    crc = (1 << 64) - 1
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ (1 << 64) - 1


def main():
    path, offset = sys.argv[1], int(sys.argv[2])
    with open(path, "r+b") as f:
        data = bytearray(f.read())
        before, wanted = bytes(data), crc64(data)
        assert offset + 9 <= len(data)
        # The highest power comes first.
        for bit in range(65):
            if POLYNOMIAL >> (64 - bit) & 1:
                data[offset + bit // 8] ^= 1 << bit % 8
        assert bytes(data) != before and crc64(data) == wanted
        f.seek(0)
        f.write(data)


main()
