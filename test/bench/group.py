# SPDX-License-Identifier: MIT
"""One tracker and several storages of one group, for the replication cases."""

import os
import signal
import socket
import struct
import time

from cluster import (STORAGE_CONF, STORAGE_PORT, TRACKER_CONF, TRACKER_PORT,
                     BenchError, Cluster, accepts, ask_store)

ACTIVE = 7
RECORD = 487  # of a storage in the tracker's list


class Group(Cluster):
    """Members start one by one; a member may be told to stand still."""

    def __init__(self, side, directory, name):
        super().__init__(side, "process", directory)
        self.base = os.path.join(directory, f"{side.name}-{name}")
        self.network = self.storage_host.rsplit(".", 1)[0]
        self.members = 0

    def start(self, members=2):
        os.makedirs(self.base)
        self._spawn("tracker", self.side.tracker, TRACKER_CONF,
                    self._names(0))
        self._wait("tracker", lambda: accepts(self.tracker_host,
                                              TRACKER_PORT))
        for _ in range(members):
            self.add()
        return self

    def _names(self, member):
        return {"base": self.base, "tracker_host": self.tracker_host,
                "tracker_port": TRACKER_PORT, "durability": "process",
                "fsync": 0, "storage_port": STORAGE_PORT,
                "storage_host": self.host(member)}

    def host(self, member):
        return f"{self.network}.{1 + member}"

    def add(self):
        """Starts another member; gives how long it took to be ACTIVE."""
        self.members += 1
        role = f"storage{self.members}"
        text = (STORAGE_CONF + self.side.storage_conf).replace(
            "{base}/storage", "{base}/" + role)
        # Sparse beats would be what is measured, and fewer directories can
        # be watched.
        for key, value in (("heart_beat_interval", 1),
                           ("stat_report_interval", 1),
                           ("subdir_count_per_path", 16)):
            text = "".join(
                f"{key} = {value}\n" if row.startswith(key) else row
                for row in text.splitlines(keepends=True))
        since = time.monotonic()
        self._spawn(role, self.side.storage, text, self._names(self.members))
        wanted = self.members
        self._wait(role, lambda: self.active() >= wanted)
        if self.members == 1:
            self._wait(role, lambda: ask_store(self.tracker_host,
                                               TRACKER_PORT))
        return time.monotonic() - since

    def active(self):
        """How many members the tracker calls ACTIVE."""
        request = struct.pack(">QBB16s", 16, 92, 0, b"group1")
        try:
            with socket.create_connection(
                    (self.tracker_host, TRACKER_PORT), timeout=5) as conn:
                conn.sendall(request)
                head = conn.recv(10, socket.MSG_WAITALL)
                body = b""
                size = struct.unpack(">Q", head[:8])[0] if head else 0
                while len(body) < size:
                    part = conn.recv(size - len(body))
                    if not part:
                        return 0
                    body += part
        except OSError:
            return 0
        return sum(1 for at in range(0, len(body), RECORD)
                   if body[at] == ACTIVE)

    def data(self, member):
        return os.path.join(self.base, f"storage{member}", "data")

    def count(self, member):
        """Files in a member's store path."""
        found = 0
        for first in os.scandir(self.data(member)):
            if len(first.name) == 2 and first.is_dir():
                for second in os.scandir(first.path):
                    found += sum(1 for _ in os.scandir(second.path))
        return found

    def pid(self, member):
        return self.processes[f"storage{member}"].pid

    def cpu(self, member):
        """Seconds of CPU that a member has used."""
        with open(f"/proc/{self.pid(member)}/stat", encoding="ascii") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def idle(self, seconds=60):
        """Waits until all daemons are at rest."""
        roles = range(1, self.members + 1)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            before = [self.cpu(m) for m in roles]
            time.sleep(0.5)
            if all(self.cpu(m) - b < 0.02 for m, b in zip(roles, before)):
                return
        raise BenchError(f"{self.side.name} was not idle in {seconds} s")

    def end_member(self, member):
        process = self.processes.pop(f"storage{member}")
        process.terminate()
        process.wait(60)

    def signal_member(self, member, number):
        os.kill(self.pid(member), number)

    def stop(self):
        for process in self.processes.values():
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for role in list(self.processes):
            process = self.processes.pop(role)
            try:
                process.wait(30)
            except Exception:  # noqa: BLE001
                process.kill()
                process.wait()
