# SPDX-License-Identifier: MIT
"""A FastDFS storage is taken over in place, and given back.

`fdfs-meta adopt` and `release` with FastDFS's own daemons on the same base
path before and after (where they are installed), and on a recorded base path
everywhere. TAKEOVER_FILES says with about how many files it begins.
"""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

import agree
import harness
import wire
from agree import on_disk, wait_agree
from harness import TOP, open_database, sqlite3_closing, wait_until
from mixload import GROWING, Load
from nodes import needs_stock, programs_of

pytestmark = [pytest.mark.ours]

FILES = int(os.environ.get("TAKEOVER_FILES", "500"))
SETTLE = 60 + FILES // 20
SMALL = (0, 1, 100, 4096, 20_000)
RECORDED = TOP / "test" / "golden" / "stock-base"


def turn(node, kind):
    """The same node with other programs, on the same base path."""
    node.program = programs_of(kind)[1]
    node.is_stock = kind == "stock"
    node.process = None


def sync_dir(node):
    return node.base / "data" / "sync"


def binlog(node):
    """Every line of a FastDFS binlog that is not torn."""
    text = "".join(path.read_text()
                   for path in sorted(sync_dir(node).glob("binlog.[0-9]*")))
    return text[:text.rfind("\n") + 1].splitlines()


def name_of(line):
    name = line.split()[2]
    return name[:-2] if name.endswith("-m") else name


def mark(node, peer):
    text = (sync_dir(node) / f"{peer.address[0]}_{node.address[1]}.mark")
    return {key: int(value) for key, value in
            re.findall(r"(\w+)=(\d+)", text.read_text())}


def sent_all(node, peer):
    """FastDFS's mark of the peer stands at the end of the binlog."""
    size = (sync_dir(node) / "binlog.000").stat().st_size
    return mark(node, peer)["binlog_offset"] == size


def meta(made, *args, status=0, deadline=120):
    done = made.tool("fdfs-meta", *args, deadline=deadline)
    assert done.returncode == status, (
        f"{args}: {done.returncode}\n{done.stdout.decode()}\n"
        f"{done.stderr.decode()}")
    return done


def told(made, *args):
    """The one row of a plan or run."""
    return json.loads(meta(made, *args, "--json").stdout)["rows"][0]


def load(nodes, count, model=None):
    """About that many operations that FastDFS brings over from a backlog."""
    with Load(nodes, limit=count, operations=GROWING, sizes=SMALL,
              keep=max(60, FILES * 2), model=model) as done:
        pass
    return done.model


def peers_of(node):
    with sqlite3_closing(node.oplog()) as db:
        return {row["name"]: dict(row) for row in db.execute(
            "SELECT * FROM follower WHERE name <> 'catalogue'")}


def synced(node, count=1):
    rows = peers_of(node).values()
    return len(rows) >= count and all(
        row["state"] == "synced" for row in rows)


def ours_refuses(node, why):
    """Our daemon does not start on what FastDFS has at the moment."""
    kind = "stock" if node.is_stock else "ours"
    turn(node, "ours")
    ended = node.run_to_end()
    turn(node, kind)
    assert ended.returncode == 1 and why in ended.stderr, ended.stderr


# --- with FastDFS's daemons ------------------------------------------------

@pytest.fixture
def two_stock(several):
    return several(trackers=["ours"], storages=["stock", "stock"])


def settle(made, model=None):
    """Both stand still and have all; FastDFS wrote its marks."""
    wait_agree(made.storages[:2], model, SETTLE)
    for node, peer in (made.storages[:2], made.storages[1::-1]):
        if node.is_stock:
            wait_until(lambda n=node, p=peer: sent_all(n, p), 30,
                       "FastDFS's mark is at the end")


def only_these_came(peer, before, allowed):
    """What the peer has logged since is about these names and no other."""
    came = [line for line in binlog(peer)[before:]
            if line.split()[1].islower()]
    others = {name_of(line) for line in came} - allowed
    assert not others, f"copied again: {sorted(others)[:10]}"
    return came


def behind(made, model, operations):
    """Operations of the first storage that the second one waits for: stops
    the second, makes them, stops the first. Gives their names and how many
    lines the second has."""
    first, second = made.storages[:2]
    settle(made, model)
    second.stop()
    lines = len(binlog(second))
    known = dict(model.files)
    load([first], operations, model)
    if first.is_stock:
        time.sleep(2)  # its buffer of the binlog is written each second
    first.stop()
    changed = {name for name, file in model.files.items()
               if name not in known or file.node is first}
    return changed | model.deleted, lines


