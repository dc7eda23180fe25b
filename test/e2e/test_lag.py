# SPDX-License-Identifier: MIT
"""fdfs-meta lag: who waits for what, from logs and trackers' databases that
are made by hand here."""

import csv
import io
import json
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from harness import Cluster, program, wait_until

SCHEMA = Path(__file__).resolve().parents[2] / "schema"
LOG_ID, TRACKER_ID = 0x46444c47, 0x46445452

pytestmark = pytest.mark.ours


def make_database(path, kind, application_id, version=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path, isolation_level=None)
    files = sorted((SCHEMA / kind).glob("*.sql"))[:version]
    for file in files:
        sql = "\n".join(
            (SCHEMA / line.split()[1]).read_text()
            if line.startswith("--include ") else line
            for line in file.read_text().splitlines())
        db.executescript(sql)
    db.executescript(f"PRAGMA application_id = {application_id};"
                     f"PRAGMA user_version = {len(files)};")
    return db


class Log:
    """The log of a storage, written row by row."""

    def __init__(self, path, own_id="100001", group="group1"):
        self.path = path
        self.db = make_database(path, "storage", LOG_ID)
        self.db.executemany("INSERT INTO mark VALUES (?, ?)", [
            ("identity_group", group), ("identity_own_id", own_id)])
        self.n = self.own = self.own_bytes = self.bytes = 0

    def operation(self, name, op="C", size=1000, age=0.0, replica=0):
        self.n += 1
        self.bytes += size
        self.own += not replica
        self.own_bytes += 0 if replica else size
        self.db.execute(
            "INSERT INTO operation VALUES "
            "(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (self.n, int((time.time() - age) * 1000), op, replica, 0, name,
             size, 0, size, 0, "10.0.0.9", None, self.bytes, self.own,
             self.own_bytes))

    def peer(self, name, seq, state="log", **columns):
        columns = {"filled": 1, **columns, "name": name, "seq": seq,
                   "moved_ms": 0, "state": state}
        self.db.execute(
            f"INSERT OR REPLACE INTO follower ({','.join(columns)}) "
            f"VALUES ({','.join('?' * len(columns))})",
            list(columns.values()))

    def park(self, peer, name):
        self.db.execute(
            "INSERT INTO parked VALUES (?,?,1,'C',?,28,"
            "'no space left on device',3,?,?)",
            (peer, name, int(time.time()) - 500, 0, 0))


@pytest.fixture
def log(tmp_path):
    made = Log(tmp_path / "meta" / "storage.db")
    for i in range(1, 11):
        made.operation(f"M00/00/00/f{i}.txt", age=100 - i)
    made.peer("catalogue", 10, state="")
    yield made
    made.db.close()


def lag(*args, status=0):
    done = subprocess.run([program("fdfs-meta"), "lag", *map(str, args)],
                          capture_output=True, timeout=60, text=True)
    assert done.returncode == status, (args, done.stdout, done.stderr)
    return done


def rows(*args):
    text = lag(*args, "--json").stdout
    return {(row["from"], row["to"]): row for row in json.loads(text)["rows"]}


def test_a_log_in_reach_is_counted_exactly(log):
    log.operation("M00/00/00/theirs", replica=1, age=1)
    log.peer("100002", 11, state="synced")
    log.peer("100003", 4, rate_bytes=600)
    found = rows("--db", log.path.parent)
    assert found["100001", "100002"]["waiting"] == 0
    assert found["100001", "100002"]["oldest"] is None
    row = found["100001", "100003"]
    assert (row["waiting"], row["size"], row["exact"]) == (6, 6000, True)
    assert row["group"] == "group1" and row["phase"] == "log"
    assert 95 <= row["oldest"] <= 125
    assert row["sent"] == 600 and row["drained"] == 11


