#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Turns `tmux capture-pane -e -p` (text with SGR escapes) on stdin into an SVG
picture on stdout: the picture in the README is a real screen."""

import re
import sys
import unicodedata
from html import escape

CELL_W, CELL_H, PAD = 8.4, 18, 12
BACK, FORE = "#10151b", "#d3dae3"
COLORS = ["#3b4652", "#e5484d", "#46a758", "#e2a336", "#3e8ede", "#b07bd8",
          "#3fb0b5", "#d3dae3"]
BRIGHT = ["#6f7d8c", "#ff6369", "#63c174", "#ffc14d", "#6cb0f5", "#cf9df2",
          "#62d0d5", "#ffffff"]


def color_256(n):
    if n < 8:
        return COLORS[n]
    if n < 16:
        return BRIGHT[n - 8]
    if n >= 232:
        v = 8 + (n - 232) * 10
        return f"#{v:02x}{v:02x}{v:02x}"
    n -= 16
    steps = [0, 95, 135, 175, 215, 255]
    return "#%02x%02x%02x" % (steps[n // 36], steps[n // 6 % 6], steps[n % 6])


class Style:
    def __init__(self):
        self.reset()

    def reset(self):
        self.fg, self.bg = None, None
        self.bold = self.dim = self.under = self.rev = False

    def apply(self, codes):
        codes = [int(c or 0) for c in codes.split(";")] if codes else [0]
        while codes:
            c = codes.pop(0)
            if c == 0:
                self.reset()
            elif c in (1, 2, 4, 7):
                setattr(self, {1: "bold", 2: "dim", 4: "under",
                               7: "rev"}[c], True)
            elif c == 22:
                self.bold = self.dim = False
            elif c == 24:
                self.under = False
            elif c == 27:
                self.rev = False
            elif c in (38, 48) and codes[:1] == [5]:
                value = color_256(codes[1])
                codes = codes[2:]
                setattr(self, "fg" if c == 38 else "bg", value)
            elif c == 39:
                self.fg = None
            elif c == 49:
                self.bg = None
            elif 30 <= c <= 37:
                self.fg = COLORS[c - 30]
            elif 40 <= c <= 47:
                self.bg = COLORS[c - 40]
            elif 90 <= c <= 97:
                self.fg = BRIGHT[c - 90]
            elif 100 <= c <= 107:
                self.bg = BRIGHT[c - 100]

    def colors(self):
        fg, bg = self.fg or FORE, self.bg or BACK
        return (bg, fg) if self.rev else (fg, bg)


def width(ch):
    if unicodedata.combining(ch):
        return 0
    return 2 if unicodedata.east_asian_width(ch) in "WF" else 1


def runs(line, style):
    """(column, text, cells) of equal style."""
    col = 0
    for part in re.split(r"(\x1b\[[0-9;]*m)", line):
        if part.startswith("\x1b["):
            style.apply(part[2:-1])
        elif part:
            cells = sum(width(c) for c in part)
            yield col, part, cells
            col += cells


def main():
    lines = sys.stdin.read().rstrip("\n").split("\n")
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", ln) for ln in lines]
    cols = max(sum(width(c) for c in ln) for ln in plain)
    w, h = cols * CELL_W + 2 * PAD, len(lines) * CELL_H + 2 * PAD
    print(f'<svg xmlns="http://www.w3.org/2000/svg" width="{w:.0f}" '
          f'height="{h:.0f}" font-family="DejaVu Sans Mono,Menlo,Consolas,'
          f'monospace" font-size="14" xml:space="preserve">')
    print(f'<rect width="100%" height="100%" rx="8" fill="{BACK}"/>')
    style = Style()
    for row, line in enumerate(lines):
        y = PAD + row * CELL_H
        for col, text, cells in runs(line, style):
            fg, bg = style.colors()
            x, tw = PAD + col * CELL_W, cells * CELL_W
            if bg != BACK:
                print(f'<rect x="{x:.1f}" y="{y}" width="{tw:.1f}" '
                      f'height="{CELL_H}" fill="{bg}"/>')
            if not text.strip():
                continue
            more = ' font-weight="bold"' if style.bold else ""
            more += ' opacity="0.6"' if style.dim else ""
            more += ' text-decoration="underline"' if style.under else ""
            print(f'<text x="{x:.1f}" y="{y + 14}" textLength="{tw:.1f}" '
                  f'lengthAdjust="spacingAndGlyphs" fill="{fg}"{more}>'
                  f'{escape(text)}</text>')
    print("</svg>")


main()
