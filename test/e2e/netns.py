# SPDX-License-Identifier: MIT
"""A network of namespaces, carried by ../fault/switch.c: packets between any
two nodes can be delayed or cut. Nothing of it outlives this process."""

import os
import random
import subprocess
import time
from pathlib import Path

from harness import BIN

SWITCH = BIN.parent / "test" / "fault" / "switch"


def missing():
    """Why there can be no such network here; None when there can."""
    if not SWITCH.exists():
        return "no switch: make fault-lib"
    if os.geteuid() != 0:
        return "network namespaces need root"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "no /dev/net/tun"
    return None


def _used_networks():
    """The first 24 bits of the destinations of all routes of this host."""
    rows = Path("/proc/net/route").read_text().splitlines()[1:]
    return {int.from_bytes(bytes.fromhex(row.split()[1])[::-1], "big") >> 8
            for row in rows}


class Namespaces:
    """Nodes 1.. with the addresses <net>.1 ...; we are <net>.254."""

    def __init__(self, nodes):
        rng = random.Random(os.getpid() * 7919 + time.time_ns())
        used = _used_networks()
        while True:
            high, low = rng.randint(64, 127), rng.randint(0, 255)
            if (10 << 16 | high << 8 | low) not in used:
                break
        self.net = f"10.{high}.{low}"
        self.process = subprocess.Popen(
            [str(SWITCH), self.net, str(nodes)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)
        words = self.process.stdout.readline().split()
        assert len(words) == nodes + 1, "the switch did not start"
        self.paths = [f"/proc/{words[0]}/fd/{fd}" for fd in words[1:]]
        self.taken = 0

    def node(self):
        """Another node: (address, path of its namespace)."""
        self.taken += 1
        return f"{self.net}.{self.taken}", self.paths[self.taken - 1]

    def _order(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer == "ok\n", f"the switch says {answer!r} to {text!r}"

    @staticmethod
    def _number(daemon):
        return 254 if daemon is None else daemon.address[0].split(".")[-1]

    def cut(self, one, other):
        """No packet passes between two daemons (None: this process)."""
        self._order(f"cut {self._number(one)} {self._number(other)}")

    def delay(self, one, other, milliseconds):
        self._order(f"delay {self._number(one)} {self._number(other)} "
                    f"{milliseconds}")

    def heal(self, one, other):
        self._order(f"heal {self._number(one)} {self._number(other)}")

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()