def test_people_see_who_waits_and_programs_all(log):
    log.peer("100002", 10, state="synced")
    log.peer("100003", 4)
    log.peer("100004", 10, state="fill", filled=0, fill_files=63,
             fill_files_all=100, fill_bytes=6300, fill_bytes_all=10000)
    done = lag("--db", log.path, "-v")
    assert "100002" not in done.stdout
    assert "first copy, 63 %" in done.stdout
    assert "1 other pair in sync" in done.stderr
    table = list(csv.DictReader(io.StringIO(
        lag("--db", log.path, "--csv").stdout)))
    assert [row["to"] for row in table] == ["100002", "100003", "100004"]
    assert table[2]["waiting"] == "37" and table[2]["size"] == "3700"
    assert "100002" in lag("--db", log.path, "100002").stdout


def test_nothing_waits(log):
    log.peer("100002", 10, state="synced")
    done = lag("--db", log.path)
    assert done.stdout == "" and "nothing waits" in done.stderr


def test_pairs_are_chosen_by_storage_group_or_pair(log):
    log.peer("100002", 4)
    log.peer("100003", 4)
    both = {("100001", "100002"), ("100001", "100003")}
    assert set(rows("--db", log.path, "group1")) == both
    assert set(rows("--db", log.path, "100001")) == both
    for name in ("100001,100003", "100001->100003", "100001→100003"):
        assert set(rows("--db", log.path, name)) == {("100001", "100003")}
    done = lag("--db", log.path, "100009", status=1)
    assert "no pair of storages is known by the name 100009" in done.stderr


def test_the_very_files_are_listed(log):
    log.operation("M00/00/00/f10.txt", op="A", size=50)
    log.operation("M00/00/00/theirs", replica=1)
    log.peer("100002", 11, state="synced")
    log.peer("100003", 8)
    log.park("100003", "M00/00/00/bad.txt")
    text = lag("--db", log.path, "--files", "--json").stdout
    found = json.loads(text)["rows"]
    assert [row["id"] for row in found] == [
        "group1/M00/00/00/bad.txt", "group1/M00/00/00/f9.txt",
        "group1/M00/00/00/f10.txt"]
    assert found[0]["parked"] and found[0]["tries"] == 3
    assert found[0]["error"] == "no space left on device"
    assert found[2]["operations"] == 2 and found[2]["bytes"] == 1050
    assert {row["to"] for row in found} == {"100003"}
    text = lag("--db", log.path, "--files", "-n", 2, "--csv").stdout
    assert len(text.splitlines()) == 3


def test_a_clean_stop_of_the_sender_is_told(log):
    log.peer("100003", 8, rate_bytes=900)
    log.db.execute("INSERT INTO mark VALUES ('state', 'clean')")
    row = rows("--db", log.path)["100001", "100003"]
    assert row["why"] == "the sender is stopped"
    assert row["sent"] == 0 and row["drained"] is None


def test_wait_ends_when_nothing_waits(log):
    log.peer("100003", 8)
    log.park("100003", "M00/00/00/bad.txt")
    assert lag("--db", log.path, "--wait", "--timeout", "1s",
               status=1).stdout == ""
    run = subprocess.Popen([program("fdfs-meta"), "lag", "--db",
                            str(log.path), "--wait", "--timeout", "60s"])
    try:
        log.peer("100003", 10, state="log")
        assert run.poll() is None, "one file is parked"
        log.db.execute("DELETE FROM parked")
        assert run.wait(30) == 0
    finally:
        run.kill()
        run.wait()


def test_wait_below_a_time_lets_the_young_go(log):
    log.operation("M00/00/00/new.txt", age=0)
    log.peer("100003", 10)
    lag("--db", log.path, "--wait", "--timeout", "1s", status=1)
    lag("--db", log.path, "--wait", "--below", "1h", "--timeout", "1s")
    log.peer("100003", 2)
    lag("--db", log.path, "--wait", "--below", "10s", "--timeout", "1s",
        status=1)


