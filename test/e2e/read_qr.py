#!/usr/bin/python3
"""Reads the QR code that `dunlin token create --qr` printed, as a camera would: standard input is
what the terminal was sent, standard output the text in the code. With --invert it sees the screen
of a terminal that ignores colours and is dark."""
import re
import sys

import zbar

MODULE = 4  # pixels
HALVES = {" ": (255, 255), "\u2580": (0, 255), "\u2584": (255, 0), "\u2588": (0, 0)}


def main():
    lines = [re.sub("\033\\[[0-9;]*m", "", line.rstrip("\n")) for line in sys.stdin]
    lines = [line for line in lines if line and all(c in HALVES for c in line)]
    rows = [[HALVES[c][half] for c in line] for line in lines for half in (0, 1)]
    if "--invert" in sys.argv:
        rows = [[255 - p for p in row] for row in rows]
    pixels = bytes(p for row in rows for _ in range(MODULE) for p in row for _ in range(MODULE))
    picture = zbar.Image(len(rows[0]) * MODULE, len(rows) * MODULE, "Y800", pixels)
    zbar.ImageScanner().scan(picture)
    found = list(picture)
    if len(found) != 1 or str(found[0].type) != "QRCODE":
        sys.exit(f"{len(found)} codes in a picture of {len(rows[0])} x {len(rows)} modules")
    print(found[0].data)


main()
