# SPDX-License-Identifier: MIT
"""Slow clients, full disks, broken configurations, damaged databases."""

import os
import re
import shutil
import sqlite3
import struct
import subprocess
import time

import pytest

import wire
from harness import wait_until
from wire import (ENOENT, ENOSPC, download_body, header, message,
                  upload_body)

pytestmark = pytest.mark.ours


# --- clients that do not behave ------------------------------------------------

@pytest.fixture(scope="module")
def hasty():
    """A cluster that waits one second for the next byte."""
    from harness import Cluster
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


# --- disks ------------------------------------------------------------------------

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
        stat = os.statvfs(self.where)
        take = stat.f_bavail * stat.f_frsize - leave
        with open(self.where / "ballast", "wb") as file:
            os.posix_fallocate(file.fileno(), 0, take)

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
        conn.fails(wire.UPLOAD, upload_body(bytes(40 << 20)), ENOSPC)
    # the space goes away between two looks at it
    small.fill(leave=200_000)
    with node.connect() as conn:
        answer = conn.call(wire.UPLOAD, upload_body(os.urandom(2 << 20)))
        assert answer.status == ENOSPC
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
        answer = conn.call(wire.APPEND,
                           wire.append_body(name, bytes(1 << 20)))
        assert answer.status == ENOSPC
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


# --- configurations ---------------------------------------------------------------

TRACKER_FAULTS = [
    ("store_lookup", "5"), ("accept_threads", "0"), ("work_threads", "0"),
    ("work_threads", "-1"), ("base_path", None), ("base_path", ""),
    ("reserved_storage_space", "10 %"), ("reserved_storage_space", "0%"),
    ("reserved_storage_space", "100%"), ("reserved_storage_space", ""),
    ("reserved_storage_space", "much"), ("slot_min_size", "0"),
    ("buff_size", "1.5GB"), ("buff_size", "10 X"),
    ("run_by_user", "no-such-user"), ("run_by_group", "no-such-group"),
    ("bind_addr", "203.0.113.77"), ("bind_addr", "not-an-address"),
    ("port", "70000"), ("trunk_create_file_time_base", "25:00"),
    ("connection_pool_max_idle_time", "0"),
]

STORAGE_FAULTS = [
    ("group_name", ""), ("group_name", "a/b"), ("group_name", "x" * 17),
    ("group_name", "gr\u00fc\u00dfe"), ("tracker_server", None),
    ("tracker_server", "not an address:1"), ("store_path_count", "0"),
    ("store_path_count", "-1"), ("store_path_count", "2"),
    ("store_path0", "/nonexistent/store"), ("subdir_count_per_path", "0"),
    ("subdir_count_per_path", "257"), ("base_path", None),
    ("accept_threads", "0"), ("work_threads", "0"),
    ("thread_stack_size", "64KB"), ("disk_reader_threads", "-1"),
    ("sync_start_time", ""), ("sync_start_time", "24:30"),
    ("buff_size", "1.5GB"), ("run_by_user", "no-such-user"),
    ("bind_addr", "203.0.113.77"),
]


def refused(daemon, *args):
    done = daemon.run_to_end(*args)
    assert done.returncode not in (0, -6, -11), (
        f"status {done.returncode}: {done.stderr}")
    assert done.stderr.strip(), "an error must be told"
    return done.stderr


def check_fault(daemon, key, value):
    if value is None:
        daemon.conf.pop(key)
    else:
        daemon.conf[key] = value
    told = refused(daemon)
    last = told.strip().splitlines()[-1]
    shown = {"store_path_count": "store_path"}.get(key, key)
    assert shown in told or (value and value in told), told
    assert len(last) < 400, "one sentence, not a page"
    if key not in ("bind_addr", "port", "store_path0", "run_by_user",
                   "run_by_group"):
        assert refused(daemon, "-t")


@pytest.mark.parametrize("key,value", TRACKER_FAULTS)
def test_tracker_configuration_fault_stops_the_start(fresh, key, value):
    check_fault(fresh(start=False).tracker, key, value)


@pytest.mark.parametrize("key,value", STORAGE_FAULTS)
def test_storage_configuration_fault_stops_the_start(fresh, key, value):
    check_fault(fresh(start=False).storage, key, value)


