# SPDX-License-Identifier: MIT
"""Disks that fail and clocks that jump, by ../fault/fail.c preloaded."""

import itertools
import os

from harness import BIN

LIBRARY = BIN.parent / "test" / "fault" / "fail.so"
EIO, ENOSPC = 5, 28


class Faults:
    """What shall fail in the storage; `with faults.on(...)` until the end."""

    serial = itertools.count(1)

    def __init__(self, node):
        self.node = node
        self.control = node.base / "faults"
        self.hits_path = node.base / "faults.hits"
        asan = os.environ.get("ASAN_OPTIONS", "")
        node.env = {"LD_PRELOAD": str(LIBRARY),
                    "FAULT_CONTROL": str(self.control),
                    "ASAN_OPTIONS": f"{asan}:verify_asan_link_order=0"}
        self.off()

    def off(self):
        self._write("nth=0\n")

    def clock(self, seconds):
        """The wall clock of the storage is that much ahead."""
        self._write(f"nth=0\nclock={seconds}\n")

    def on(self, call, errno, nth=1, every=1, where=None, name="", short=0):
        where = where or self.node.paths[0] / "data"
        self.hits_path.unlink(missing_ok=True)
        self._write(f"call={call}\nerrno={errno}\nnth={nth}\nevery={every}\n"
                    f"dir={where}\nname={name}\nshort={short}\n")
        return self

    def _write(self, text):
        fresh = self.control.with_suffix(".new")
        fresh.write_text(text)
        os.utime(fresh, ns=(0, next(self.serial) * 1_000_000))
        fresh.rename(self.control)

    def hits(self):
        try:
            return self.hits_path.read_text().splitlines()
        except FileNotFoundError:
            return []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.off()
