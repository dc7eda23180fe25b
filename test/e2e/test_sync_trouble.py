# SPDX-License-Identifier: MIT
"""Replication where the peer, the time or the log is not as one would wish:
nothing is lost, nobody waits without need, and `fdfs-meta lag` says why."""

import json
import os
import random
import shutil
import sqlite3
import subprocess
import time

import pytest

import agree
import mixload
import wire
from agree import wait_agree
from fakepeer import (APPEND, CLOSE, CREATE, HELLO, REMOVE, UPDATE,
                      FakeStorage)
from faults import ENOSPC, LIBRARY, Faults
from harness import BIN, sqlite3_closing, wait_until
from mixload import Load
from pair import appears, parked, row_of

EROFS = 30
BENCH = BIN.parent / "bench" / "load"

pytestmark = pytest.mark.ours


def synced(one, other):
    with sqlite3_closing(one.oplog()) as db:
        last = db.execute("SELECT max(seq) FROM operation").fetchone()[0] or 0
    row = row_of(one, other)
    return row and row["seq"] == last and row["state"] == "synced"


def in_sync(one, other, deadline=20.0):
    wait_until(lambda: synced(one, other), deadline,
               f"{other.base.name} is in sync")


def lag(made, node, *args):
    """The rows of `fdfs-meta lag` of one source, by peer."""
    done = made.tool("fdfs-meta", "lag", "--db", node.base / "meta", "--json",
                     *args)
    assert done.returncode == 0, done.stderr
    return {row["to"]: row for row in json.loads(done.stdout)["rows"]}


def verify_peers(made, node):
    done = made.tool("fdfs-meta", "verify", "--peers", node.conf_path,
                     deadline=100)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()[-2000:]


def change(node, sql, *args):
    """A change of the log of a storage that does not run."""
    with sqlite3_closing(sqlite3.connect(
            node.base / "meta" / "storage.db")) as db:
        db.execute(sql, args)
        db.commit()


# --- a peer without room ----------------------------------------------------

@pytest.fixture
def small_disk(tmp_path):
    """A store path of a few MiB; gone after the test."""
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "fdfs-test", str(place)],
        capture_output=True, check=False)
    if done.returncode:
        pytest.skip("cannot mount a small tmpfs: " +
                    done.stderr.decode().strip())
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def on_small_disk(several, small_disk, **options):
    made = several(start=False, storages=["ours", "ours"], **options)
    one, other = made.storages
    shutil.rmtree(other.paths[0])
    other.paths = [small_disk]
    other.conf["store_path0"] = str(small_disk)
    made.start()
    return made, one, other


def wait_stalled(made, one, other, word):
    """The pair says that its peer refuses everything, and why."""
    def stalled():
        found = lag(made, one)[other.address[0]]
        return word in (found["why"] or "") and found
    found = wait_until(stalled, 20, f"lag says {word!r}")
    assert found["waiting"] > 0
    return found


@pytest.mark.parametrize("size", [200_000, 9_000_000])
def test_a_peer_whose_disk_is_full_is_waited_for(several, small_disk, size):
    made, one, other = on_small_disk(several, small_disk)
    filler = small_disk / "in the way"
    filler.write_bytes(bytes(3_000_000))
    with one.connect() as conn:
        names = [conn.upload(os.urandom(size)) for _ in range(8)]
        wait_stalled(made, one, other, "o space left")
        since = time.monotonic()
        for _ in range(100):
            names.append(conn.upload(b"clients see nothing of it"))
        assert time.monotonic() - since < 5
        time.sleep(8)
        names.append(conn.upload(b"also later"))
        assert conn.download(names[0])[:10]
        assert parked(one) == []
    assert lag(made, one)[other.address[0]]["waiting"] >= 102
    filler.unlink()
    subprocess.run(["mount", "-o", "remount,size=100m", str(small_disk)],
                   check=True)
    for name in names:
        appears(other, name, 30)
    assert parked(one) == []
    wait_agree([one, other])
    in_sync(one, other)