def test_store_group_is_wanted_by_store_lookup_1(fresh):
    made = fresh(start=False, tracker={"store_lookup": 1})
    assert "store_group" in refused(made.tracker)


def test_slot_max_size_must_exceed_slot_min_size(fresh):
    made = fresh(start=False, tracker={"slot_min_size": 1024,
                                       "slot_max_size": 512})
    assert "slot_max_size" in refused(made.tracker)


@pytest.mark.parametrize("text", [None, "", "# nothing\n", "0 group1 1.1.1.1\n",
                                  "x group1 1.1.1.1\n",
                                  "16777216 group1 1.1.1.1\n",
                                  "1 group1 1.1.1.1\n1 group1 1.1.1.2\n",
                                  "1 group1 1.1.1.1\n2 group1 1.1.1.1\n",
                                  "1 group1\n", "1 gr/1 1.1.1.1\n",
                                  "1 group1 1.1.1.1 rw=maybe\n"])
def test_bad_storage_ids_stop_the_start(fresh, text):
    made = fresh(start=False, tracker={
        "use_storage_id": "true", "storage_ids_filename": "ids.conf"})
    if text is not None:
        (made.tracker.base / "ids.conf").write_text(text)
    assert "ids.conf" in refused(made.tracker)


@pytest.mark.parametrize("side", ["tracker", "storage"])
def test_disabled_configuration_ends_with_125(fresh, side):
    daemon = getattr(fresh(start=False), side)
    daemon.conf["disabled"] = "true"
    done = daemon.run_to_end()
    assert done.returncode == 125
    assert "disabled" in done.stderr


@pytest.mark.parametrize("side", ["tracker", "storage"])
def test_missing_include_stops_the_start(fresh, side):
    daemon = getattr(fresh(start=False), side)
    daemon.sections = "#include not-there.conf\n"
    assert "not-there.conf" in refused(daemon)


@pytest.mark.parametrize("side", ["tracker", "storage"])
def test_include_is_taken_and_double_hash_is_a_comment(fresh, side):
    daemon = getattr(fresh(start=False), side)
    (daemon.base / "more.conf").write_text("network_timeout = 17\n")
    daemon.conf.pop("network_timeout")
    daemon.sections = "#include more.conf\n##include not-there.conf\n"
    done = daemon.run_to_end("-t")
    assert done.returncode == 0, done.stderr
    assert re.search(r"network_timeout\s*=\s*17\b", done.stdout)


@pytest.mark.parametrize("side", ["tracker", "storage"])
def test_unknown_key_is_a_warning(fresh, side):
    daemon = getattr(fresh(start=False), side)
    daemon.conf["max_connectoins"] = 7
    done = daemon.run_to_end("-t")
    assert done.returncode == 0, done.stderr
    assert "max_connectoins" in done.stderr + done.stdout


def test_odd_values_are_read_as_upstream_reads_them(fresh):
    made = fresh(start=False)
    node = made.storage
    node.conf.update({"heart_beat_interval": "2m",
                      "use_connection_pool": "TRUE",
                      "file_distribute_rotate_count": "-5",
                      "max_connections": "0", "store_path0":
                      str(node.paths[0]) + "/"})
    done = node.run_to_end("-t")
    assert done.returncode == 0, done.stderr
    for key, value in (("heart_beat_interval", 2),
                       ("file_distribute_rotate_count", 100),
                       ("max_connections", 256)):
        assert re.search(rf"\b{key}\s*=\s*{value}\b", done.stdout), key


