# SPDX-License-Identifier: MIT
"""What a disk refused after it was recorded: carried out without a restart,
and no peer is sent anything that goes past it."""

import random
import time

import pytest

import wire
from agree import wait_agree
from faults import EIO, ENOSPC, LIBRARY, Faults
from harness import sqlite3_closing, wait_until

SMALL = b"one piece of content"
BIG = random.Random(11).randbytes(300_000)
META = wire.pack_meta({"colour": "blue", "size": "3"})

pytestmark = [
    pytest.mark.ours,
    pytest.mark.skipif(not LIBRARY.exists(),
                       reason="no fail.so: make fault-lib")]


def pair(several, faulty=0):
    made = several(start=False, storages=["ours", "ours"])
    faults = Faults(made.storages[faulty])
    made.start()
    return made, made.storages[0], made.storages[1], faults


def mark(node):
    with sqlite3_closing(node.oplog()) as log:
        row = log.execute(
            "select value from mark where key = 'unapplied'").fetchone()
    return row[0] if row else ""


def last_row(node):
    with sqlite3_closing(node.oplog()) as log:
        return log.execute("select max(seq) from operations").fetchone()[0]


def lag(made, node):
    out = made.tool("fdfs-meta", "lag", "--db",
                    node.base / "meta", "--json")
    return (out.stdout + out.stderr).decode()


def events(node, code):
    return node.catalogue_rows(
        "select severity, subject, text from event where code = ?", code)


def applied(node):
    wait_until(lambda: mark(node) == "", 40, "nothing waits any more")


def caught_up(one, other):
    def level():
        with sqlite3_closing(one.oplog()) as log:
            seq, = log.execute("select max(seq) from operations where "
                               "replica = 0").fetchone()
            row = log.execute("select seq from follower where name = ?",
                              (other.address[0],)).fetchone()
        return row and row[0] >= seq
    wait_until(level, 30, "the peer has got everything")


# what: the calls that fail (the second attempt makes others), the command, its body, what the file is after it
CHANGES = {
    "append": ("pwrite", "", wire.APPEND,
               lambda n: wire.append_body(n, SMALL), BIG + SMALL),
    "large append": ("copy,pwrite", "", wire.APPEND,
                     lambda n: wire.append_body(n, BIG), BIG + BIG),
    "modify": ("pwrite", "", wire.MODIFY,
               lambda n: wire.modify_body(n, 5, SMALL),
               BIG[:5] + SMALL + BIG[5 + len(SMALL):]),
    "large modify": ("copy,pwrite", "", wire.MODIFY,
                     lambda n: wire.modify_body(n, 10, BIG),
                     BIG[:10] + BIG),
    "truncate": ("ftruncate", "", wire.TRUNCATE,
                 lambda n: wire.truncate_body(n, 1000), BIG[:1000]),
    "metadata": ("pwrite,rename", "/", wire.SET_META,
                 lambda n: wire.meta_body(n, META), BIG),
    "delete": ("unlink", "", wire.DELETE, wire.file_ref, None),
}


@pytest.mark.parametrize("errno", [EIO, ENOSPC])
@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.limit(120)
def test_what_was_refused_is_carried_out_when_the_disk_heals(
        several, what, errno):
    call, part, command, body, after = CHANGES[what]
    made, one, other, faults = pair(several)
    with one.connect() as conn:
        name = conn.upload_appender(BIG)
        wait_until(lambda: other.path_of(name).exists(), 10)
        caught_up(one, other)
        with faults.on(call, errno, name=part or name.split("/")[-1]):
            assert conn.told(command, body(name)) == errno
            refused = last_row(one)
            later = conn.upload(b"later")
            wait_until(lambda: mark(one) == str(refused), 5,
                       "the log knows what was refused")
            # the name is closed until then, and nothing goes past
            conn.fails(wire.APPEND, wire.append_body(name, b"!"), EIO)
            wait_until(lambda: "recorded but not applied" in lag(made, one),
                       10, "lag says why")
            assert f"operation {refused} is" in lag(made, one)
            assert not other.path_of(later).exists()
            assert last_row(one) == refused + 1
        applied(one)
        caught_up(one, other)
        if after is None:
            assert not conn.exists(name)
            wait_until(lambda: not other.path_of(name).exists(), 10)
        else:
            assert conn.download(name) == after
        if what == "metadata":
            assert conn.get_meta(name) == META
    wait_until(lambda: other.path_of(later).exists(), 10)
    wait_agree([one, other], deadline=30)
    wait_until(lambda: len(events(one, "FD-APPLY-01")) >= 2, 10)
    assert [e[0] for e in events(one, "FD-APPLY-01")][-1] == 0
    assert not events(one, "FD-APPLY-02")
    assert not one.unfinished()