def test_a_peer_whose_disk_is_read_only_is_waited_for(several, small_disk):
    made, one, other = on_small_disk(several, small_disk)
    with one.connect() as conn:
        appender = conn.upload_appender(b"first")
        gone = conn.upload(b"gone")
        appears(other, gone, 15)
        in_sync(one, other)
        # a bind mount over itself: only that one becomes read-only
        with Remount(small_disk, other):
            conn.append(appender, b", second")
            conn.delete(gone)
            kept = conn.upload(b"kept")
            wait_stalled(made, one, other, "ead-only")
            assert parked(one) == []
            assert conn.download(appender) == b"first, second"
    appears(other, kept, 30)
    wait_agree([one, other])
    in_sync(one, other)
    assert not other.path_of(gone).exists()


class Remount:
    """The small disk is read-only for a while.

    A file system with files that are open for writing cannot be made so:
    the storage is told by the preloaded library instead when it has some.
    """

    def __init__(self, place, node):
        self.place, self.node = place, node

    def _mount(self, how):
        return subprocess.run(["mount", "-o", f"remount,{how}",
                               str(self.place)], capture_output=True,
                              check=False)

    def __enter__(self):
        wait_until(lambda: self._mount("ro").returncode == 0, 10,
                   "the disk is read-only")

    def __exit__(self, *_):
        self._mount("rw")


@pytest.mark.skipif(not LIBRARY.exists(), reason="no fail.so: make fault-lib")
@pytest.mark.parametrize("errno, word", [(ENOSPC, "o space left"),
                                         (EROFS, "ead-only")])
def test_what_a_whole_peer_refuses_is_not_parked(several, errno, word):
    made = several(start=False, storages=["ours", "ours"])
    one, other = made.storages
    faults = Faults(other)
    made.start()
    with one.connect() as conn:
        first = conn.upload(b"first")
        appears(other, first, 15)
        with faults.on("openat,write,pwrite,unlinkat", errno):
            names = [conn.upload(b"%d" % i) for i in range(200)]
            conn.delete(first)
            wait_stalled(made, one, other, word)
            assert parked(one) == []
    for name in names:
        appears(other, name, 15)
    wait_agree([one, other])
    in_sync(one, other)


# --- a peer that refuses one file -------------------------------------------

def with_fake(several, number=190, **options):
    made = several(storages=["ours"], **options)
    return made, made.storages[0], FakeStorage(made, number)


def until_active(fake):
    wait_until(lambda: fake.status() == wire.ACTIVE, 20,
               "the fake peer is ACTIVE")


def test_a_file_answered_with_22_is_parked_and_the_others_go_on(several):
    made, one, fake = with_fake(several)
    with fake, one.connect() as conn:
        until_active(fake)
        before = conn.upload(b"before")
        wait_until(lambda: before in fake.files, 10, "the first is there")
        wait_until(lambda: synced(one, fake), 10, "in sync")
        appender = conn.upload_appender(b"good")
        wait_until(lambda: appender in fake.files, 10, "the appender")
        fake.rule = lambda cmd, name: \
            wire.EINVAL if name == appender else None
        mark = fake.mark()
        conn.append(appender, b", better")
        wait_until(lambda: parked(one), 10, "parked")
        names = [conn.upload(b"%d" % i) for i in range(300)]
        wait_until(lambda: all(n in fake.files for n in names), 15,
                   "the others are there")
        row = parked(one)[0]
        assert (row["name"], row["error"]) == (appender, wire.EINVAL)
        state = row_of(one, fake)
        assert state["state"] == "log" and appender in state["error_text"]
        assert lag(made, one)[fake.ip]["why"]
        # it is tried again, each time later, and not with a handshake
        wait_until(lambda: len([r for r in fake.since(mark, APPEND, UPDATE)
                                if r.name == appender]) >= 3, 20, "tried")
        refused = [r.at for r in fake.since(mark, APPEND, UPDATE)
                   if r.name == appender]
        assert len(refused) < 6
        parked_at = mark + next(i for i, r in enumerate(fake.seen[mark:])
                                if r.name == appender)
        assert not fake.since(parked_at, HELLO)
        # until the peer takes it
        fake.rule = lambda cmd, name: None
        wait_until(lambda: fake.files[appender] == b"good, better", 40,
                   "the appender is there")
        wait_until(lambda: not parked(one), 10, "nothing is parked")
        wait_until(lambda: fake.since(parked_at, HELLO), 10, "a handshake")
        after = conn.upload(b"after")
        wait_until(lambda: after in fake.files, 10, "the last is there")
        wait_until(lambda: synced(one, fake), 10, "in sync")
        last = fake.since(mark, CREATE)[-1]
        assert last.name == after
        assert [r for r in fake.since(mark, HELLO) if r.conn == last.conn]


