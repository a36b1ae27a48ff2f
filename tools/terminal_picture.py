#!/usr/bin/env python3
"""A screen of a terminal as a PNG: what docs/terminal.png is made with.

  terminal_picture.py SCREEN.txt OUT.png [--columns N] [--rows N] [--size PIXELS] [--title TEXT] [--font FILE]

SCREEN.txt is what `tmux capture-pane -e -p` prints: lines of text with the escape sequences that set colours and
weight. Only those are understood; others are an error. The last --rows lines are drawn. The same input gives the same
picture, given the same font. Needs Pillow and a monospaced font in two weights (Debian: python3-pil fonts-dejavu-core).

How docs/terminal.png was made, from a build folder with the source at ROOT:

  tmux new-session -d -s demo -x 100 -y 30 'WITNESSD_DATADIR=ROOT ./witnessd -c ROOT/witnessd.yaml'
  sleep 62; tmux capture-pane -e -p -t demo > screen.txt
  python3 ROOT/tools/terminal_picture.py screen.txt ROOT/docs/terminal.png
"""

import argparse
import re
import sys

from PIL import Image, ImageDraw, ImageFont

FONTS = "/usr/share/fonts/truetype/dejavu/DejaVuSansMono"
PAPER, INK, BAR = (250, 250, 247), (32, 33, 36), (226, 226, 220)
# The sixteen colours of a light theme; 16 to 255 are the same everywhere.
SIXTEEN = [
    (32, 33, 36), (179, 38, 30), (24, 120, 60), (140, 98, 0), (26, 86, 184), (132, 46, 152), (0, 116, 128), (200, 200, 196),
    (110, 112, 116), (214, 60, 50), (36, 150, 80), (176, 124, 0), (52, 116, 224), (164, 72, 186), (0, 146, 160), (250, 250, 247),
]
ESCAPE = re.compile(r"\x1b\[([0-9;]*)([A-Za-z])")


def colour(n):
    """one of 256"""
    if n < 16:
        return SIXTEEN[n]
    if n < 232:
        n -= 16
        return tuple(55 + 40 * v if v else 0 for v in (n // 36, n // 6 % 6, n % 6))
    return (8 + 10 * (n - 232),) * 3


def read_screen(lines, columns):
    """rows of (character, ink, bold)"""
    rows = []
    ink, bold, dim = INK, False, False
    for number, line in enumerate(lines, 1):
        row, at = [], 0
        while at < len(line):
            m = ESCAPE.match(line, at)
            if not m:
                if line[at] == "\x1b":
                    sys.exit(f"line {number}: an escape sequence that is not understood: {line[at:at + 8]!r}")
                shade = tuple((c + p) // 2 for c, p in zip(ink, PAPER)) if dim else ink
                row.append((line[at], shade, bold))
                at += 1
                continue
            at = m.end()
            if m[2] != "m":
                sys.exit(f"line {number}: an escape sequence that is not understood: {m[0]!r}")
            codes = [int(c or 0) for c in m[1].split(";")]
            while codes:
                c = codes.pop(0)
                if c == 0:
                    ink, bold, dim = INK, False, False
                elif c == 1:
                    bold = True
                elif c == 2:
                    dim = True
                elif c == 22:
                    bold = dim = False
                elif c == 39:
                    ink = INK
                elif c == 38 and codes[:1] == [5] and len(codes) > 1:
                    ink = colour(codes[1])
                    del codes[:2]
                elif 30 <= c <= 37:
                    ink = colour(c - 30)
                elif 90 <= c <= 97:
                    ink = colour(c - 82)
                elif c != 49:
                    sys.exit(f"line {number}: the attribute {c} is not understood")
        rows.append(row[:columns])
    return rows


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("screen")
    p.add_argument("out")
    p.add_argument("--columns", type=int, default=100)
    p.add_argument("--rows", type=int, default=30)
    p.add_argument("--size", type=int, default=15)
    p.add_argument("--title", default="witnessd")
    p.add_argument("--font", default=FONTS, help="path without -Bold.ttf and .ttf")
    a = p.parse_args()

    regular, heavy = (ImageFont.truetype(a.font + w, a.size) for w in (".ttf", "-Bold.ttf"))
    cell_w = round(regular.getlength("M"))
    cell_h = round(a.size * 1.35)
    pad, bar = a.size, round(a.size * 2)
    with open(a.screen, encoding="utf-8") as f:
        lines = f.read().rstrip("\n").split("\n")[-a.rows:]
    rows = read_screen(lines, a.columns)

    image = Image.new("RGB", (a.columns * cell_w + 2 * pad, a.rows * cell_h + 2 * pad + bar), PAPER)
    draw = ImageDraw.Draw(image)
    draw.rectangle([0, 0, image.width, bar], fill=BAR)
    draw.text((image.width // 2, bar // 2), a.title, font=heavy, fill=INK, anchor="mm")
    for y, row in enumerate(rows):
        for x, (c, ink, bold) in enumerate(row):
            if c != " ":
                draw.text((pad + x * cell_w, bar + pad + y * cell_h), c, font=heavy if bold else regular, fill=ink)
    image.save(a.out, optimize=True)


if __name__ == "__main__":
    main()
