# SPDX-License-Identifier: MIT
"""Daemons, clusters and consoles for the end-to-end tests.

A scenario owns a directory, loopback addresses and the processes it started;
it kills nothing else. Waiting is always for a condition with a deadline.
"""

import ctypes
import os
import random
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import wire
from wire import StorageWire, TrackerWire

TOP = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("FDFS_BIN", TOP / "build" / "bin")).resolve()
TRACKERD = os.environ.get("FDFS_TRACKERD", str(BIN / "fdfs-trackerd"))
STORAGED = os.environ.get("FDFS_STORAGED", str(BIN / "fdfs-storaged"))
STOCK = Path(TRACKERD).name == "fdfs_trackerd"  # the harness checks itself
OURS = (TRACKERD, STORAGED)
CLONE_NEWNET = 0x40000000


def wait_until(condition, deadline=10.0, what=None):
    """Polls until condition() is true and gives its value."""
    end = time.monotonic() + deadline
    pause = 0.002
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            name = what or getattr(condition, "__name__", "condition")
            raise AssertionError(f"not within {deadline} s: {name}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


def program(name):
    return str(BIN / name)


def stock_program(name):
    """Path of an installed FastDFS program, or None."""
    where = os.environ.get("FDFS_STOCK_BIN")
    return shutil.which(name, path=where) if where else shutil.which(name)


def stock_env():
    """Environment in which the FastDFS programs find their libraries."""
    env = dict(os.environ)
    found = stock_program("fdfs_upload_file")
    if found:
        usr = Path(found).resolve().parent.parent
        env["LD_LIBRARY_PATH"] = f"{usr}/lib:{usr}/lib64"
    return env


def mixed_programs():
    """Our tracker with FastDFS's storages, which replicate; None without."""
    storaged = stock_program("fdfs_storaged")
    return storaged and (TRACKERD, storaged)


class Network:
    """Hands out loopback addresses that no other scenario uses."""

    def __init__(self):
        self.taken = set()
        self.random = random.Random(os.getpid() * 7919 + time.time_ns())

    def subnet(self):
        while True:
            net = f"127.{self.random.randint(10, 250)}." \
                  f"{self.random.randint(10, 250)}"
            if net not in self.taken and _can_bind(f"{net}.2", 22122):
                self.taken.add(net)
                return net

    def port(self, ip):
        """A free port below the range the kernel gives to clients."""
        while True:
            port = self.random.randint(20000, 30000)
            if _can_bind(ip, port):
                return port


def _can_bind(ip, port):
    with socket.socket() as probe:
        try:
            probe.bind((ip, port))
        except OSError:
            return False
    return True


NETWORK = Network()


class Daemon:
    """One daemon: its configuration, its process, its log."""

    log_name = None

    def __init__(self, program, base, address, conf):
        self.program = program
        self.is_stock = Path(program).name.startswith("fdfs_")
        self.base = Path(base)
        self.address = address
        self.conf = dict(conf)
        self.sections = ""
        self.env = {}  # added to the environment of the program
        self.conf_path = self.base / self.log_name.replace(".log", ".conf")
        self.process = None
        self.netns = None  # path of the network namespace it runs in
        self.base.mkdir(parents=True, exist_ok=True)

    def write_conf(self):
        lines = []
        for key, value in self.conf.items():
            for item in value if isinstance(value, list) else [value]:
                lines.append(f"{key} = {item}\n")
        self.conf_path.write_text("".join(lines) + self.sections)

    @property
    def stderr_path(self):
        return self.base / "stderr.txt"

    def launch(self):
        """Starts the program and does not wait for anything."""
        assert not self.alive(), "already running"
        self.write_conf()
        foreground = ["-N"] if self.is_stock else []
        environment = stock_env() if self.is_stock else os.environ
        with open(self.stderr_path, "ab") as err:
            self.process = subprocess.Popen(
                [self.program, *foreground, str(self.conf_path)],
                stdin=subprocess.DEVNULL, stdout=err, stderr=err,
                preexec_fn=self._enter, env={**environment, **self.env})

    def _enter(self):
        """In the new process: its network, and an end with ours."""
        libc = ctypes.CDLL(None, use_errno=True)
        if self.netns:
            fd = os.open(self.netns, os.O_RDONLY)
            if libc.setns(fd, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
        libc.prctl(1, signal.SIGKILL)

    def answers(self):
        try:
            with wire.Wire(self.address, 2) as conn:
                return conn.is_usable()
        except OSError:
            return False

    def start(self, deadline=20.0):
        self.launch()

        def up():
            if not self.alive():
                raise AssertionError(
                    f"{self.program} ended: {self.stderr_text()[-2000:]}")
            return self.answers()
        wait_until(up, deadline, f"{self.program} answers")

    def run_to_end(self, *args, deadline=20.0):
        """Runs the program with its configuration until it ends by itself."""
        self.write_conf()
        return subprocess.run(
            [self.program, *args, str(self.conf_path)], text=True,
            stdin=subprocess.DEVNULL, capture_output=True, timeout=deadline,
            check=False)

    @property
    def pid(self):
        return self.process and self.process.pid

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        os.kill(self.pid, number)


    def stop(self, deadline=10.0):
        """SIGTERM; gives the exit status."""
        if not self.alive():
            return None
        self.signal(signal.SIGTERM)
        return self.process.wait(deadline)

    def kill(self):
        if self.alive():
            self.signal(signal.SIGKILL)
            self.process.wait(10)

    def restart(self):
        self.stop()
        self.start()

    def pause(self):
        self.signal(signal.SIGSTOP)

    def go_on(self):
        self.signal(signal.SIGCONT)

    def stderr_text(self):
        try:
            return self.stderr_path.read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def log(self):
        path = self.base / "logs" / self.log_name
        text = path.read_text(errors="replace") if path.exists() else ""
        return text + self.stderr_text()

    def log_has(self, pattern):
        return re.search(pattern, self.log()) is not None

    def wait_log(self, pattern, deadline=10.0):
        wait_until(lambda: self.log_has(pattern), deadline,
                   f"{pattern!r} in the log of {self.base.name}")

    def status_kib(self, field):
        """A memory figure of /proc/PID/status in KiB, e.g. VmHWM."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1])
        raise KeyError(field)

    def connections(self):
        """Established connections the daemon has accepted."""
        here = wire._proc_address(self.address)
        rows = Path("/proc/net/tcp").read_text().splitlines()[1:]
        return sum(1 for row in rows
                   if row.split()[1] == here and row.split()[3] == "01")


class Tracker(Daemon):
    log_name = "trackerd.log"

    def __init__(self, program, base, address, extra):
        super().__init__(program, base, address, {
            "bind_addr": address[0], "port": address[1],
            "base_path": str(base), "network_timeout": 10,
            "reserved_storage_space": "1MB", "work_threads": 2,
            "max_connections": 256, **extra})

    def connect(self, timeout=10.0):
        return TrackerWire(self.address, timeout)

    def sees(self, storage):
        """The record of a storage in the tracker's list, or None."""
        try:
            with self.connect(3) as conn:
                for rec in conn.storages(storage.group):
                    if (rec.ip, rec.port) == storage.address:
                        return rec
        except (OSError, wire.Closed):
            pass
        return None

    def database(self, name="tracker.db"):
        return open_database(self.base / "meta" / name)


class Storage(Daemon):
    log_name = "storaged.log"

    def __init__(self, program, base, address, tracker, paths, extra):
        self.group = extra.get("group_name", "group1")
        self.trackers = tracker if isinstance(tracker, list) else [tracker]
        self.tracker = self.trackers[0]
        self.paths = [Path(base) / f"path{i}" for i in range(paths)]
        conf = {
            "group_name": self.group, "bind_addr": address[0],
            "client_bind": "true", "port": address[1],
            "base_path": str(base), "network_timeout": 10,
            "work_threads": 2, "max_connections": 256,
            "thread_stack_size": "512KB", "heart_beat_interval": 1,
            "stat_report_interval": 1, "sync_binlog_buff_interval": 1,
            "subdir_count_per_path": 4, "store_path_count": paths,
            "tracker_server": ["%s:%d" % t.address for t in self.trackers]}
        for i, path in enumerate(self.paths):
            path.mkdir(parents=True, exist_ok=True)
            conf[f"store_path{i}"] = str(path)
        super().__init__(program, base, address, {**conf, **extra})

    def connect(self, timeout=10.0):
        return StorageWire(self.address, timeout)

    def active(self, tracker=None):
        rec = (tracker or self.tracker).sees(self)
        return rec is not None and rec.status == wire.ACTIVE and \
            rec.total_mb > 0

    def start(self, deadline=20.0, active=True):
        super().start(deadline)
        if active:
            wait_until(self.active, deadline, "the tracker says ACTIVE")

    def path_of(self, name):
        """Where the file of a remote name lies on the disk."""
        index = int(name[1:3], 16)
        return self.paths[index] / "data" / name[4:]

    def visible(self):
        """Every file a client could name, as remote names."""
        found = set()
        for index, path in enumerate(self.paths):
            for file in (path / "data").glob("[0-9A-F][0-9A-F]/*/*"):
                rel = file.relative_to(path / "data")
                found.add(f"M{index:02X}/{rel}")
        return found

    def unfinished(self):
        """Files of uploads that have not ended."""
        return [file for path in self.paths
                for file in (path / "data" / ".incoming").glob("*")]

    def catalogue(self):
        return open_database(self.base / "meta" / "catalogue.db")

    def oplog(self):
        return open_database(self.base / "meta" / "storage.db")

    def catalogue_rows(self, sql, *args):
        """Rows of the catalogue, which follows the log with a short delay."""
        with sqlite3_closing(self.catalogue()) as db:
            return db.execute(sql, args).fetchall()


def open_database(path):
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
    db.row_factory = sqlite3.Row
    return db


class sqlite3_closing:
    """`with` that closes (that of sqlite3 only commits)."""

    def __init__(self, db):
        self.db = db

    def __enter__(self):
        return self.db

    def __exit__(self, *_):
        self.db.close()


class Cluster:
    """One tracker and its storages, each on an address of its own."""

    def __init__(self, name="scenario", storages=1, paths=1, tracker=None,
                 storage=None, groups=None, programs=OURS):
        self.dir = Path(tempfile.mkdtemp(
            prefix=f"fdfs-e2e-{name}-", dir=os.environ.get("FDFS_E2E_TMP")))
        self.net = NETWORK.subnet()
        self.failed = False
        self.daemons = []
        t_addr = (f"{self.net}.2", NETWORK.port(f"{self.net}.2"))
        self.tracker = Tracker(programs[0], self.dir / "tracker", t_addr,
                               tracker or {})
        self.daemons.append(self.tracker)
        port = NETWORK.port(f"{self.net}.101")
        self.storages = []
        for i in range(storages):
            extra = dict(storage or {})
            if groups:
                extra["group_name"] = groups[i]
            node = Storage(programs[1], self.dir / f"storage{i + 1}",
                           (f"{self.net}.{101 + i}", port), self.tracker,
                           paths, extra)
            self.storages.append(node)
            self.daemons.append(node)

    @property
    def storage(self):
        return self.storages[0]

    def start(self):
        self.tracker.start()
        groups = set()
        for node in self.storages:
            # A further storage of a group is active once it has the files
            # of the first one, which takes a storage that replicates.
            first = node.group not in groups
            node.start(active=first or node.is_stock)
            groups.add(node.group)
            wait_until(lambda at=node: self.tracker.sees(at), 10,
                       "the tracker knows the storage")
        wait_until(self._led, 10, "the tracker says who leads")
        return self

    def _led(self):
        with self.tracker.connect() as conn:
            return conn.call(wire.GET_LEADER).status == 0

    def close(self):
        for daemon in reversed(self.daemons):
            if daemon.alive():
                try:
                    daemon.signal(signal.SIGCONT)
                    daemon.stop()
                except subprocess.TimeoutExpired:
                    self.failed = True
                    print(f"{daemon.program} did not end within 10 s",
                          file=sys.stderr)
                    daemon.kill()
        if self.failed or os.environ.get("FDFS_E2E_KEEP"):
            print(f"\nkept for a look: {self.dir}", file=sys.stderr)
        else:
            shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.failed = True
            self.close()
            raise

    def __exit__(self, kind, *_):
        self.failed = self.failed or kind is not None
        self.close()

    def sound(self):
        """Nothing that was started has died, and no sanitizer spoke."""
        for daemon in self.daemons:
            if daemon.process is not None and not daemon.is_stock:
                status = daemon.process.poll()
                assert status in (None, 0, -signal.SIGKILL), (
                    f"{daemon.base.name} ended with {status}: "
                    f"{daemon.stderr_text()[-2000:]}")
            bad = re.search(r"Sanitizer|runtime error:|Assertion .* failed",
                            daemon.stderr_text())
            assert not bad, daemon.stderr_text()[-4000:]

    def client_conf(self):
        path = self.dir / "client.conf"
        path.write_text("tracker_server = %s:%d\nbase_path = %s\n"
                        % (*self.tracker.address, self.dir))
        return str(path)

    def client_env(self):
        """Environment for the tools: this cluster and nothing else."""
        return dict(os.environ, FDFS_TRACKERS="%s:%d" % self.tracker.address,
                    HOME=str(self.dir), LC_ALL="C.UTF-8", TZ="UTC")

    def tool(self, name, *args, stdin=b"", deadline=30.0, env=None):
        """Runs one of our tools; output and status are bytes and a number."""
        return subprocess.run(
            [program(name), *map(str, args)], input=stdin,
            capture_output=True, timeout=deadline, check=False,
            env=env or self.client_env())