def test_a_file_that_is_always_refused_is_never_forgotten(several):
    """Idle otherwise: the retries must neither stop nor become a storm."""
    _, one, fake = with_fake(several)
    with fake, one.connect() as conn:
        until_active(fake)
        bad = conn.upload_appender(b"bad")
        wait_until(lambda: bad in fake.files, 10, "the appender")
        wait_until(lambda: synced(one, fake), 10, "in sync")
        fake.rule = lambda cmd, name: wire.EINVAL if name == bad else None
        mark = fake.mark()
        conn.append(bad, b"ger")
        time.sleep(16)  # at about 0, 1, 3, 7, 15 seconds
        tries = [r for r in fake.since(mark, APPEND, UPDATE) if r.name == bad]
        assert 4 <= len(tries) <= 6, tries
        row = parked(one)[0]
        assert row["error"] == wire.EINVAL and row["tries"] == len(tries)
        assert "lost" not in row_of(one, fake)["error_text"]


def test_a_file_at_which_the_connection_is_lost_is_parked(several):
    made, one, fake = with_fake(several)
    with fake, one.connect() as conn:
        until_active(fake)
        first = conn.upload(b"first")
        wait_until(lambda: first in fake.files, 10, "the first is there")
        bad = conn.upload_appender(b"")
        wait_until(lambda: bad in fake.files, 10, "the appender")
        wait_until(lambda: synced(one, fake), 10, "in sync")
        mark = fake.mark()
        fake.rule = lambda cmd, name: CLOSE if name == bad else None
        conn.append(bad, b"this is what it dies of")
        names = [conn.upload(b"%d" % i) for i in range(50)]
        wait_until(lambda: parked(one), 30, "parked")
        losses = [r for r in fake.since(mark, APPEND) if r.name == bad]
        assert len(losses) == 6
        # Several at once for the first three, then one at a time.
        assert [r.alone for r in losses[3:]] == [True] * 3
        wait_until(lambda: all(n in fake.files for n in names), 20,
                   "the others are there")
        assert [row["name"] for row in parked(one)] == [bad]
        assert row_of(one, fake)["state"] != "synced"
        # Its retries hold nobody up either.
        for i in range(12):
            name = conn.upload(b"more %d" % i)
            since = time.monotonic()
            wait_until(lambda n=name: n in fake.files, 5, "another is there")
            time.sleep(max(0.0, 0.7 - time.monotonic() + since))
        assert [row["name"] for row in parked(one)] == [bad]
        tries = len([r for r in fake.seen[mark:] if r.name == bad])
        assert 8 <= tries <= 13
        fake.rule = lambda cmd, name: None
        wait_until(lambda: fake.files[bad] == b"this is what it dies of", 60,
                   "the appender is there")
        wait_until(lambda: synced(one, fake), 20, "in sync")


def test_a_file_that_is_refused_while_a_peer_is_filled(several):
    """The fill goes on, and ends with the file in the list of parked."""
    _, one, fake = with_fake(several)
    with one.connect() as conn:
        names = [conn.upload(b"%d" % i) for i in range(300)]
        bad = sorted(names)[150]
        worse = sorted(names)[200]
        fake.rule = lambda cmd, name: {bad: wire.EINVAL,
                                       worse: CLOSE}.get(name)
        with fake:
            wait_until(lambda: len(fake.files) == 298, 40, "the others")
            until_active(fake)
            assert {r["name"] for r in parked(one)} == {bad, worse}
            fake.rule = lambda cmd, name: None
            wait_until(lambda: len(fake.files) == 300, 60, "all")
            wait_until(lambda: synced(one, fake), 20, "in sync")


# --- the sync window --------------------------------------------------------

def clock(shift):
    return time.strftime("%H:%M", time.localtime(time.time() + shift))


