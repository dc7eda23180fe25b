# SPDX-License-Identifier: MIT
"""One tracker and one storage on loopback addresses of their own.

The same configuration text serves our daemons and the stock ones; each side
has a few lines of its own below. Daemons run in the foreground as children of
this process, so that only they are ever stopped.
"""

import os
import shutil
import socket
import struct
import subprocess
import time

TRACKER_PORT = 22122
STORAGE_PORT = 23000
START_SECONDS = 60
STOP_SECONDS = 15

# Values of the sample configuration files that stock installations copy;
# fewer subdirectories only save time when the daemons start.
TRACKER_CONF = """\
bind_addr = {tracker_host}
port = {tracker_port}
base_path = {base}/tracker
connect_timeout = 5
network_timeout = 60
max_connections = 1024
accept_threads = 1
work_threads = 4
store_lookup = 2
store_server = 0
store_path = 0
download_server = 0
reserved_storage_space = 1%
log_level = info
"""

STORAGE_CONF = """\
group_name = group1
bind_addr = {storage_host}
client_bind = true
port = {storage_port}
base_path = {base}/storage
store_path_count = 1
store_path0 = {base}/storage
subdir_count_per_path = 64
tracker_server = {tracker_host}:{tracker_port}
connect_timeout = 5
network_timeout = 60
max_connections = 1024
accept_threads = 1
work_threads = 4
buff_size = 256KB
heart_beat_interval = 30
stat_report_interval = 60
log_level = info
"""

STOCK_STORAGE_CONF = """\
thread_stack_size = 512KB
disk_rw_separated = true
disk_reader_threads = 2
disk_writer_threads = 1
sync_binlog_buff_interval = 1
use_connection_pool = true
fsync_after_written_bytes = {fsync}
"""

OUR_STORAGE_CONF = """\
[meta]
durability = {durability}
"""


class BenchError(Exception):
    """A sentence for the person who started the benchmark."""


class Side:
    """Where one kind of daemons comes from and how it differs."""

    def __init__(self, name, tracker, storage, arguments, storage_conf):
        self.name = name
        self.tracker = tracker
        self.storage = storage
        self.arguments = arguments
        self.storage_conf = storage_conf


def our_side(directory):
    programs = [os.path.join(directory, name)
                for name in ("fdfs-trackerd", "fdfs-storaged")]
    for path in programs:
        if not os.access(path, os.X_OK):
            raise BenchError(f"{path} is not there; run make first")
    return Side("ours", *programs, [], OUR_STORAGE_CONF)


def stock_side():
    """None when no stock daemons are installed."""
    path = os.environ.get("FDFS_STOCK_BIN") or None
    programs = [shutil.which(name, path=path)
                for name in ("fdfs_trackerd", "fdfs_storaged")]
    if None in programs:
        return None
    return Side("stock", *programs, ["-N"], STOCK_STORAGE_CONF)


def ask_store(host, port):
    """True when the tracker can name a storage for an upload."""
    request = struct.pack(">QBB", 0, 101, 0)
    try:
        with socket.create_connection((host, port), timeout=2) as conn:
            conn.sendall(request)
            reply = conn.recv(10, socket.MSG_WAITALL)
            return len(reply) == 10 and reply[9] == 0
    except OSError:
        return False


def accepts(host, port):
    try:
        socket.create_connection((host, port), timeout=2).close()
        return True
    except OSError:
        return False


class Cluster:
    """Both daemons of a side with one durability."""

    count = 0

    def __init__(self, side, durability, directory):
        Cluster.count += 1
        network = f"127.{64 + os.getpid() % 128}.{Cluster.count}"
        self.side = side
        self.base = os.path.join(directory, f"{side.name}-{durability}")
        self.tracker_host = f"{network}.1"
        self.storage_host = f"{network}.2"
        self.durability = durability
        self.processes = {}

    def start(self):
        names = {
            "base": self.base,
            "tracker_host": self.tracker_host,
            "tracker_port": TRACKER_PORT,
            "storage_host": self.storage_host,
            "storage_port": STORAGE_PORT,
            "durability": self.durability,
            "fsync": 1 if self.durability == "full" else 0,
        }
        self._spawn("tracker", self.side.tracker, TRACKER_CONF, names)
        self._wait("tracker",
                   lambda: accepts(self.tracker_host, TRACKER_PORT))
        self._spawn("storage", self.side.storage,
                    STORAGE_CONF + self.side.storage_conf, names)
        self._wait("storage",
                   lambda: ask_store(self.tracker_host, TRACKER_PORT))

    def _spawn(self, role, program, conf, names):
        os.makedirs(os.path.join(self.base, role))
        path = os.path.join(self.base, f"{role}.conf")
        with open(path, "w", encoding="ascii") as out:
            out.write(conf.format(**names))
        with open(os.path.join(self.base, f"{role}.out"), "wb") as out:
            self.processes[role] = subprocess.Popen(
                [program, *self.side.arguments, path],
                stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT, cwd=self.base)

    def _wait(self, role, ready):
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            if self.processes[role].poll() is not None:
                raise BenchError(f"the {self.side.name} {role} ended at "
                                 f"once:\n{self.tail(role)}")
            if time.monotonic() > deadline:
                raise BenchError(f"the {self.side.name} {role} did not get "
                                 f"ready in {START_SECONDS} s:\n"
                                 f"{self.tail(role)}")
            time.sleep(0.1)

    def tail(self, role):
        """The last lines a daemon printed or logged."""
        logs = os.path.join(self.base, role, "logs")
        paths = [os.path.join(self.base, f"{role}.out")]
        if os.path.isdir(logs):
            paths += [os.path.join(logs, name)
                      for name in sorted(os.listdir(logs))]
        lines = []
        for path in paths:
            with open(path, encoding="utf-8", errors="replace") as log:
                lines += log.readlines()[-8:]
        return "".join("  " + line for line in lines)

    def pids(self, daemons):
        roles = ("tracker", "storage") if daemons == "both" else (daemons,)
        return ",".join(str(self.processes[role].pid) for role in roles)

    def check(self):
        for role, process in self.processes.items():
            if process.poll() is not None:
                raise BenchError(
                    f"the {self.side.name} {role} ended with status "
                    f"{process.returncode}:\n{self.tail(role)}")

    def shrink(self, since):
        """Empties files uploaded since a time, to give their space back.

        They are cut, not removed: see the module cases for why.
        """
        top = os.path.join(self.base, "storage", "data")
        for first in os.scandir(top):
            if len(first.name) != 2 or not first.is_dir():
                continue
            for second in os.scandir(first.path):
                if second.is_dir() and second.stat().st_mtime >= since:
                    cut_files(second.path)

    def stop(self):
        for role in ("storage", "tracker"):
            process = self.processes.pop(role, None)
            if process is None:
                continue
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def cut_files(directory):
    for entry in os.scandir(directory):
        try:
            if entry.stat().st_size > 4096:
                os.truncate(entry.path, 0)
        except FileNotFoundError:
            pass
