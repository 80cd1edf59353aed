# SPDX-License-Identifier: Apache-2.0
"""Records what a file system writes and flushes, and replays it up to any point. The recorder is qemu-storage-daemon:
a disk as a file by FUSE, on which a loop device lies; its log has the layout of the kernel's dm-log-writes."""
import os
import signal
import struct
import subprocess
import time

MAGIC = 0x6A736677736872
SECTOR = 512
FLUSH, FUA, DISCARD = 1, 2, 4
PAGE = 4096


class Recorder:
    """DIRECTORY/data.img with its log; .disk is the device's file while it runs."""

    def __init__(self, directory, base):
        self.directory = directory
        self.data, self.log, self.disk = (os.path.join(directory, n) for n in ("data.img", "log", "disk"))
        subprocess.run(["cp", "--sparse=always", base, self.data], check=True)
        open(self.disk, "wb").close()
        with open(self.log, "wb") as f:
            f.truncate(4 << 30)

    def __enter__(self):
        self.daemon = subprocess.Popen([
            "qemu-storage-daemon",
            "--blockdev", "driver=file,node-name=data,discard=unmap,filename=" + self.data,
            "--blockdev", "driver=file,node-name=log,filename=" + self.log,
            "--blockdev", "driver=blklogwrites,node-name=w,file=data,log=log,log-sector-size=%d" % SECTOR,
            "--export", "type=fuse,id=e,node-name=w,writable=on,allow-other=off,mountpoint=" + self.disk,
        ], stdin=subprocess.DEVNULL)
        size = os.path.getsize(self.data)
        for _ in range(1000):
            if os.path.getsize(self.disk) == size:
                return self
            if self.daemon.poll() is not None:
                break
            time.sleep(0.01)
        raise RuntimeError("qemu-storage-daemon does not export the disk")

    def __exit__(self, *_):
        self.daemon.send_signal(signal.SIGTERM)
        self.daemon.wait(30)


class Entry:
    def __init__(self, position, sector, sectors, flags):
        self.at, self.size, self.flags = sector * SECTOR, sectors * SECTOR, flags
        self.position = position  # of its data in the log


def read_log(path):
    """All entries. The log is sparse: its end is where nothing was written."""
    entries = []
    with open(path, "rb") as f:
        magic, version, _, sector_size = struct.unpack("<QQQI", f.read(28))
        # All zeros before the first flush.
        if (magic, version, sector_size) not in ((MAGIC, 1, SECTOR), (0, 0, 0)):
            raise RuntimeError("%s: not a log of writes" % path)
        position = SECTOR
        while True:
            f.seek(position)
            sector, sectors, flags, _ = struct.unpack("<QQQQ", f.read(32))
            if sectors == 0 and flags == 0:
                return entries
            entries.append(Entry(position + SECTOR, sector, sectors, flags))
            position += SECTOR + (0 if flags & DISCARD else sectors * SECTOR)


class Replay:
    """Images as a power cut leaves them, for points that only grow."""

    def __init__(self, base, log, image):
        self.entries = read_log(log)
        self.log = open(log, "rb")
        self.image, self.done = image, 0
        subprocess.run(["cp", "--sparse=always", base, image], check=True)
        self.file = open(image, "r+b")

    def close(self):
        self.log.close()
        self.file.close()

    def apply(self, target, entry, keep=None):
        if entry.size == 0:
            return
        data = bytes(entry.size)
        if not entry.flags & DISCARD:
            self.log.seek(entry.position)
            data = self.log.read(entry.size)
        for offset in range(0, entry.size, PAGE):
            if keep is None or keep():
                target.seek(entry.at + offset)
                target.write(data[offset:offset + PAGE])

    def cut(self, point, path, probability=None, r=None):
        """The disk after POINT entries. With a probability, each page since the last flush has only that to have
        reached the disk."""
        flushed = max((i + 1 for i in range(point) if self.entries[i].flags & FLUSH), default=0)
        sure = point if probability is None else flushed
        # A later cut may have to be without what this one has.
        for entry in self.entries[self.done:flushed]:
            self.apply(self.file, entry)
        self.done = max(self.done, flushed)
        self.file.flush()
        subprocess.run(["cp", "--sparse=always", self.image, path], check=True)
        with open(path, "r+b") as f:
            for i in range(flushed, point):
                self.apply(f, self.entries[i], None if i < sure else lambda: r.random() < probability)