def test_nothing_is_sent_outside_the_window(several):
    made = several(storages=["ours", "ours"])
    one, other = made.storages
    one.stop()
    one.conf.update(sync_start_time=clock(3600), sync_end_time=clock(7200))
    one.start(active=False)
    made.wait_active()
    with one.connect() as conn:
        names = [conn.upload(b"%d" % i) for i in range(20)]
    with other.connect() as conn:
        back = conn.upload(b"the other way is open")
    appears(one, back, 15)
    time.sleep(2)
    assert not any(other.path_of(name).exists() for name in names)
    found = lag(made, one)[other.address[0]]
    assert found["waiting"] == 20 and found["phase"] == "wait"
    assert parked(one) == []
    one.stop()
    one.conf.update(sync_start_time=clock(-3600), sync_end_time=clock(3600))
    one.start(active=False)
    for name in names:
        appears(other, name, 15)
    in_sync(one, other)
    wait_agree([one, other])


@pytest.mark.skipif(not LIBRARY.exists(), reason="no fail.so: make fault-lib")
def test_the_window_opens_by_itself(several):
    made = several(start=False, storages=["ours", "ours"])
    one, other = made.storages
    faults = Faults(one)
    made.start()
    one.stop()
    one.conf.update(sync_start_time=clock(7200), sync_end_time=clock(10800))
    one.start(active=False)
    made.wait_active()
    with one.connect() as conn:
        name = conn.upload(b"not yet")
        time.sleep(1)
        assert not other.path_of(name).exists()
        faults.clock(9000)
        conn.upload(b"wakes nobody outside of it")
        # looked at once a minute, or with the next change of the members
        appears(other, name, 90)
    faults.off()


# --- a log that does not reach back -----------------------------------------

def trim_all(node):
    """The log as it is when log_keep_days and the days have gone by."""
    node.stop()
    change(node, "DELETE FROM operation WHERE seq < "
                 "(SELECT max(seq) FROM operation)")
    node.start(active=False)


def test_who_is_not_the_source_and_has_no_log_sends_its_files(several):
    """Both fill the new member: each may have taken files that the other
    never had when the moment was agreed."""
    made = several(storages=["ours", "ours"])
    one, other = made.storages
    model = mixload.run(made.storages, 400, seed=20)
    wait_agree(made.storages, model)
    for node in made.storages:
        trim_all(node)
    made.wait_active()
    fresh = made.add_storage("ours")
    fresh.start(60)
    model = mixload.run(made.storages, 200, seed=21, model=model)
    wait_agree(made.storages, model)
    for node in made.storages:
        verify_peers(made, node)
    with sqlite3_closing(other.catalogue()) as db:
        count = db.execute("select count(*) from files").fetchone()[0]
    assert count > 0
    rows = [row_of(node, fresh) for node in (one, other)]
    assert sorted(row["source"] for row in rows) == [0, 1]
    assert all(row["filled"] for row in rows)
    assert all(row["fill_files_all"] > 0 for row in rows)


# --- a member that is deleted -----------------------------------------------

def delete_member(made, node):
    with made.tracker.connect() as conn:
        wait_until(lambda: conn.call(
            wire.DELETE_STORAGE,
            wire.group() + node.address[0].encode()).status == 0, 15,
            "the tracker deletes the member")


@pytest.mark.parametrize("disk", ["empty", "old"])
def test_a_member_that_was_deleted_comes_back(several, disk):
    made = several(storages=["ours"] * 3)
    one, two, three = made.storages
    model = mixload.run(made.storages, 300, seed=30)
    wait_agree(made.storages, model)
    three.stop()
    delete_member(made, three)
    wait_until(lambda: row_of(one, three) is None and
               row_of(two, three) is None, 30, "its peers forget it")
    model = mixload.run([one, two], 300, seed=31, model=model)
    with one.connect() as conn:
        # What the member still holds, and nobody else any more.
        for file in [f for f in model.files.values() if f.node is one][:20]:
            conn.delete(file.name)
            model.drop(file)
        for file in [f for f in model.files.values() if f.node is one and
                     f.kind == "appender" and f.content and not f.meta][:5]:
            renamed = conn.done(wire.REGENERATE, file.name.encode())
            model.drop(file)
            model.add(mixload.File(renamed[16:].decode(), one, "regenerated",
                                   file.content))
    if disk == "empty":
        shutil.rmtree(three.base)
        three.base.mkdir()
        three.paths[0].mkdir()
    three.start(60)
    model = mixload.run(made.storages, 300, seed=32, model=model)
    wait_agree(made.storages, model, 60)
    agree.verify_ours(made, made.storages)
    for node in (one, two):
        in_sync(node, three)


