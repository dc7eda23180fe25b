# SPDX-License-Identifier: MIT
"""The sending side of replication: what is sent again, refused, parked."""

import random
import shutil
import sqlite3
import threading
import time

import pytest

import wire
from agree import wait_agree
from fakepeer import RENAME, TRUNCATE, UPDATE, FakeStorage
from faults import EIO, ENOSPC, LIBRARY, Faults
from harness import sqlite3_closing, wait_until
from pair import appears, parked, row_of

pytestmark = pytest.mark.ours


def pair(several, **options):
    made = several(storages=["ours", "ours"], **options)
    one, other = made.storages
    return one, other


def last_of(one):
    with sqlite3_closing(one.oplog()) as db:
        return db.execute("SELECT max(seq) FROM operation").fetchone()[0] or 0


def in_sync(one, other):
    def done():
        row = row_of(one, other, "seq, state")
        return row and row["seq"] == last_of(one) and row["state"] == "synced"
    wait_until(done, 15, "in sync")


def change_at_random(conn, dice, steps):
    """Appenders that grow, shrink, are renamed and deleted."""
    files = {}
    for _ in range(steps):
        what = dice.choice(["new", "append", "append", "modify", "modify",
                            "truncate", "truncate", "meta", "rename",
                            "delete"])
        if what == "new" or not files:
            data = dice.randbytes(dice.randint(0, 60))
            files[conn.upload_appender(data)] = data
            continue
        name = dice.choice(sorted(files))
        data = files[name]
        more = dice.randbytes(dice.randint(1, 20))
        if what == "append":
            conn.append(name, more)
            files[name] = data + more
        elif what == "modify":
            at = dice.randint(0, len(data))
            conn.modify(name, at, more)
            files[name] = data[:at] + more + data[at + len(more):]
        elif what == "truncate":
            size = dice.randint(0, 60)
            conn.truncate(name, size)
            files[name] = data[:size].ljust(size, b"\0")
        elif what == "meta":
            conn.set_meta(name, wire.pack_meta({"n": more.hex()}))
        elif what == "delete":
            conn.delete(name)
            del files[name]
        elif data:
            del files[name]
            conn.done(wire.REGENERATE, name.encode())
    return files


@pytest.mark.parametrize("seed", range(3))
def test_rows_sent_again_from_anywhere_change_nothing(several, seed):
    """As after a crash of the source that lost its place in the log."""
    dice = random.Random(seed)
    one, other = pair(several)
    with one.connect() as conn:
        change_at_random(conn, dice, 400)
    in_sync(one, other)
    for _ in range(4):
        one.stop()
        with sqlite3_closing(sqlite3.connect(
                one.base / "meta" / "storage.db")) as db:
            db.execute("UPDATE follower SET seq = ? WHERE name = ?",
                       (dice.randint(0, last_of(one)), other.address[0]))
            db.commit()
        one.start()
        with one.connect() as conn:
            change_at_random(conn, dice, 60)
        in_sync(one, other)
        wait_agree([one, other])


def test_a_file_that_the_peer_cannot_take_is_parked_and_tried_again(several):
    one, other = pair(several)
    with one.connect() as conn:
        bad = conn.upload_appender(b"first")
        appears(other, bad)
        in_sync(one, other)
        place = other.path_of(bad)
        place.unlink()
        (place / "in the way").mkdir(parents=True)
        # an append would be answered "is there"
        conn.truncate(bad, 3)
        wait_until(lambda: parked(one), 10, "parked")
        # nobody waits for it
        good = conn.upload(b"another")
        appears(other, good)
    row = parked(one)[0]
    assert row["name"] == bad
    assert row["error"] > 0 and row["error_text"]
    state = row_of(one, other)
    assert state["state"] != "synced"
    assert state["errors"] > 0 and bad in state["error_text"]
    shutil.rmtree(place)
    wait_until(lambda: not parked(one), 30, "no longer parked")
    assert place.read_bytes() == b"fir"
    in_sync(one, other)
    wait_agree([one, other])


def test_the_row_of_the_pair_tells_what_was_sent(several):
    one, other = pair(several)
    in_sync(one, other)
    before = row_of(one, other)
    with one.connect() as conn:
        names = [conn.upload(b"x" * 1000) for _ in range(50)]
    for name in names:
        appears(other, name)
    in_sync(one, other)
    after = row_of(one, other)
    assert after["sent_ops"] - before["sent_ops"] == 50
    assert after["sent_bytes"] - before["sent_bytes"] == 50000
    assert after["address"] == "%s:%d" % other.address
    assert after["errors"] == before["errors"]


def test_a_peer_that_is_gone_is_told_and_waited_for(several):
    one, other = pair(several)
    in_sync(one, other)
    other.kill()
    with one.connect() as conn:
        name = conn.upload(b"while it was away")
    wait_until(lambda: row_of(one, other)["state"] in ("down", "wait"), 15,
               "the pair is down")
    other.start()
    appears(other, name, 20)
    in_sync(one, other)
    time.sleep(0.3)
    wait_agree([one, other])


def test_a_rest_after_each_operation_is_kept(several):
    one, other = pair(several, storage={"sync_interval": 100})
    in_sync(one, other)
    since = time.monotonic()
    with one.connect() as conn:
        names = [conn.upload(b"%d" % i) for i in range(10)]
    for name in names:
        appears(other, name)
    assert time.monotonic() - since > 0.8


def test_what_is_parked_before_a_rename_comes_after_it(several):
    """The peer renames a file that it has not brought up to date."""
    made = several()
    one = made.storage

    def rule(cmd, _):
        late = cmd in (TRUNCATE, UPDATE) and not renamed.is_set()
        return EIO if late else None

    renamed = threading.Event()
    with FakeStorage(made, rule=rule) as peer:
        wait_until(lambda: peer.status() == wire.ACTIVE, 30, "ACTIVE")
        with one.connect() as conn:
            old = conn.upload_appender(b"first")
            wait_until(lambda: old in peer.files, 10, "it is there")
            conn.truncate(old, 2)
            wait_until(lambda: parked(one), 10, "parked")
            renamed.set()
            new = conn.done(wire.REGENERATE, old.encode())[16:].decode()
        wait_until(lambda: peer.files.get(new) == b"fi", 15, "as it is")
        wait_until(lambda: old not in peer.files, 15, "the old one is gone")
        wait_until(lambda: not parked(one), 15, "nothing is parked")
        assert RENAME in [request.cmd for request in peer.seen]


@pytest.mark.skipif(not LIBRARY.exists(), reason="no fail.so: make fault-lib")
def test_metadata_that_both_disks_refuse_arrive_in_the_end(several):
    """Ours later than the peer's: there is no look at ours before it."""
    made = several(start=False)
    one = made.storage
    faults = Faults(one)
    made.start()
    refused = set()

    def rule(cmd, name):
        if cmd != UPDATE or name in refused:
            return None
        refused.add(name)
        return EIO

    with FakeStorage(made, rule=rule) as peer:
        wait_until(lambda: peer.status() == wire.ACTIVE, 30, "ACTIVE")
        with one.connect() as conn:
            names = [conn.upload(b"%d" % i) for i in range(30)]
            wait_until(lambda: peer.files.keys() >= set(names), 10, "there")
            with faults.on("openat,rename,write,pwrite", ENOSPC, every=1):
                for name in names:
                    answer = conn.call(wire.SET_META, wire.meta_body(
                        name, wire.pack_meta([("a", "b")])))
                    assert answer.status == ENOSPC
        wait_until(lambda: peer.files.keys() >= {n + "-m" for n in names},
                   30, "the metadata are there")