def test_watch_goes_on_until_it_is_interrupted(log, tmp_path):
    log.peer("100003", 8)
    out = tmp_path / "out"
    with out.open("wb") as file:
        run = subprocess.Popen([program("fdfs-meta"), "lag", "--db",
                                str(log.path), "--watch", "1s", "--csv"],
                               stdout=file)
    try:
        wait_until(lambda: len(out.read_text().splitlines()) >= 3, 30,
                   "a heading and two rounds")
        run.send_signal(signal.SIGINT)
        assert run.wait(10) == 130
    finally:
        run.kill()
        run.wait()
    assert sum(line.startswith("from,")
               for line in out.read_text().splitlines()) == 1


@pytest.mark.parametrize("args, why", [
    (["--below", "5s"], "--below belongs to --wait"),
    (["-n", "5"], "--limit belongs to --files"),
    (["--wait", "--files"], "--wait prints nothing"),
    (["--watch", "1s", "--json"], "--json is one object"),
])
def test_options_that_do_not_go_together_are_refused(log, args, why):
    assert why in lag("--db", log.path, *args, status=2).stderr


def test_a_log_of_an_older_version_is_told(tmp_path):
    path = tmp_path / "storage.db"
    make_database(path, "storage", LOG_ID, version=1).close()
    done = lag("--db", path, status=3)
    assert "older version" in done.stderr and "do" in done.stderr


def test_no_source_is_told(tmp_path):
    done = lag("--db", tmp_path, status=3)
    assert "neither a log" in done.stderr


def make_tracker(path, stamps, updates):
    """A tracker's database of one group; updates: storage -> last change."""
    db = make_database(path, "tracker", TRACKER_ID)
    db.execute("INSERT INTO grp VALUES ('group1', 23000, 1, 4)")
    for name, changed in updates.items():
        db.execute("INSERT INTO storage VALUES ('group1',?,?,7,'6.16.1',"
                   "23000,1,4,10,0,0,'',0,?,?,0)",
                   (name, "10.0.0.1", 5, int(time.time())))
        db.execute("INSERT INTO sample_10s (subject, at_ms, "
                   "last_source_update) VALUES (?,?,?)",
                   (name, int(time.time()) * 1000, changed))
    db.executemany("INSERT INTO stamp VALUES ('group1',?,?,?)", stamps)
    db.close()


def test_stamps_of_a_tracker_bound_the_other_pairs(log, tmp_path):
    log.peer("100002", 10, state="synced")
    now = int(time.time())
    path = tmp_path / "tracker" / "meta" / "tracker.db"
    make_tracker(path, [("100002", "100001", now - 60)],
                 {"100001": now - 5, "100002": now - 10, "100003": 0})
    found = rows("--db", log.path.parent, "--db", path)
    assert found["100001", "100002"]["exact"]
    bound = found["100002", "100001"]
    assert (bound["exact"], bound["oldest"]) == (False, 50)
    assert bound["waiting"] is None
    assert found["100003", "100001"]["oldest"] == 0, "it never sent anything"
    assert found["100001", "100003"]["oldest"] is None, "not known"
    table = lag("--db", log.path.parent, "--db", path).stdout
    assert "≤50s" in table or "<=50s" in table
    done = lag("--db", log.path.parent, "--db", path, "--files",
               "100002,100001", status=4)
    assert "not in reach" in done.stderr


def test_wait_does_not_hang_on_what_only_trackers_know(log, tmp_path):
    log.peer("100002", 10, state="synced")
    now = int(time.time())
    path = tmp_path / "tracker" / "meta" / "tracker.db"
    make_tracker(path, [], {"100001": now, "100002": now - 10})
    both = ("--db", log.path.parent, "--db", path)
    done = lag(*both, "--wait", "--timeout", "20s")
    assert "1 pair whose log is not in reach is not waited for" in done.stderr
    lag("--db", path, "--wait", "--timeout", "1s", status=1)