# --- a source that dies while it fills --------------------------------------

@pytest.mark.parametrize("seed", range(4))
def test_a_source_that_is_killed_while_it_fills(several, seed):
    dice = random.Random(seed)
    made = several(storages=["ours"], paths=2)
    one = made.storages[0]
    model = mixload.run([one], 1500, seed=40 + seed, keep=400,
                        sizes=(0, 100, 4096, 40_000))
    fresh = made.add_storage("ours")
    fresh.start(active=False)
    for turn in range(4):
        time.sleep(dice.random() * (0.05, 0.4, 1.5)[turn % 3])
        one.kill()
        one.start(active=False)
        if turn % 2:
            model = mixload.run([one], 40, seed=turn, model=model)
    made.wait_active()
    model = mixload.run(made.storages, 100, seed=90, model=model)
    wait_agree(made.storages, model, 60)
    for node in made.storages:
        verify_peers(made, node)
    agree.verify_ours(made, made.storages)


# --- when ACTIVE is said ----------------------------------------------------

def until_of(one, other):
    row = row_of(one, other)
    return row["until"] if row else 0


def test_active_means_that_everything_until_then_is_there(several):
    made = several(storages=["ours"] * 2)
    taken = []  # (unix time of the answer, name, content)
    model = mixload.run(made.storages, 1200, seed=50, keep=400)
    fresh = made.add_storage("ours")

    class Noting(mixload.Worker):
        def upload(self, conn, node, _):
            content = self.data()
            super().create(conn, node, wire.UPLOAD,
                           wire.upload_body(content, "bin"), "normal",
                           content)
            taken.append((time.time(), self.files[-1].name, content))

        def delete(self, conn, node, file):
            """What is looked at must stay."""

    load = Load(made.storages[:2], workers=4, seed=51, model=model,
                operations=("upload", "upload", "append", "appender", "meta"),
                keep=10**6, pause=0.002)
    load.workers = [Noting(load, 51 + i) for i in range(4)]
    with load:
        fresh.launch()
        while not fresh.active():
            time.sleep(0.002)
        missing = {name for _, name, _ in taken
                   if not fresh.path_of(name).exists()}
        source = next(n for n in made.storages[:2]
                      if row_of(n, fresh)["source"])
        until = until_of(source, fresh)
        other = next(n for n in made.storages[:2] if n is not source)
        early = [t for t in taken if t[0] < until]
        # The other member's own files of the last moments may have been on
        # their way to the source: those come from it, right after.
        own = wire.decode_name
        for when, name, content in early:
            if name in missing:
                kept = own(name).source == own_address(other)
                assert kept and when > until - 2, (name, when, until)
            else:
                assert fresh.path_of(name).read_bytes() == content
        time.sleep(1)
    wait_agree(made.storages, model, 60)
    agree.verify_ours(made, made.storages)


def own_address(node):
    return bytes(map(int, node.address[0].split(".")))


# --- what lag says ----------------------------------------------------------

def truth(one, other):
    """(operations, bytes) that the peer has not got, from the databases."""
    with sqlite3_closing(other.oplog()) as db:
        there = {tuple(r) for r in db.execute(
            "SELECT name, op FROM operation WHERE replica = 1")}
    ops = size = 0
    with sqlite3_closing(one.oplog()) as db:
        for row in db.execute("SELECT name, op, bytes FROM operation "
                              "WHERE replica = 0"):
            if (row["name"], row["op"]) not in there:
                ops += 1
                size += row["bytes"]
    return ops, size


def pair_of_top(made, one, other):
    done = made.tool("fdfs-top", "-b", "--once", "--json", "--db",
                     one.base / "meta", "sync", deadline=60)
    assert done.returncode in (0, 1), done.stderr
    shot = json.loads(done.stdout)
    return next(p for p in shot["pairs"]
                if (p["from"], p["to"]) == (one.address[0], other.address[0]))