def test_a_name_that_could_not_be_taken_back_keeps_it(several):
    """Neither the rename nor the row that takes it back succeeds."""
    made, one, other, faults = pair(several)
    with one.connect() as conn:
        name = conn.upload_appender(SMALL)
        caught_up(one, other)
        with faults.on("rename", EIO):
            conn.fails(wire.REGENERATE, name.encode(), EIO)
        assert conn.download(name) == SMALL
        body = conn.done(wire.REGENERATE, name.encode())
        fresh = body[16:].decode()
        assert conn.download(fresh) == SMALL
    applied(one)
    wait_until(lambda: other.path_of(fresh).exists(), 20)
    wait_agree([one, other], deadline=30)


@pytest.mark.limit(90)
def test_the_next_change_carries_out_what_was_refused(several):
    made, one, other, faults = pair(several)
    with one.connect() as conn:
        name = conn.upload_appender(SMALL)
        for i in range(5):
            with faults.on("pwrite", EIO):
                conn.fails(wire.APPEND,
                           wire.append_body(name, b"refused %d;" % i), EIO)
            conn.append(name, b"taken %d;" % i)
        want = SMALL + b"".join(
            b"refused %d;taken %d;" % (i, i) for i in range(5))
        assert conn.download(name) == want
        with faults.on("pwrite", EIO, name="-m"):
            conn.fails(wire.SET_META, wire.meta_body(name, META), EIO)
        conn.done(wire.DELETE, wire.file_ref(name))
    applied(one)
    wait_agree([one, other], deadline=30)
    assert not [n for n in one.visible() | other.visible()
                if n.startswith(name)]


@pytest.mark.parametrize("kind", ["create", "append", "delete", "metadata"])
def test_what_a_peer_sent_and_our_disk_refused(several, kind):
    made, one, other, faults = pair(several, faulty=1)
    with one.connect() as conn:
        name = conn.upload_appender(BIG)
        wait_until(lambda: other.path_of(name).exists(), 10)
        caught_up(one, other)
        word = name.split("/")[-1]
        call = {"create": "rename", "append": "copy", "delete": "unlink",
                "metadata": "pwrite"}[kind]
        with faults.on(call, EIO, name="" if kind == "create" else word):
            if kind == "create":
                name = conn.upload(BIG)
            elif kind == "append":
                conn.append(name, BIG)
            elif kind == "delete":
                conn.done(wire.DELETE, wire.file_ref(name))
            else:
                conn.set_meta(name, META)
            wait_until(faults.hits, 10, "the peer's disk refuses")
            time.sleep(1)
    applied(other)
    caught_up(one, other)
    wait_agree([one, other], deadline=60)
    assert not other.unfinished()


@pytest.mark.limit(90)
def test_it_is_tried_again_after_a_start_on_the_same_disk(several):
    made, one, other, faults = pair(several)
    with one.connect() as conn:
        name = conn.upload_appender(BIG)
        caught_up(one, other)
        with faults.on("copy,pwrite", EIO, name=name.split("/")[-1]):
            conn.fails(wire.APPEND, wire.append_body(name, BIG), EIO)
            refused = last_row(one)
            for how in (one.kill, one.stop):
                how()
                one.start()
                assert mark(one) == str(refused)
        applied(one)
    with one.connect() as conn:
        assert conn.download(name) == BIG + BIG
    wait_agree([one, other], deadline=30)


@pytest.mark.limit(90)
def test_what_is_lost_for_good_is_told_once(several):
    made, one, other, faults = pair(several)
    with one.connect() as conn:
        name = conn.upload_appender(BIG)
        caught_up(one, other)
        with faults.on("copy,pwrite", EIO, name=name.split("/")[-1]):
            conn.fails(wire.APPEND, wire.append_body(name, BIG), EIO)
            staged = [p for p in (one.paths[0] / "data/.incoming").iterdir()]
            assert len(staged) == 1
            staged[0].unlink()
        applied(one)
        later = conn.upload(b"later")
        assert conn.download(name) == BIG
        conn.append(name, SMALL)
        assert conn.download(name) == BIG + SMALL
    wait_until(lambda: other.path_of(later).exists(), 20)
    wait_until(lambda: events(one, "FD-APPLY-02"), 10, "an event tells it")
    one.kill()
    one.start()
    wait_agree([one, other], deadline=30)
    (severity, subject, text), = events(one, "FD-APPLY-02")
    assert severity == 2 and subject == name and "gone" in text


def test_a_new_file_that_cannot_be_removed_goes_later(several):
    made, one, _, faults = pair(several)
    with one.connect() as conn:
        before = one.visible()
        with faults.on("write,unlink", ENOSPC):
            assert conn.told(wire.UPLOAD, wire.upload_body(SMALL)) == ENOSPC
            assert one.visible() != before
        wait_until(lambda: one.visible() == before, 20, "it is removed")
    assert one.stop() == 0
    assert not one.log_has("stop_unclean")
