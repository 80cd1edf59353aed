#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Takes the ELF kernel out of a bzImage: vmlinux.py BZIMAGE OUT. The kernel's own decompressor takes seconds in an
emulated processor. The offsets are those of the kernel's Documentation/arch/x86/boot.rst, protocol 2.08."""
import struct
import subprocess
import sys

PROGRAMS = {b"\x1f\x8b": "gzip", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"\x02\x21\x4c\x18": "lz4"}

with open(sys.argv[1], "rb") as f:
    image = f.read()
if image[0x202:0x206] != b"HdrS" or struct.unpack_from("<H", image, 0x206)[0] < 0x208:
    sys.exit("vmlinux.py: not a bzImage with a payload")
sectors = image[0x1F1] or 4
offset, length = struct.unpack_from("<II", image, 0x248)
payload = image[(sectors + 1) * 512 + offset:][:length]
program = next((p for magic, p in PROGRAMS.items() if payload.startswith(magic)), None)
if program is None:
    sys.exit("vmlinux.py: unknown compression %s" % payload[:6].hex())
if program != "gzip":
    payload = payload[:-4]  # the size, which the kernel's build adds
out = subprocess.run([program, "-dc"], input=payload, stdout=subprocess.PIPE, check=True).stdout
if not out.startswith(b"\x7fELF"):
    sys.exit("vmlinux.py: the payload is not ELF")
with open(sys.argv[2], "wb") as f:
    f.write(out)
