# SPDX-License-Identifier: MIT
"""Everything stands in SQLite, readable by anybody, while it runs and after."""

import os
import sqlite3
import subprocess
import time

import pytest

import wire
from harness import Cluster, sqlite3_closing, wait_until
from wire import crc32

pytestmark = pytest.mark.ours


def shell(path, sql):
    """What `sqlite3 -readonly` prints."""
    done = subprocess.run(["sqlite3", "-readonly", str(path), sql],
                          capture_output=True, text=True, timeout=20,
                          check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def rows(database, sql, *args):
    with sqlite3_closing(database) as db:
        return db.execute(sql, args).fetchall()


def file_row(node, name):
    found = rows(node.catalogue(), "select * from files where remote = ?",
                 name)
    return found[0] if found else None


def wait_file(node, remote, deadline=1.0, **want):
    """The row of a file, within a second of the reply."""
    def there():
        row = file_row(node, remote)
        if row and all(row[key] == value for key, value in want.items()):
            return row
        return None
    return wait_until(there, deadline, f"{remote} is in the catalogue")


def test_an_uploaded_file_is_found_within_a_second(cluster, storage):
    node = cluster.storage
    before = time.time()
    data = os.urandom(12345)
    name = storage.upload(data, "pdf")
    storage.set_meta(name, b"filename\x02Q3 invoice.pdf\x01author\x02lin")
    row = wait_file(node, name, name="Q3 invoice.pdf")
    assert row["id"] == "group1/" + name
    assert row["size"] == 12345
    assert row["type"] == "normal"
    assert row["ext"] == "pdf"
    assert row["crc"] == f"{crc32(data):08x}"
    assert row["source"] == node.address[0]
    assert row["client"].split(":")[0] == storage.local[0]
    assert before - 2 <= row["created_ms"] / 1000 <= time.time() + 1
    path = node.base / "meta" / "catalogue.db"
    assert shell(path, "select id from files where name='Q3 invoice.pdf' "
                 "and size between 12000 and 13000 and "
                 f"created_ms > {int(before - 2) * 1000}") == row["id"]
    assert shell(path, "select value from meta where key='author' and "
                 f"remote='{name}'") == "lin"


@pytest.mark.limit(60)
def test_the_catalogue_is_at_most_a_second_behind(cluster, storage):
    for i in range(20):
        wait_file(cluster.storage, storage.upload(b"%d" % i), 1.0)


def test_every_operation_stands_in_the_log(cluster, storage):
    node = cluster.storage
    start = rows(node.oplog(), "select coalesce(max(seq), 0) from operations"
                 )[0][0]
    name = storage.upload_appender(b"0123", "log")
    storage.append(name, b"45")
    storage.modify(name, 1, b"AB")
    storage.truncate(name, 5)
    storage.set_meta(name, b"b\x022\x01a\x021")
    slave = storage.upload_slave(name, "_thumbnail", b"slave")
    new = storage.done(wire.REGENERATE, name.encode())[16:].decode()
    storage.delete(slave)
    got = rows(node.oplog(), "select * from operations where seq > ? "
               "order by seq", start)
    assert [(row["op"], row["remote"]) for row in got] == [
        ("C", name), ("A", name), ("M", name), ("T", name), ("U", name),
        ("C", slave), ("R", new), ("D", slave)]
    sizes = [row["size"] for row in got[:4]]
    assert sizes == [4, 6, 6, 5]
    assert (got[1]["offset"], got[1]["bytes"]) == (4, 2)
    assert (got[2]["offset"], got[2]["bytes"]) == (1, 2)
    assert bytes(got[4]["extra"]) == b"a\x021\x01b\x022"
    assert got[6]["other"] == name
    assert all(row["replica"] == 0 for row in got)
    assert all(row["client"].split(":")[0] == storage.local[0]
               for row in got)
    wait_file(node, new, 2, size=5)
    assert file_row(node, name) is None


def test_a_success_reply_means_that_the_record_is_there(cluster, storage):
    """No waiting here: the log is written before the reply leaves."""
    for i in range(50):
        name = storage.upload(b"%d" % i)
        assert rows(cluster.storage.oplog(), "select op from operations "
                    "where remote = ?", name)[0][0] == "C"
        storage.delete(name)
        assert rows(cluster.storage.oplog(), "select op from operations "
                    "where remote = ? order by seq desc", name)[0][0] == "D"


def test_a_refused_request_leaves_no_record(cluster, storage):
    node = cluster.storage
    count = "select count(*) from operations"
    before = rows(node.oplog(), count)[0][0]
    normal = storage.upload(b"x")
    for cmd, body in (
            (wire.APPEND, wire.append_body(normal, b"x")),
            (wire.UPLOAD, wire.upload_body(b"x", path=7)),
            (wire.DELETE, wire.file_ref("M00/00/00/" + "A" * 34))):
        with node.connect() as conn:
            assert conn.call(cmd, body).status != 0
    assert rows(node.oplog(), count)[0][0] == before + 1


def test_deleted_files_become_tombstones(cluster, storage):
    node = cluster.storage
    name = storage.upload(b"gone soon", "tmp")
    wait_file(node, name)
    storage.delete(name)

    def dead():
        found = rows(node.catalogue(),
                     "select * from deleted where remote = ?", name)
        return found and found[0]
    row = wait_until(dead, 2, "the tombstone")
    assert file_row(node, name) is None
    assert row["size"] == 9 and row["ext"] == "tmp"
    assert row["deleted_by"].split(":")[0] == storage.local[0]
    assert row["deleted_ms"] >= row["created_ms"]


def test_metadata_follows_overwrite_merge_and_clear(cluster, storage):
    node = cluster.storage
    name = storage.upload(b"x")

    def stored():
        return dict(tuple(row) for row in rows(
            node.catalogue(), "select key, value from meta where remote = ?",
            name))
    storage.set_meta(name, b"a\x021\x01b\x022")
    wait_until(lambda: stored() == {"a": "1", "b": "2"}, 2)
    storage.set_meta(name, b"b\x02two\x01c\x023", b"M")
    wait_until(lambda: stored() == {"a": "1", "b": "two", "c": "3"}, 2)
    storage.set_meta(name, b"", b"O")
    wait_until(lambda: stored() == {}, 2)


def test_hostile_metadata_is_kept_as_text(cluster, storage):
    node = cluster.storage
    name = storage.upload(b"x")
    storage.set_meta(name, b"'; drop table file; --\x02\xff\xfe\x1b[2J"
                     b"\x01\xe5\x8f\x91\xe7\xa5\xa8\x02\xe2\x9c\x93")
    wait_until(lambda: len(rows(
        node.catalogue(), "select key from meta where remote = ?",
        name)) == 2, 2)
    assert shell(node.base / "meta" / "catalogue.db",
                 f"select value from meta where key='发票' and "
                 f"remote='{name}'") == "✓"
    assert file_row(node, name)


def test_roll_ups_agree_with_the_files(cluster, storage):
    node = cluster.storage
    for i in range(10):
        name = storage.upload(os.urandom(100 * i), "dat")
        if i % 3 == 0:
            storage.delete(name)
    last = rows(node.oplog(), "select max(seq) from operations")[0][0]
    wait_until(lambda: rows(node.catalogue(), "select seq from cursor")
               [0][0] >= last, 3)
    with sqlite3_closing(node.catalogue()) as db:
        for table in ("usage_day", "usage_size", "usage_dir"):
            told = db.execute(f"select sum(files), sum(bytes) from {table}"
                              ).fetchone()
            real = db.execute("select count(*), sum(size) from files"
                              ).fetchone()
            assert tuple(told) == tuple(real), table


def test_samples_and_events_are_recorded(cluster):
    node = cluster.storage
    wait_until(lambda: rows(node.catalogue(),
                            "select 1 from samples limit 1"), 25,
               "the storage samples itself")
    wait_until(lambda: rows(cluster.tracker.database(),
                            "select 1 from samples limit 1"), 25,
               "the tracker samples its storages")
    assert rows(cluster.tracker.database(),
                "select 1 from events limit 1"), "a join is an event"


def test_the_tracker_records_status_changes_with_their_reason(fresh):
    made = fresh()
    made.storage.stop()
    wait_until(lambda: made.tracker.sees(made.storage).status
               != wire.ACTIVE, 10)

    def told():
        with sqlite3_closing(made.tracker.database()) as db:
            return db.execute(
                "select text from events where subject like ? "
                "order by id desc", (f"%{made.storage.address[0]}%",)
            ).fetchall()
    wait_until(lambda: len(told()) >= 2, 5, "events about the storage")


DATABASES = [("tracker", "tracker.db"), ("storage", "storage.db"),
             ("storage", "catalogue.db")]


@pytest.mark.parametrize("side,name", DATABASES)
def test_databases_say_what_they_are(cluster, side, name):
    path = getattr(cluster, side).base / "meta" / name
    assert int(shell(path, "pragma application_id")) != 0
    assert int(shell(path, "pragma user_version")) >= 1
    assert shell(path, "pragma journal_mode") == "wal"
    assert shell(path, "pragma integrity_check") == "ok"
    assert shell(path, "pragma foreign_key_check") == ""
    for (sql,) in rows(sqlite3.connect(f"file:{path}?mode=ro", uri=True),
                       "select sql from sqlite_master where type = 'table' "
                       "and sql not null and name not like 'sqlite_%'"):
        assert "STRICT" in sql.upper(), sql


def test_readable_while_running_and_after_a_stop():
    with Cluster("readable") as made:
        node = made.storage
        with node.connect() as conn:
            name = conn.upload(b"x")
        catalogue = node.base / "meta" / "catalogue.db"
        wait_file(node, name)
        ask = f"select count(*) from files where remote='{name}'"
        assert shell(catalogue, ask) == "1"
        assert node.stop() == 0
        assert shell(catalogue, ask) == "1"
        log = node.base / "meta" / "storage.db"
        assert shell(log, "select op from operations "
                     f"where remote='{name}'") == "C"
        assert made.tracker.stop() == 0
        assert shell(made.tracker.base / "meta" / "tracker.db",
                     "pragma integrity_check") == "ok"
        for base in (node.base, made.tracker.base):
            for db in (base / "meta").glob("*.db"):
                assert db.with_name(db.name + "-wal").exists(), \
                    "read-only users need the -wal and -shm files"


def test_a_reader_with_an_open_snapshot_stops_nobody(cluster, storage):
    with sqlite3_closing(cluster.storage.catalogue()) as db, \
            sqlite3_closing(cluster.storage.oplog()) as log:
        db.execute("begin")
        db.execute("select count(*) from files").fetchone()
        log.execute("begin")
        log.execute("select count(*) from operations").fetchone()
        names = [storage.upload(b"x") for _ in range(200)]
        wait_file(cluster.storage, names[-1])


def test_nobody_else_can_lock_the_log_for_long(cluster, storage):
    """A foreign writer delays, but an acknowledged operation stays true."""
    path = cluster.storage.base / "meta" / "storage.db"
    db = sqlite3.connect(path, timeout=1, isolation_level=None)
    try:
        db.execute("begin immediate")
    except sqlite3.OperationalError:
        return  # the daemon holds it: nobody else can write at all
    finally:
        db.close()
    name = storage.upload(b"after the lock")
    assert rows(cluster.storage.oplog(), "select op from operations "
                "where remote = ?", name)[0][0] == "C"
