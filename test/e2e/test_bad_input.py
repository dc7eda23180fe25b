# SPDX-License-Identifier: MIT
"""Clients that misbehave and disks that fail."""

import os
import shutil
import struct
import subprocess
import time

import pytest

import wire
from harness import Cluster, wait_until
from wire import (ENOENT, ENOSPC, download_body, header, message,
                  upload_body)

pytestmark = pytest.mark.ours


# --- clients that do not behave --------------------------------------------

@pytest.fixture(scope="module")
def hasty():
    """A cluster that waits one second for the next byte."""
    with Cluster("hasty", storage={"network_timeout": 1},
                 tracker={"network_timeout": 1}) as made:
        yield made


@pytest.mark.parametrize("side", ["tracker", "storage"])
@pytest.mark.parametrize("sent", [0, 1, 9])
def test_incomplete_header_is_given_up(hasty, side, sent):
    with getattr(hasty, side).connect() as conn:
        conn.send(header(wire.ACTIVE_TEST, 0)[:sent])
        start = time.monotonic()
        assert conn.is_closed(10)
        assert time.monotonic() - start > 0.5


@pytest.mark.parametrize("sent", [10, 11, 25, 26, 1000])
def test_incomplete_body_is_given_up(hasty, sent):
    before = hasty.storage.visible()
    with hasty.storage.connect() as conn:
        assert conn.is_usable()
        conn.send(message(wire.UPLOAD, upload_body(bytes(2000), "cut"))[:sent])
        assert conn.is_closed(10)
    wait_until(lambda: hasty.storage.visible() == before and
               not hasty.storage.unfinished(), 5, "nothing is left")


def test_a_slow_upload_that_makes_progress_succeeds(hasty):
    with hasty.storage.connect() as conn:
        request = message(wire.UPLOAD, upload_body(b"123456", "txt"))
        conn.send(request[:-6])
        for at in range(6):
            conn.send(request[len(request) - 6 + at:][:1])
            time.sleep(0.4)  # each byte is in time, the whole is not
        assert conn.download(conn.reply().body[16:].decode()) == b"123456"


@pytest.mark.slow
def test_a_client_that_stops_reading_is_given_up(hasty):
    node = hasty.storage
    with node.connect() as conn:
        name = conn.upload(bytes(64 << 20), "big")
    wait_until(lambda: node.connections() == 0, 10)
    stuck = node.connect()
    stuck.send(message(wire.DOWNLOAD, download_body(name)))
    stuck.read(10)
    with node.connect() as conn:
        assert conn.is_usable()
    wait_until(lambda: node.connections() == 0, 30,
               "the connection that is not read is closed")
    stuck.close()
    with node.connect() as conn:
        assert len(conn.download(name)) == 64 << 20
        conn.delete(name)


@pytest.mark.slow
def test_many_requests_without_reading_a_reply(hasty):
    """Replies that nobody takes must not fill the memory."""
    node = hasty.storage
    conn = node.connect()
    before = node.status_kib("VmRSS")
    conn.sock.settimeout(2)
    one = message(wire.ACTIVE_TEST) * 10_000
    try:
        for _ in range(300):
            conn.send(one)
    except (OSError, TimeoutError):
        pass
    assert node.status_kib("VmRSS") - before < 64 * 1024
    conn.close()
    with node.connect() as other:
        assert other.is_usable()


@pytest.mark.parametrize("side", ["tracker", "storage"])
def test_more_connections_than_allowed(fresh, side):
    made = fresh(**{side: {"max_connections": 10}})
    daemon = getattr(made, side)
    held = []
    try:
        for _ in range(10):
            conn = daemon.connect()
            if not conn.is_usable():
                break
            held.append(conn)
        assert len(held) >= 8  # the storage's own sessions may count
        for _ in range(5):
            with daemon.connect() as extra:
                assert len(held) < 10 or extra.is_closed()
        assert all(conn.is_usable() for conn in held)
        for conn in held[:5]:
            conn.close()
        wait_until(daemon.answers, 5, "there is room again")
    finally:
        for conn in held:
            conn.close()


def test_random_bytes_do_no_harm(cluster):
    import random
    rng = random.Random(20261122)
    for daemon in (cluster.tracker, cluster.storage):
        for _ in range(300):
            body = rng.randbytes(rng.randrange(0, 200))
            length = rng.choice([len(body), rng.randrange(0, 300),
                                 rng.getrandbits(64)])
            raw = struct.pack(">QBB", length, rng.randrange(256),
                              rng.randrange(256)) + body
            with daemon.connect() as conn:
                try:
                    conn.send(raw)
                    conn.fin()
                    while conn.sock.recv(65536):
                        pass
                except OSError:
                    pass
        assert daemon.answers()


# --- disks -----------------------------------------------------------------

class Disk:
    """A small file system of its own, for tests as root."""

    def __init__(self, where, size):
        self.where = where
        where.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}",
                               "fdfs-e2e", str(where)], check=False,
                              capture_output=True)
        if done.returncode:
            pytest.skip("needs the right to mount a tmpfs")

    def fill(self, leave=0):
        """Takes all but `leave` bytes."""
        with open(self.where / "ballast", "wb") as file:
            for spare in range(leave, leave + (4 << 20), 65536):
                stat = os.statvfs(self.where)
                try:
                    os.posix_fallocate(
                        file.fileno(), 0,
                        stat.f_bavail * stat.f_frsize - spare)
                    return
                except OSError:
                    continue  # a daemon took some in between
        raise AssertionError("the disk cannot be filled")

    def empty(self):
        (self.where / "ballast").unlink()

    def remount(self, how):
        subprocess.run(["mount", "-o", f"remount,{how}", str(self.where)],
                       check=True)

    def close(self):
        subprocess.run(["umount", "-l", str(self.where)], check=False)