# --- with daemons ----------------------------------------------------------

@pytest.fixture
def two(tmp_path):
    with Cluster("lag", storages=2) as cluster:
        wait_until(lambda: cluster.storages[1].active(), 60,
                   "the second storage is filled")
        yield cluster


def everything(cluster, *args):
    """lag of all logs of the cluster; its JSON rows by pair."""
    where = [part for node in cluster.storages
             for part in ("--db", str(node.base / "meta"))]
    done = cluster.tool("fdfs-meta", "lag", *where, *args, "--json")
    assert done.returncode == 0, done.stderr
    return {(row["from"], row["to"]): row
            for row in json.loads(done.stdout)["rows"]}


def upload(node, data=b"x" * 1000):
    with node.connect() as conn:
        return conn.upload(data, "txt")


def test_lag_of_a_living_group(two):
    first, second = two.storages
    ids = [node.address[0] for node in two.storages]
    upload(first)
    done = two.tool("fdfs-meta", "lag", "--db", first.base / "meta", "--wait",
                    "--timeout", "30s", deadline=60)
    assert done.returncode == 0, done.stderr
    found = everything(two)
    assert set(found) == {(ids[0], ids[1]), (ids[1], ids[0])}
    assert all(row["waiting"] == 0 and row["exact"] for row in found.values())
    assert all(row["group"] == "group1" for row in found.values())

    second.kill()
    for _ in range(3):
        upload(first)
    row = everything(two)[ids[0], ids[1]]
    assert (row["waiting"], row["size"]) == (3, 3000)
    wait_until(lambda: everything(two)[ids[0], ids[1]]["phase"] == "down", 30,
               "the sender knows that nobody is there")
    row = everything(two)[ids[0], ids[1]]
    assert row["why"].startswith("not connected"), row
    done = two.tool("fdfs-meta", "lag", "--db", first.base / "meta",
                    "--files", "--csv")
    assert len(done.stdout.splitlines()) == 4, done.stdout
    assert two.tool("fdfs-meta", "lag", "--db", first.base / "meta", "--wait",
                    "--timeout", "1s").returncode == 1

    second.start(active=False)
    done = two.tool("fdfs-meta", "lag", "--db", first.base / "meta", "--wait",
                    "--timeout", "60s", deadline=90)
    assert done.returncode == 0, done.stderr
    wait_until(lambda: everything(two)[ids[0], ids[1]]["phase"] == "synced",
               30, "the sender says so")
    two.sound()


def test_the_console_counts_what_waits(two):
    first, second = two.storages
    second.kill()
    for _ in range(3):
        upload(first)
    ids = [node.address[0] for node in two.storages]
    done = two.tool("fdfs-top", "-b", "--once", "--json", "--db",
                    first.base / "meta", "sync", deadline=60)
    assert done.returncode in (0, 1), done.stderr
    shot = json.loads(done.stdout)
    pair = {(p["from"], p["to"]): p for p in shot["pairs"]}[ids[0], ids[1]]
    assert (pair["waiting"], pair["waiting_bytes"]) == (3, 3000)
    assert pair["bound"] == "exact"
    text = two.tool("fdfs-top", "-b", "--once", "--db", first.base / "meta",
                    "sync", deadline=60).stdout.decode()
    assert "3 operations" in text and ids[1] in text


def test_lag_without_logs_asks_the_trackers(two):
    ids = [node.address[0] for node in two.storages]
    upload(two.storages[0])
    done = two.tool("fdfs-meta", "lag", "--json", "-t",
                    "%s:%d" % two.tracker.address)
    assert done.returncode == 0, done.stderr
    found = {(row["from"], row["to"]): row
             for row in json.loads(done.stdout)["rows"]}
    assert set(found) == {(ids[0], ids[1]), (ids[1], ids[0])}
    assert not any(row["exact"] for row in found.values())
    assert all(row["waiting"] is None for row in found.values())
