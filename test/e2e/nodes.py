# SPDX-License-Identifier: MIT
"""Clusters of several trackers and storages, ours and FastDFS's.

`Nodes(trackers=["ours", "stock"], storages=["ours", "stock"])` gives each node
a loopback address of its own or, with namespaces=True, a network namespace of
its own, where FastDFS's trackers find each other and the network can fail.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import harness
import netns
import wire
from harness import NETWORK, Storage, Tracker, wait_until

QUICK_TRACKER = {"check_active_interval": 4, "storage_sync_file_max_delay":
                 86400, "storage_sync_file_max_time": 300}
QUICK_STORAGE = {"sync_wait_msec": 10, "write_mark_file_freq": 50}


def needs_stock():
    """Mark of a test in which FastDFS's own daemons take part."""
    there = harness.stock_program("fdfs_storaged") and \
        harness.stock_program("fdfs_trackerd")
    return pytest.mark.skipif(
        not there, reason="needs fdfs_trackerd and fdfs_storaged of FastDFS "
                          "(FDFS_STOCK_BIN)")


def needs_namespaces():
    why = netns.missing()
    return pytest.mark.skipif(why is not None, reason=str(why))


def programs_of(kind):
    if kind == "ours":
        return harness.OURS
    return (harness.stock_program("fdfs_trackerd"),
            harness.stock_program("fdfs_storaged"))


class Nodes(harness.Cluster):
    """T trackers and S storages; groups[i] is the group of storage i."""

    def __init__(self, name="nodes", trackers=("ours",), storages=("ours",),
                 groups=None, paths=1, namespaces=False, tracker=None,
                 storage=None, spare=2):
        self.dir = Path(tempfile.mkdtemp(
            prefix=f"fdfs-e2e-{name}-", dir=os.environ.get("FDFS_E2E_TMP")))
        self.failed = False
        self.network = netns.Namespaces(
            len(trackers) + len(storages) + spare) if namespaces else None
        self.net = self.network.net if namespaces else NETWORK.subnet()
        self.daemons = []
        self.trackers = []
        self.storages = []
        self.paths = paths
        self.tracker_conf = {**QUICK_TRACKER, **(tracker or {})}
        self.storage_conf = {**QUICK_STORAGE, **(storage or {})}
        self.port = NETWORK.port("127.0.0.1")
        for kind in trackers:
            self.add_tracker(kind)
        for i, kind in enumerate(storages):
            self.add_storage(kind, groups[i] if groups else "group1")

    def _place(self, first, others):
        if self.network:
            return self.network.node()
        return f"{self.net}.{first + len(others)}", None

    def add_tracker(self, kind, **extra):
        ip, space = self._place(2, self.trackers)
        node = Tracker(programs_of(kind)[0],
                       self.dir / f"tracker{len(self.trackers) + 1}",
                       (ip, self.port + 1), {**self.tracker_conf, **extra})
        node.netns = space
        self.trackers.append(node)
        self.daemons.append(node)
        return node

    def add_storage(self, kind, group="group1", **extra):
        ip, space = self._place(101, self.storages)
        node = Storage(programs_of(kind)[1],
                       self.dir / f"storage{len(self.storages) + 1}",
                       (ip, self.port), list(self.trackers), self.paths,
                       {**self.storage_conf, "group_name": group, **extra})
        node.netns = space
        self.storages.append(node)
        self.daemons.append(node)
        return node

    @property
    def tracker(self):
        return self.trackers[0]

    def start(self):
        for node in self.trackers:
            node.start(30)
        for node in self.storages:
            node.start(30, active=False)
        self.wait_active()
        wait_until(self._led, 30, "the trackers agree who leads")
        return self

    def _led(self):
        return self.leader() is not None

    def leader(self):
        """The tracker that all running ones name; None when they differ."""
        said = set()
        for node in self.trackers:
            if not node.alive():
                continue
            try:
                with node.connect(3) as conn:
                    answer = conn.call(wire.GET_LEADER)
            except (OSError, wire.Closed):
                return None
            said.add(answer.body.decode())
        if len(said) != 1:
            return None
        address = said.pop()
        return next((t for t in self.trackers
                     if "%s:%d" % t.address == address), None)

    def wait_active(self, deadline=60, storages=None, trackers=None):
        """Until every running tracker says ACTIVE of every storage."""
        for tracker in trackers or [t for t in self.trackers if t.alive()]:
            for node in storages or self.storages:
                wait_until(lambda t=tracker, s=node: s.active(t), deadline,
                           f"{tracker.base.name} says {node.base.name} "
                           "is ACTIVE")

    def members(self, group="group1"):
        return [s for s in self.storages if s.group == group]

    def close(self):
        # All at once: a peer that has gone must not keep another waiting.
        for daemon in self.daemons:
            if daemon.alive():
                daemon.signal(signal.SIGCONT)
                daemon.signal(signal.SIGTERM)
        for daemon in self.daemons:
            self._end(daemon)
        if self.network:
            self.network.close()
        if self.failed or os.environ.get("FDFS_E2E_KEEP"):
            print(f"\nkept for a look: {self.dir}", file=sys.stderr)
        else:
            shutil.rmtree(self.dir, ignore_errors=True)

    def _end(self, daemon):
        if daemon.process is None:
            return
        try:
            daemon.process.wait(15)
        except subprocess.TimeoutExpired:
            print(f"{daemon.base} did not end within 15 s", file=sys.stderr)
            self.failed = self.failed or not daemon.is_stock
            daemon.kill()

    def client_conf(self):
        path = self.dir / "client.conf"
        servers = "".join("tracker_server = %s:%d\n" % t.address
                          for t in self.trackers)
        path.write_text(f"{servers}base_path = {self.dir}\n")
        return str(path)

    def client_env(self):
        servers = ",".join("%s:%d" % t.address for t in self.trackers)
        return dict(os.environ, FDFS_TRACKERS=servers, HOME=str(self.dir),
                    LC_ALL="C.UTF-8", TZ="UTC")

    def monitor(self):
        """What FastDFS's own fdfs_monitor shows of each storage, by its
        address: a dict of its lines."""
        out = subprocess.run(
            [harness.stock_program("fdfs_monitor"), self.client_conf()],
            capture_output=True, text=True, timeout=20, check=True,
            env=harness.stock_env()).stdout
        found = {}
        for part in re.split(r"\n\s*Storage \d+:\n", out)[1:]:
            rows = dict(re.findall(r"^\s*([\w. ]+?) = (.*?)\s*$", part,
                                   re.M))
            address, status = rows["host"].split()[:2]
            found[address.split(":")[0]] = {**rows, "status": status}
        return found
