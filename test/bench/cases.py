# SPDX-License-Identifier: MIT
"""The scenario table: what is measured, and what we aim at.

An aim is a ratio against the reference daemons in the same run: `rate` is the
least ratio of operations per second, `cpu` the most of CPU time per operation.
The order matters on some file systems: ext4 without a journal makes new files
slowly for minutes after many were removed, so what removes files comes last.
"""

from dataclasses import dataclass

STORAGE = "storage"
TRACKER = "tracker"
BOTH = "both"


@dataclass(frozen=True)
class Case:
    """One row. `count` bounds a run besides its time (quick, full)."""

    what: str
    connections: int
    options: str
    rate: float = None
    cpu: float = None
    count: tuple = (0, 0)
    daemons: str = STORAGE
    durable: bool = False  # measured with durability = full too
    timed: bool = True  # False: ends by count alone

    @property
    def name(self):
        return f"{self.what} ({self.connections})"


CASES = (
    Case("upload 1 KiB", 64, "--op upload --size 1k", 1.4, 0.6,
         durable=True),
    Case("upload 4 KiB", 1, "--op upload --size 4k", 1.0, 0.5,
         durable=True),
    Case("upload 4 KiB", 64, "--op upload --size 4k", 1.5, 0.5,
         durable=True),
    Case("upload 64 KiB", 16, "--op upload --size 64k", 4.0,
         count=(15000, 40000), durable=True),
    Case("upload 1 MiB", 16, "--op upload --size 1m", 6.0,
         count=(1000, 3000), durable=True),
    Case("upload 64 MiB", 16, "--op upload --size 64m", 5.0,
         count=(16, 48), durable=True, timed=False),
    Case("upload photo mix", 16, "--op upload --mix", 4.0,
         count=(8000, 25000), durable=True),
    Case("upload 4 KiB via tracker", 16,
         "--op upload --size 4k --via-tracker", 1.4, daemons=BOTH),
    Case("upload 4 KiB, new connections", 16,
         "--op upload --size 4k --new-connections"),
    Case("download 4 KiB", 1, "--op download --size 4k --prepare 1000",
         1.2, 0.6),
    Case("download 4 KiB", 64, "--op download --size 4k --prepare 1000",
         1.2, 0.6),
    Case("download 1 MiB", 16, "--op download --size 1m --prepare 100",
         2.5),
    Case("download 64 MiB", 16, "--op download --size 64m --prepare 6",
         1.4),
    Case("file info", 64, "--op info --prepare 1000", 1.1),
    Case("tracker query store", 16, "--op query-store", 1.3, 0.7,
         daemons=TRACKER),
    Case("tracker query fetch", 16, "--op query-fetch --prepare 100", 1.3,
         0.7, daemons=TRACKER),
    Case("append 1 KiB", 16, "--op append --size 1k"),
    Case("metadata set, new", 16, "--op meta-set --size 1k", 5.0,
         count=(20000, 60000), timed=False),
    Case("metadata get", 16, "--op meta-get --size 1k --prepare 1000",
         1.3),
    Case("mixed 50/45/5 4 KiB", 64,
         "--op mixed --size 4k --prepare 1000", 1.5),
    Case("metadata overwrite", 16,
         "--op meta-overwrite --size 1k --prepare 1000", 5.0),
    Case("delete 4 KiB", 16, "--op delete --size 4k", 1.0,
         count=(20000, 60000), timed=False),
)
