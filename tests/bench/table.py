#!/usr/bin/env python3
"""Prints what tests/bench/measure noted: table.py TITLE NAME=FILE [NAME=FILE]…

One row for each file: medians of wall, user and system time, of the peak resident size and of what
was read (by system calls, and from the disk), the spread of the wall time, and how many times
faster and smaller the first one is. The first is ours; a line says its ratios to the peer and the
floor.
"""
import statistics
import sys

MIB = 1024 * 1024


def main():
    title, rows = sys.argv[1], [a.split("=", 1) for a in sys.argv[2:]]
    print(f"\n{title}")
    print(f"  {'':<20}{'wall s':>9}{'min':>8}{'max':>8}{'user':>8}{'sys':>8}{'RSS MiB':>9}{'read MiB':>10}{'disk':>8}"
          f"{'ratio':>8}{'RSS':>7}")
    first = None
    medians = {}
    for name, path in rows:
        with open(path) as f:
            runs = [[float(x) for x in line.split()] for line in f]
        wall, user, system, rss, read, disk = (statistics.median(c) for c in zip(*runs))
        first = first or (wall, rss)
        medians[name] = wall
        walls = [r[0] for r in runs]
        print(f"  {name:<20}{wall:>9.4f}{min(walls):>8.3f}{max(walls):>8.3f}{user:>8.2f}{system:>8.2f}"
              f"{rss / 1024:>9.1f}{read / MIB:>10.1f}{disk / MIB:>8.1f}{wall / first[0]:>7.2f}x{rss / first[1]:>6.2f}x")
    ours = medians.get("splitfd")
    if ours is None:
        return
    if "splitfd-no-image" in medians:
        share = ours - medians["splitfd-no-image"]
        print(f"  the EROFS image's share: {share:.3f} s, {100 * share / ours:.0f} % of splitfd")
    said = []
    if "cfsctl" in medians:
        said.append(f"{medians['cfsctl'] / ours:.2f} times faster than cfsctl")
    for name in ("floor", "cat"):
        if name in medians:
            said.append(f"{ours / medians[name]:.2f} times the time of {name}")
    if said:
        print(f"  splitfd: {', '.join(said)}")


main()
