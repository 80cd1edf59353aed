#!/usr/bin/env python3
"""Prints what tests/bench/measure noted: table.py TITLE NAME=FILE [NAME=FILE]…

One row for each file: medians of wall, user and system time and of the peak resident size, the
spread of the wall time, and how many times faster and smaller the first one is. The first is ours.
"""
import statistics
import sys


def main():
    title, rows = sys.argv[1], [a.split("=", 1) for a in sys.argv[2:]]
    print(f"\n{title}")
    print(f"  {'':<26}{'wall s':>9}{'min':>8}{'max':>8}{'user':>8}{'sys':>8}{'RSS MiB':>9}{'ratio':>8}{'RSS':>7}")
    first = None
    medians = {}
    for name, path in rows:
        with open(path) as f:
            runs = [[float(x) for x in line.split()] for line in f]
        wall, user, system, rss = (statistics.median(c) for c in zip(*runs))
        first = first or (wall, rss)
        medians[name] = wall
        walls = [r[0] for r in runs]
        print(f"  {name:<26}{wall:>9.3f}{min(walls):>8.3f}{max(walls):>8.3f}{user:>8.2f}{system:>8.2f}"
              f"{rss / 1024:>9.1f}{wall / first[0]:>7.2f}x{rss / first[1]:>6.2f}x")
    if "splitfd" in medians and "splitfd-no-image" in medians:
        share = medians["splitfd"] - medians["splitfd-no-image"]
        print(f"  the EROFS image's share: {share:.3f} s, {100 * share / medians['splitfd']:.0f} % of splitfd")


main()
