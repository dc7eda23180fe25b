# SPDX-License-Identifier: MIT
"""kill -9 at any moment under mixed load, again and again.

Each worker keeps a model of what was acknowledged to it. After the restart
every acknowledged operation is there, the one request that had no reply yet
has happened wholly or not at all, nothing else is visible, and the databases
agree with the disk.
"""

import os
import random
import threading
import time

import pytest

import wire
from harness import Cluster, sqlite3_closing, wait_until
from wire import crc32

pytestmark = [pytest.mark.ours]

ROUNDS = int(os.environ.get("KILL_ROUNDS", "3"))
WORKERS = int(os.environ.get("KILL_WORKERS", "6"))
KEEP = 40  # files a worker keeps at most


class File:
    """What one file must hold."""

    def __init__(self, name, content, kind, extra=None):
        self.name = name
        self.content = bytes(content)
        self.kind = kind
        self.meta = extra


class Worker(threading.Thread):
    """Mixed load on its own files over one connection."""

    def __init__(self, node, files, seed):
        super().__init__(daemon=True)
        self.node = node
        self.files = files
        self.rng = random.Random(seed)
        self.pending = None  # (what, file or None, argument)
        self.done = 0
        self.wrong = None

    def data(self):
        size = self.rng.choice([0, 1, 100, 4096, 20_000, 70_000, 300_000])
        return self.rng.randbytes(self.rng.randint(0, size))

    def run(self):
        try:
            with self.node.connect(20) as conn:
                while True:
                    self.step(conn)
                    self.done += 1
        except (OSError, wire.Closed):
            pass  # killed
        except Exception as err:  # noqa: BLE001
            self.wrong = err

    def step(self, conn):
        appenders = [f for f in self.files if f.kind == "appender"]
        what = self.rng.choice(
            ["upload", "upload", "appender", "slave", "append", "append",
             "modify", "truncate", "meta", "meta", "delete"])
        if len(self.files) > KEEP:
            what = "delete"
        if what in ("append", "modify", "truncate"):
            if not appenders:
                what = "appender"
            else:
                return getattr(self, what)(conn, self.rng.choice(appenders))
        if what in ("meta", "delete", "slave"):
            if not self.files:
                what = "upload"
            else:
                return getattr(self, what)(conn, self.rng.choice(self.files))
        return self.create(conn, what)

    def create(self, conn, what):
        content = self.data()
        self.pending = ("create", None, content)
        if what == "appender":
            name = conn.upload_appender(content, "app")
            self.files.append(File(name, content, "appender"))
        else:
            name = conn.upload(content, "bin")
            self.files.append(File(name, content, "normal"))
        self.pending = None

    def slave(self, conn, master):
        content = self.data()
        if "_" in master.name[10:] and master.kind == "slave":
            return
        prefix = f"_s{self.rng.getrandbits(40):010x}"
        self.pending = ("create", None, content)
        name = conn.upload_slave(master.name, prefix, content, "jpg")
        self.files.append(File(name, content, "slave"))
        self.pending = None

    def change(self, conn, file, what, after, request):
        self.pending = (what, file, after)
        request()
        file.content = after
        self.pending = None

    def append(self, conn, file):
        more = self.data()
        self.change(conn, file, "change", file.content + more,
                    lambda: conn.append(file.name, more))

    def modify(self, conn, file):
        patch = self.data()
        at = self.rng.randint(0, len(file.content))
        after = file.content[:at] + patch + file.content[at + len(patch):]
        self.change(conn, file, "modify", after,
                    lambda: conn.modify(file.name, at, patch))

    def truncate(self, conn, file):
        size = self.rng.randint(0, len(file.content) + 1000)
        after = file.content[:size].ljust(size, b"\0")
        self.change(conn, file, "change", after,
                    lambda: conn.truncate(file.name, size))

    def meta(self, conn, file):
        text = b"k\x02%d\x01n\x02%s" % (
            self.rng.getrandbits(30), b"v" * self.rng.randint(0, 200))
        self.pending = ("meta", file, text)
        conn.set_meta(file.name, text)
        file.meta = text
        self.pending = None

    def delete(self, conn, file):
        self.pending = ("delete", file, None)
        conn.delete(file.name)
        self.files.remove(file)
        self.pending = None


def read(conn, name):
    """Content through a download; None when there is no such file."""
    answer = conn.call(wire.DOWNLOAD, wire.download_body(name))
    if answer.status == wire.ENOENT:
        return None
    assert answer.status == 0, f"{name}: {answer.status}"
    return answer.body


def content_of(node, conn, name):
    info = conn.call(wire.QUERY_INFO, wire.file_ref(name), 1)
    if info.status:
        assert info.status == wire.ENOENT
        return None
    if int.from_bytes(info.body[:8], "big") == 0:
        return b""  # the protocol cannot download an empty file
    return read(conn, name)


def meta_of(conn, name):
    answer = conn.call(wire.GET_META, wire.file_ref(name))
    return answer.body if answer.status == 0 else None