def test_a_conf_with_crlf_and_a_bom_is_read(fresh):
    made = fresh(start=False)
    made.tracker.write_conf()
    text = made.tracker.conf_path.read_bytes().replace(b"\n", b"\r\n")
    made.tracker.conf_path.write_bytes(b"\xef\xbb\xbf" + text)
    done = subprocess.run(
        [made.tracker.program, "-t", str(made.tracker.conf_path)],
        capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr


def test_port_in_use_is_told(fresh):
    made = fresh()
    other = fresh(start=False)
    for mine, theirs in ((other.tracker, made.tracker),
                         (other.storage, made.storage)):
        mine.conf["bind_addr"], mine.conf["port"] = theirs.address
        assert str(theirs.address[1]) in refused(mine)


def test_second_daemon_on_the_same_base_path_is_refused(fresh):
    made = fresh()
    for daemon in (made.tracker, made.storage):
        copy = daemon.base / "second.conf"
        text = daemon.conf_path.read_text()
        copy.write_text(re.sub(r"(?m)^port = .*$", "port = 19999", text))
        done = subprocess.run([daemon.program, str(copy)],
                              capture_output=True, text=True, timeout=20,
                              check=False)
        assert done.returncode not in (0, -6, -11)
        assert str(daemon.base) in done.stderr
        assert daemon.answers()
    with made.storage.connect() as conn:
        assert conn.download(conn.upload(b"still here")) == b"still here"


def test_a_foreign_or_reordered_store_path_is_refused(fresh):
    made = fresh(paths=2)
    node = made.storage
    assert node.stop() == 0
    first, second = node.conf["store_path0"], node.conf["store_path1"]
    node.conf["store_path0"], node.conf["store_path1"] = second, first
    told = refused(node)
    assert first in told or second in told
    node.conf["store_path0"], node.conf["store_path1"] = first, second
    node.start()


def test_fewer_sub_directories_than_before_are_refused(fresh):
    made = fresh()
    node = made.storage
    assert node.stop() == 0
    node.conf["subdir_count_per_path"] = 2
    assert "subdir_count_per_path" in refused(node)
    node.conf["subdir_count_per_path"] = 6
    node.start()
    assert (node.paths[0] / "data" / "05" / "05").is_dir()


# --- databases --------------------------------------------------------------------

DATABASES = [("tracker", "tracker.db"), ("storage", "storage.db"),
             ("storage", "catalogue.db")]


def stopped_with_files(fresh):
    made = fresh()
    with made.storage.connect() as conn:
        made.kept = conn.upload(b"kept")
    assert made.storage.stop() == 0
    if made.tracker.alive():
        assert made.tracker.stop() == 0
    return made


@pytest.mark.parametrize("side,name", DATABASES)
def test_a_database_from_a_newer_version_is_refused(fresh, side, name):
    made = stopped_with_files(fresh)
    daemon = getattr(made, side)
    path = daemon.base / "meta" / name
    db = sqlite3.connect(path)
    (version,) = db.execute("PRAGMA user_version").fetchone()
    db.execute("PRAGMA user_version = 9999")
    db.commit()
    db.close()
    told = refused(daemon)
    assert name in told and "9999" in told and str(version) in told
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {version}")
    db.commit()
    db.close()
    made.tracker.start()
    made.storage.start()
    with made.storage.connect() as conn:
        assert conn.download(made.kept) == b"kept"


@pytest.mark.parametrize("side,name", DATABASES)
@pytest.mark.parametrize("how", ["head", "text", "foreign"])
def test_a_damaged_database_is_told_with_the_way_out(fresh, side, name, how):
    made = stopped_with_files(fresh)
    daemon = getattr(made, side)
    path = daemon.base / "meta" / name
    for extra in ("-wal", "-shm"):
        path.with_name(name + extra).unlink(missing_ok=True)
    if how == "head":
        with open(path, "r+b") as file:
            file.write(os.urandom(4096))
    elif how == "text":
        path.write_text("this is not a database, it is a text\n" * 1000)
    else:
        path.unlink()
        db = sqlite3.connect(path)
        db.execute("CREATE TABLE somebody_elses(x)")
        db.commit()
        db.close()
    told = refused(daemon)
    assert name in told
    assert len(told.strip().splitlines()[-1]) < 600
    assert re.search(r"move|remove|rebuild|restore|adopt|delete", told), told


def test_missing_databases_are_made_anew_and_files_stay(fresh):
    made = stopped_with_files(fresh)
    shutil.rmtree(made.storage.base / "meta")
    shutil.rmtree(made.tracker.base / "meta")
    made.tracker.start()
    made.storage.start()
    with made.storage.connect() as conn:
        assert conn.download(made.kept) == b"kept"


def test_no_tracker_is_no_reason_to_end(fresh):
    made = fresh()
    with made.storage.connect() as conn:
        name = conn.upload(b"kept")
        made.tracker.kill()
        assert conn.download(name) == b"kept"
        assert conn.upload(b"more")
    made.tracker.start()
    wait_until(made.storage.active, 15)
    with made.tracker.connect() as conn:
        conn.fails(wire.STORE_GROUP_ONE, wire.group("none"), ENOENT)
