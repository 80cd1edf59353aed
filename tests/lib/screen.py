#!/usr/bin/env python3
"""A terminal's screen: reads what was written to it and prints what is left there in the end. On
stderr: how many bars were drawn. Fails where a bar is as wide as the screen: it would wrap.
   screen.py COLUMNS < BYTES"""
import re, sys
columns, screen, bars = int(sys.argv[1]), [""], 0
for piece in re.split(r"(\r?\n|\033\[1A|\033\[2K)", sys.stdin.buffer.read().decode()):
    if piece == "\033[1A":
        screen.pop()
    elif piece == "\033[2K":
        screen[-1] = ""
    elif piece in ("\n", "\r\n"):
        screen.append("")
    elif "\033" in piece:
        sys.exit("unknown escape in %r" % piece)
    else:
        screen[-1] += piece
        if re.match(r"(image|[0-9a-f]{12}) ", piece):
            bars += 1
            if len(piece) >= columns:
                sys.exit("a bar of %d characters wraps at %d columns" % (len(piece), columns))
print("\n".join(screen).rstrip("\n"))
print(bars, file=sys.stderr)