@pytest.mark.slow
@needs_stock()
@pytest.mark.limit(400 + FILES // 4)
def test_a_storage_goes_there_and_back(two_stock):
    made = two_stock
    first, second = made.storages
    # a third of these operations leaves a file behind
    model = load([first, second], FILES * 3)
    assert len(model.files) > FILES * 0.7

    # FastDFS -> ours, with operations that the peer waits for
    allowed, lines = behind(made, model, 200)
    tail = (sync_dir(first) / "binlog.000").read_bytes()
    own = [line for line in
           tail[mark(first, second)["binlog_offset"]:].decode().splitlines()
           if line.split()[1].isupper()]
    pending = {name_of(line) for line in own}
    ours_refuses(first, "adopt run")
    plan = told(made, "adopt", "plan", first.conf_path)
    assert plan["peers"] == 1 and plan["broken"] == 0
    assert 0 < plan["operations"] <= len(own)
    done = told(made, "adopt", "run", first.conf_path)
    assert done["operations"] == plan["operations"]
    assert done["files"] == plan["files"]
    again = told(made, "adopt", "run", first.conf_path)
    assert again["operations"] is None, "taken over twice"
    turn(first, "ours")
    first.start(30)
    second.start(30)
    wait_agree([first, second], model, SETTLE)
    wait_until(lambda: synced(first), 30, "in sync")
    only_these_came(second, lines, pending)
    assert peers_of(first)[second.address[0]]["fill_files"] == 0

    # both ways, and the databases say so
    load([first, second], 300, model)
    wait_agree([first, second], model, SETTLE)
    agree.verify_ours(made, [first])
    meta(made, "verify", "--peers", "--crc", first.conf_path)

    # ours -> FastDFS, again with operations that wait
    allowed, lines = behind(made, model, 200)
    plan = told(made, "release", "plan", first.conf_path)
    assert plan["operations"] > 0 and plan["unfit"] == 0
    done = told(made, "release", "run", first.conf_path)
    assert done["lines"] == plan["lines"]
    ours_refuses(first, "released to FastDFS")
    refused = meta(made, "release", "run", first.conf_path, status=6)
    assert b"already" in refused.stderr
    turn(first, "stock")
    first.start(30)
    second.start(30)
    made.wait_active(60)
    wait_agree([first, second], model, SETTLE)
    only_these_came(second, lines, allowed)
    load([first, second], 200, model)
    settle(made, model)
    complaints = re.findall(r"\] (?:ERROR|CRIT) - .*(?:binlog|mark).*",
                            first.log())
    assert not complaints

    # a member that joins now is filled from that binlog
    third = made.add_storage("stock")
    third.start(60, active=False)
    made.wait_active(90)
    wait_agree([first, second, third], model, SETTLE)

    # and once more to ours: the log of before is set aside
    settle(made, model)
    first.stop()
    done = told(made, "adopt", "run", first.conf_path)
    assert done["peers"] == 2
    turn(first, "ours")
    first.start(30)
    load([first, second], 100, model)
    wait_agree([first, second, third], model, SETTLE)


@pytest.mark.slow
@needs_stock()
@pytest.mark.limit(240)
def test_a_storage_that_was_always_ours_is_released(several):
    made = several(trackers=["ours"], storages=["ours", "ours"])
    first, second = made.storages
    model = load([first, second], 400)
    wait_agree(made.storages, model, SETTLE)
    wait_until(lambda: synced(second), 30, "in sync")
    first.stop()
    done = told(made, "release", "run", first.conf_path)
    assert done["peers"] == 1
    turn(first, "stock")
    first.start(30)
    made.wait_active(60)
    load([first, second], 200, model)
    wait_agree(made.storages, model, SETTLE)
    third = made.add_storage("stock")
    third.start(60, active=False)
    made.wait_active(90)
    wait_agree(made.storages, model, SETTLE)


@pytest.mark.slow
@needs_stock()
def test_nothing_is_done_beside_a_running_fastdfs(two_stock):
    node = two_stock.storages[0]
    with node.connect() as conn:
        conn.upload(b"x")
    said = meta(two_stock, "adopt", "run", node.conf_path, status=6)
    assert str(node.pid).encode() in said.stderr
    assert not (node.base / "meta" / "storage.db").exists()


# --- verify --peers --------------------------------------------------------

def finding(rows, name):
    return [row["state"] for row in rows
            if row["id"] == f"group1/{name}" and row["peer"]]


def test_two_storages_of_ours_are_compared(several):
    made = several(trackers=["ours"], storages=["ours", "ours"])
    first, second = made.storages
    model = load([first, second], 200)
    wait_agree(made.storages, model, 30)
    for node in (first, second):
        said = meta(made, "verify", "--peers", "--crc", node.conf_path)
        assert b"peers agree" in said.stderr
    gone, odd = [name for name, file in model.files.items()
                 if file.kind == "normal" and file.content][:2]
    second.path_of(gone).unlink()
    second.path_of(odd).write_bytes(b"!" * len(model.files[odd].content))
    rows = json.loads(meta(made, "verify", "--peers", "--crc", "--json",
                           first.conf_path, status=1).stdout)["rows"]
    assert finding(rows, gone) == ["missing"]
    assert finding(rows, odd) == ["crc"]
    assert len(rows) == 2


@pytest.mark.slow
@needs_stock()
def test_differences_at_a_peer_are_found(two_stock):
    made = two_stock
    first, second = made.storages
    with first.connect() as conn:
        names = [conn.upload(b"content %d" % i) for i in range(20)]
        conn.set_meta(names[4], wire.pack_meta([("a", "b")]))
        grown = conn.upload_appender(b"grown")
    settle(made)
    first.stop()
    meta(made, "adopt", "run", first.conf_path)
    same = meta(made, "verify", "--peers", first.conf_path)
    assert b"agree" in same.stderr and b"1 of 1 peers" in same.stderr
    second.path_of(names[0]).unlink()
    second.path_of(names[1]).write_bytes(b"longer than it was")
    second.path_of(names[2]).write_bytes(b"CONTENT 2")
    second.path_of(grown).write_bytes(b"GROWN")
    with second.connect() as conn:
        conn.set_meta(names[4], wire.pack_meta([("a", "c")]))
        conn.set_meta(names[5], wire.pack_meta([("new", "key")]))
        extra = conn.upload(b"not here")
    wait_until(lambda: any(extra in line for line in binlog(second)), 10,
               "FastDFS wrote its binlog")
    rows = json.loads(meta(made, "verify", "--peers", "--crc", "--json",
                           first.conf_path, status=1).stdout)["rows"]
    assert finding(rows, names[0]) == ["missing"]
    assert finding(rows, names[1]) == ["size"]
    assert finding(rows, names[2]) == ["crc"]
    assert finding(rows, grown) == ["crc"]
    assert finding(rows, names[4]) == ["metadata"]
    assert finding(rows, names[5]) == ["metadata"]
    assert finding(rows, extra) == ["extra"]
    assert len(rows) == 7
    at = "%s:%d" % second.address
    named = meta(made, "verify", "--peer", at, first.conf_path, status=1)
    assert b"findings: 6" in named.stderr  # content is not read


@pytest.mark.slow
@needs_stock()
def test_what_waits_for_a_peer_is_no_finding(two_stock):
    made = two_stock
    first, second = made.storages
    with first.connect() as conn:
        names = [conn.upload(b"content %d" % i) for i in range(20)]
    settle(made)
    second.stop()
    with first.connect() as conn:
        conn.upload(b"later")
        conn.delete(names[3])
    time.sleep(2)
    first.stop()
    meta(made, "adopt", "run", first.conf_path)
    second.start(30, active=False)
    said = meta(made, "verify", "--peers", first.conf_path)
    assert b"waiting in the log for a peer: 2" in said.stderr
    second.stop()
    said = meta(made, "verify", "--peers", first.conf_path, status=4)
    assert b"not compared" in said.stderr


# --- on a recorded base path -----------------------------------------------

class Recorded:
    """A copy of what FastDFS left, with a configuration for it."""

    def __init__(self, where):
        self.base = where / "base"
        shutil.copytree(RECORDED, self.base)
        self.conf = where / "storage.conf"
        self.conf.write_text(
            "group_name = group1\nbind_addr = 127.123.139.101\n"
            f"port = 25610\nbase_path = {self.base}\n"
            f"store_path0 = {self.base}/path0\nsubdir_count_per_path = 4\n"
            "tracker_server = 127.123.139.2:22122\n")
        self.env = dict(os.environ, LC_ALL="C.UTF-8", TZ="UTC")

    def run(self, *args, status=0):
        done = subprocess.run(
            [harness.program("fdfs-meta"), *args, str(self.conf)],
            capture_output=True, text=True, timeout=30, check=False,
            env=self.env)
        assert done.returncode == status, (args, done)
        return done

    def row(self, *args):
        return json.loads(self.run(*args, "--json").stdout)["rows"][0]

    def lines(self):
        return (self.base / "data/sync/binlog.000").read_text().splitlines()

    def offset(self):
        text = next(self.base.glob("data/sync/*.mark")).read_text()
        return int(re.search(r"binlog_offset=(\d+)", text)[1])


@pytest.fixture
def recorded(tmp_path):
    return Recorded(Path(tmp_path))


def test_a_plan_changes_nothing(recorded):
    before = sorted(recorded.base.rglob("*"))
    assert recorded.row("adopt", "plan")["operations"] == 3
    assert sorted(recorded.base.rglob("*")) == before


def test_release_takes_up_where_the_binlog_ended(recorded):
    old = recorded.lines()
    recorded.run("adopt", "run")
    done = recorded.row("release", "run")
    new = recorded.lines()
    assert new[:len(old)] == old, "the binlog was rewritten"
    assert len(new) == len(old) + done["lines"]
    text = (recorded.base / "data/sync/binlog.000").read_bytes()
    waiting = text[recorded.offset():].decode().splitlines()
    assert [line for line in waiting if not line.endswith("-m")] == [
        line for line in old[-4:] if "6Y6AH4s_" not in line or " D " in line]


def test_an_adopt_after_a_release_begins_afresh(recorded):
    recorded.run("adopt", "run")
    recorded.run("release", "run")
    assert recorded.row("adopt", "run")["operations"] == 4
    kept = list((recorded.base / "meta").glob("storage.db.*Z"))
    assert len(kept) == 1
    with sqlite3_closing(open_database(kept[0])) as db:
        assert db.execute("SELECT count(*) FROM operation").fetchone()[0] == 3
    assert recorded.row("release", "run")["peers"] == 1


def test_a_binlog_that_went_on_is_not_released_over(recorded):
    recorded.run("adopt", "run")
    with open(recorded.base / "data/sync/binlog.000", "a") as out:
        out.write("1795352999 C M00/00/00/f3uLZWsC6YaASGAyAAAAAvfh4Ts058"
                  ".txt\n")
    said = recorded.run("release", "run", status=6).stderr
    assert "FastDFS has run on it" in said
    assert recorded.row("adopt", "run", "--force")["operations"] == 4
    recorded.run("release", "run")


def test_broken_lines_are_left_out_and_counted(recorded):
    path = recorded.base / "data/sync/binlog.000"
    path.write_text(path.read_text() + "1795352999 l \n"
                    "garbage\n1795353000 C M00/00/0")
    row = recorded.row("adopt", "run")
    assert row["broken"] == 2 and row["operations"] == 3
    recorded.run("release", "run")
    assert recorded.lines()[-1].split()[1] == "D"


def test_a_release_that_was_cut_off_is_begun_again(recorded):
    recorded.run("adopt", "run")
    end = (recorded.base / "data/sync/binlog.000").stat().st_size
    with sqlite3_closing(sqlite3.connect(
            recorded.base / "meta/storage.db")) as db:
        db.execute("INSERT INTO mark VALUES ('releasing', ?)", (f"0 {end}",))
        db.commit()
    with open(recorded.base / "data/sync/binlog.000", "a") as out:
        out.write("1795352999 C M00/00/00/f3uLZWsC6YaASGAyAAAAAvfh4Ts058"
                  ".txt\n")
    done = recorded.row("release", "run")
    assert len(recorded.lines()) == 27 + done["lines"]


def test_a_mark_that_cannot_be_read_is_told(recorded):
    mark_file = next(recorded.base.glob("data/sync/*.mark"))
    mark_file.write_text("binlog_index=0\n")
    said = recorded.run("adopt", "run", status=3).stderr
    assert mark_file.name in said and "binlog_offset" in said
    assert not (recorded.base / "meta/storage.db").exists()


def test_a_log_with_operations_of_its_own_is_kept(recorded):
    recorded.run("adopt", "run")
    with sqlite3_closing(sqlite3.connect(
            recorded.base / "meta/storage.db")) as db:
        db.execute("DELETE FROM mark WHERE key = 'takeover'")
        db.commit()
    done = recorded.run("adopt", "run")
    assert "--force" in done.stderr
    assert not list((recorded.base / "meta").glob("storage.db.*Z"))


def test_without_its_binlog_every_file_is_listed(recorded):
    recorded.run("adopt", "run")
    shutil.rmtree(recorded.base / "data/sync")
    done = recorded.row("release", "run")
    on_path = {f"M00/{p.relative_to(recorded.base / 'path0/data')}"
               for p in recorded.base.glob("path0/data/00/00/*")
               if not p.name.endswith("-m")}
    listed = {name_of(line) for line in recorded.lines()
              if line.split()[1] in "Cc"}
    assert on_path <= listed
    assert done["peers"] == 1


def test_what_the_log_does_not_have_any_more_is_listed(recorded):
    old = recorded.lines()
    recorded.run("adopt", "run")
    with sqlite3_closing(sqlite3.connect(
            recorded.base / "meta/storage.db")) as db:
        # as if all of it had been done here, and the log trimmed since
        db.execute("DELETE FROM operation WHERE seq < 3")
        db.execute("UPDATE mark SET value = '1 0 1641 0' "
                   "WHERE key = 'takeover'")
        db.execute("UPDATE follower SET seq = 3")
        db.commit()
    done = recorded.row("release", "run")
    new = recorded.lines()
    assert done["files"] == 9 and new[:len(old)] == old
    listed = {name_of(line) for line in new[len(old):]
              if line.split()[1] in "Cc"}
    assert len(listed) == 9
    size = (recorded.base / "data/sync/binlog.000").stat().st_size
    assert recorded.offset() == size, "a peer in sync is sent something"