@pytest.fixture
def disk():
    """Mounts file systems and takes them away in the end."""
    made = []

    def mount(where, size="32m"):
        if os.geteuid() != 0:
            pytest.skip("needs root")
        made.append(Disk(where, size))
        return made[-1]
    yield mount
    for one in made:
        one.close()


def test_full_disk_is_told_and_the_store_goes_on(fresh, disk):
    made = fresh(start=False)
    node = made.storage
    small = disk(node.paths[0], "16m")
    made.tracker.start()
    node.start()
    with node.connect() as conn:
        kept = conn.upload(b"kept")
        before = node.visible()
        assert conn.told(wire.UPLOAD, upload_body(bytes(40 << 20))) == ENOSPC
    # the space goes away between two looks at it
    small.fill(leave=200_000)
    with node.connect() as conn:
        assert conn.told(wire.UPLOAD,
                         upload_body(os.urandom(2 << 20))) == ENOSPC
        wait_until(lambda: node.visible() == before and
                   not node.unfinished(), 5, "nothing half written is left")
    with node.connect() as conn:
        assert conn.download(kept) == b"kept"
    small.empty()

    def takes():
        with node.connect() as again:
            return again.call(wire.UPLOAD,
                              upload_body(bytes(100_000))).status == 0
    wait_until(takes, 10, "uploads are taken again")


def test_full_disk_in_an_append_restores_the_file(fresh, disk):
    made = fresh(start=False)
    node = made.storage
    small = disk(node.paths[0], "16m")
    made.tracker.start()
    node.start()
    with node.connect() as conn:
        name = conn.upload_appender(b"before")
        small.fill(leave=100_000)
        assert conn.told(wire.APPEND,
                         wire.append_body(name, bytes(1 << 20))) == ENOSPC
    with node.connect() as conn:
        assert conn.download(name) == b"before"


def test_full_disk_under_the_databases(fresh, disk):
    """No success without the record of it."""
    made = fresh(start=False)
    node = made.storage
    small = disk(node.base / "meta", "16m")
    made.tracker.start()
    node.start()
    with node.connect() as conn:
        first = conn.upload(b"first")
    small.fill()
    failed = 0
    for _ in range(3000):
        with node.connect() as conn:
            try:
                answer = conn.call(wire.UPLOAD, upload_body(b"x"))
            except wire.Closed:
                answer = wire.Reply(-1, b"")
        if answer.status:
            failed += 1
            break
    assert failed, "uploads must fail when their record cannot be kept"
    with node.connect() as conn:
        assert conn.download(first) == b"first"
    small.empty()
    wait_until(lambda: _takes(node), 15, "uploads are taken again")


def _takes(node):
    try:
        with node.connect() as conn:
            return conn.call(wire.UPLOAD, upload_body(b"x")).status == 0
    except (OSError, wire.Closed):
        return False


def test_read_only_store_path(fresh, disk):
    made = fresh(start=False)
    node = made.storage
    part = disk(node.paths[0], "16m")
    made.tracker.start()
    node.start()
    with node.connect() as conn:
        name = conn.upload(b"kept")
        appender = conn.upload_appender(b"kept")
    part.remount("ro")
    try:
        with node.connect() as conn:
            assert conn.call(wire.UPLOAD, upload_body(b"x")).status > 0
        with node.connect() as conn:
            assert conn.call(wire.APPEND, wire.append_body(
                appender, b"x")).status > 0
        with node.connect() as conn:
            assert conn.call(wire.DELETE, wire.file_ref(name)).status > 0
        with node.connect() as conn:
            assert conn.download(name) == b"kept"
            assert conn.download(appender) == b"kept"
    finally:
        part.remount("rw")
    wait_until(lambda: _takes(node), 10, "uploads are taken again")


def test_vanished_data_directory(fresh):
    made = fresh()
    node = made.storage
    with node.connect() as conn:
        name = conn.upload(b"kept")
    data = node.paths[0] / "data"
    data.rename(node.paths[0] / "elsewhere")
    with node.connect() as conn:
        answer = conn.call(wire.DOWNLOAD, download_body(name))
        assert answer.status in (0, ENOENT)
    with node.connect() as conn:
        conn.call(wire.UPLOAD, upload_body(b"x"))
    assert node.answers()
    if data.exists():
        shutil.rmtree(data)
    (node.paths[0] / "elsewhere").rename(data)
    with node.connect() as conn:
        assert conn.download(name) == b"kept"
    wait_until(lambda: _takes(node), 10, "uploads are taken again")


def test_vanished_sub_directories_are_refused_not_fatal(fresh):
    made = fresh()
    node = made.storage
    for sub in (node.paths[0] / "data").glob("[0-9A-F][0-9A-F]"):
        shutil.rmtree(sub)
    with node.connect() as conn:
        conn.call(wire.UPLOAD, upload_body(b"x"))
    assert node.answers()