def says(made, one, other, ops, size):
    """lag, view 5 and its text give these very numbers."""
    row = lag(made, one)[other.address[0]]
    assert (row["waiting"], row["size"], row["exact"]) == (ops, size, True)
    pair = pair_of_top(made, one, other)
    assert (pair["waiting"], pair["waiting_bytes"]) == (ops, size)
    assert pair["bound"] == "exact"
    return row, pair


@pytest.mark.limit(240)
def test_lag_counts_down_truthfully_after_a_long_absence(several):
    made = several(storages=["ours", "ours"])
    one, other = made.storages
    with one.connect() as conn:
        conn.upload(b"first")
    in_sync(one, other)
    says(made, one, other, 0, 0)
    other.stop()
    load = [str(BENCH), "--storage", "%s:%d" % one.address, "--json",
            "--op", "upload", "--size", "1k", "-c", "16", "--count", "20000"]
    subprocess.run(load, check=True, capture_output=True, timeout=100)
    with one.connect() as conn:
        grown = conn.upload_appender(b"x" * 10)
        for _ in range(500):
            conn.append(grown, b"y" * 7)
        for _ in range(500):
            conn.delete(conn.upload(b"z" * 100))
    # stopped: everything waits, to the byte
    ops, size = truth(one, other)
    assert ops >= 21500
    row, pair = says(made, one, other, ops, size)
    assert row["oldest"] > 0 and row["phase"] in ("down", "wait")
    files = made.tool("fdfs-meta", "lag", "--db", one.base / "meta",
                      "--files", "--json", deadline=60)
    listed = json.loads(files.stdout)["rows"]
    assert sum(f["operations"] for f in listed) == ops
    # catching up: the peer cannot go on while it is stopped, so what is on
    # its way does not move; what it has answered is what lag leaves out
    one.stop()
    one.conf["sync_interval"] = 1
    one.start(active=False)
    other.start(active=False)
    made.wait_active()
    counts = []
    for _ in range(3):
        wait_until(lambda: lag(made, one)[other.address[0]]["waiting"] <
                   (counts or [ops])[-1] - 100, 60, "it goes on")
        one.stop()
        there = counted(one, other)[0]
        missing, left = after(one, row_of(one, other)["seq"])
        # the one request under way may have been carried out unanswered
        assert missing - there in (0, 1) and 0 < missing < ops
        row, pair = says(made, one, other, missing, left)
        assert row["why"] == "the sender is stopped"
        counts.append(missing)
        one.start(active=False)
    assert counts == sorted(counts, reverse=True)
    one.stop()
    one.conf["sync_interval"] = 0
    one.start(active=False)
    wait_until(lambda: lag(made, one)[other.address[0]]["phase"] in
               ("log", "synced"), 20, "it sends")
    seen = [counts[-1]]
    while seen[-1]:
        seen.append(lag(made, one)[other.address[0]]["waiting"])
        assert seen[-1] <= seen[-2]
    in_sync(one, other, 60)
    says(made, one, other, 0, 0)
    wait_agree([one, other], deadline=60)


def counted(one, other):
    """What waits after a clean stop: own rows that the peer has no row of.

    Each own row is one row of the peer, in the same order, so their number
    says how many are left; appends and deletes included.
    """
    with sqlite3_closing(other.oplog()) as db:
        last = db.execute(
            "SELECT name, op FROM operation WHERE replica = 1 "
            "ORDER BY seq DESC LIMIT 1").fetchone()
        have = db.execute("SELECT count(*) FROM operation WHERE replica = 1 "
                          "AND name = ? AND op = ?", tuple(last)).fetchone()[0]
    with sqlite3_closing(one.oplog()) as db:
        at = db.execute(
            "SELECT seq FROM operation WHERE replica = 0 AND name = ? AND "
            "op = ? ORDER BY seq LIMIT 1 OFFSET ?",
            (last["name"], last["op"], have - 1)).fetchone()[0]
    return after(one, at)


def after(one, seq):
    """(operations, bytes) of its own behind a place in the log."""
    with sqlite3_closing(one.oplog()) as db:
        return tuple(db.execute(
            "SELECT count(*), coalesce(sum(bytes), 0) FROM operation "
            "WHERE replica = 0 AND seq > ?", (seq,)).fetchone())