def settle(node, conn, worker):
    """Finds out what became of the request that had no reply."""
    if worker.pending is None:
        return None
    what, file, after = worker.pending
    worker.pending = None
    if what == "create":
        return after
    now = content_of(node, conn, file.name)
    if what == "delete":
        if now is None:
            worker.files.remove(file)
            return None
    elif what == "change":
        assert now in (file.content, after), f"{file.name}: half a change"
        file.content = now
    elif what == "modify":
        # upstream promises no atomic modify; outside of it nothing changes
        longest = max(len(file.content), len(after))
        assert now is not None and \
            min(len(file.content), len(after)) <= len(now) <= longest
        same = [i for i in range(0, min(len(file.content), len(after)), 97)
                if file.content[i] == after[i]]
        assert all(now[i] == after[i] for i in same)
        file.content = now
    elif what == "meta":
        got = meta_of(conn, file.name)
        assert got in (file.meta, after), (
            f"{file.name}: half metadata {got!r}, was {file.meta!r}")
        file.meta = got
    return None


def verify(node, workers):
    """Every promise, byte for byte, through the front door."""
    unknown = []
    with node.connect() as conn:
        for worker in workers:
            left = settle(node, conn, worker)
            if left is not None:
                unknown.append(left)
            for file in worker.files:
                assert content_of(node, conn, file.name) == file.content, (
                    f"{file.kind} {file.name} is not as acknowledged")
                assert meta_of(conn, file.name) == file.meta, file.name
    known = {f.name for w in workers for f in w.files}
    known_meta = {f.name + "-m" for w in workers for f in w.files
                  if f.meta is not None}
    visible = node.visible()
    assert known | known_meta <= visible
    for name in visible - known - known_meta:
        assert not name.endswith("-m"), f"metadata of nothing: {name}"
        content = node.path_of(name).read_bytes()
        assert content in unknown, f"nobody stored {name}"
        unknown.remove(content)
        if len(name) == 44:
            assert wire.decode_name(name).crc == crc32(content)
        with node.connect() as conn:
            conn.delete(name)
    assert not node.unfinished()


def agree(node):
    """The databases against the disk."""
    with sqlite3_closing(node.oplog()) as log:
        last = log.execute("select max(seq) from operations").fetchone()[0]
        assert log.execute("pragma integrity_check").fetchone()[0] == "ok"

    def applied():
        return node.catalogue_rows("select seq from cursor")[0][0] >= last
    wait_until(applied, 10, "the catalogue has followed the log")
    disk = {name: node.path_of(name).stat().st_size
            for name in node.visible() if not name.endswith("-m")}
    rows = {row["remote"]: row["size"] for row in node.catalogue_rows(
        "select remote, size from files")}
    assert rows == disk


def one_round(node, workers, number, rng):
    fresh = [Worker(node, w.files, rng.random()) for w in workers]
    for worker in fresh:
        worker.start()
    wait_until(lambda: sum(w.done for w in fresh) > 5, 10, "load runs")
    time.sleep(rng.uniform(0.0, 0.4))  # any moment will do
    node.kill()
    for worker in fresh:
        worker.join(20)
        assert not worker.is_alive()
        assert worker.wrong is None, f"round {number}: {worker.wrong!r}"
    node.start(active=False)
    verify(node, fresh)
    agree(node)
    return fresh


class Idle:
    files = None


@pytest.mark.limit(120 + 15 * ROUNDS)
@pytest.mark.parametrize("durability", ["process", "full"])
def test_nothing_acknowledged_is_lost_by_kill_9(durability):
    rounds = ROUNDS if durability == "process" else max(1, ROUNDS // 5)
    rng = random.Random(int(os.environ.get("KILL_SEED", time.time_ns())))
    with Cluster(f"kill-{durability}") as made:
        made.storage.kill()
        made.storage.sections = f"[meta]\ndurability = {durability}\n"
        made.storage.start()
        workers = []
        for _ in range(WORKERS):
            idle = Idle()
            idle.files = []
            workers.append(idle)
        operations = 0
        for number in range(rounds):
            workers = one_round(made.storage, workers, number, rng)
            operations += sum(w.done for w in workers)
        print(f"\n{durability}: {rounds} rounds, {operations} operations")


@pytest.mark.slow
@pytest.mark.limit(120)
def test_kill_9_of_the_tracker_loses_no_storage():
    with Cluster("kill-tracker", storages=2, groups=["a", "b"]) as made:
        for _ in range(5):
            made.tracker.kill()
            made.tracker.start()
            with made.tracker.connect() as conn:
                assert len(conn.storages("a") + conn.storages("b")) == 2
            for node in made.storages:
                wait_until(node.active, 15, "ACTIVE again")
            with sqlite3_closing(made.tracker.database()) as db:
                assert db.execute("pragma integrity_check").fetchone()[0] \
                    == "ok"
