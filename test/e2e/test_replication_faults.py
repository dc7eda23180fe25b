# SPDX-License-Identifier: MIT
"""Replication where something is refused, unreadable, or in the way."""

import shutil

import pytest

import wire
from agree import wait_agree
from faults import ENOSPC, EIO, LIBRARY, Faults
from harness import wait_until
from pair import appears, parked, row_of
from test_sync_receive import (APPEND, CREATE, HELLO, REMOVE, UPDATE, ask,
                               create, peer_name, remove, write)
from wire import pad

EACCES = 13

pytestmark = [
    pytest.mark.ours,
    pytest.mark.skipif(not LIBRARY.exists(),
                       reason="no fail.so: make fault-lib")]


def pair(several, faulty, **options):
    """Two members; those of `faulty` (0, 1) can be made to fail."""
    made = several(start=False, storages=["ours", "ours"], **options)
    faults = {i: Faults(made.storages[i]) for i in faulty}
    made.start()
    return made.storages[0], made.storages[1], faults


def wait_error(one, other, number, deadline=15.0):
    wait_until(lambda: row_of(one, other)["error"] == number, deadline,
               f"{one.base.name} is told {number}")


def test_a_disk_that_is_full_for_a_moment_loses_nothing(several):
    """All that is under way at once is refused."""
    one, other, faults = pair(several, [1])
    other.stop()
    with one.connect() as conn:
        names = [conn.upload(b"%d" % i) for i in range(600)]
    with faults[1].on("write", ENOSPC):
        other.start()
        wait_until(lambda: len(faults[1].hits()) > 64, 20, "much is refused")
        wait_error(one, other, ENOSPC)
    wait_agree([one, other], deadline=60)
    assert all(other.path_of(name).exists() for name in names)


def test_metadata_goes_with_a_slave_that_is_made_again(several):
    one, other, _ = pair(several, [])
    with one.connect() as conn:
        master = conn.upload(b"master", ext="jpg")
        appears(other, master)
        other.stop()
        slave = conn.upload_slave(master, "_small", b"first")
        conn.set_meta(slave, wire.pack_meta({"of": "the first"}))
        conn.delete(slave)
        assert conn.upload_slave(master, "_small", b"other") == slave
    other.start()
    appears(other, slave, 20)
    wait_agree([one, other])


def test_a_file_that_cannot_be_read_here_stops_no_other(several):
    one, other, faults = pair(several, [0])
    other.stop()
    with one.connect() as conn:
        bad = conn.upload(b"never mind")
        good = conn.upload(b"another")
    with faults[0].on("openat", EACCES, name=bad[10:]):
        other.start()
        appears(other, good, 20)
        wait_until(lambda: parked(one), 15, "parked")
        assert parked(one)[0]["name"] == bad
    wait_until(lambda: not parked(one), 60, "no longer parked")
    wait_agree([one, other])


def test_a_rename_that_the_peer_cannot_do_leaves_no_old_name(several):
    one, other, faults = pair(several, [1])
    with one.connect() as conn:
        old = conn.upload_appender(b"grows")
        appears(other, old)
        with faults[1].on("rename,write", EIO):
            new = conn.done(wire.REGENERATE,
                            old.encode())[16:].rstrip(b"\0").decode()
            wait_until(lambda: parked(one), 15, "parked")
            assert other.path_of(old).exists()
    wait_until(lambda: not parked(one), 60, "no longer parked")
    appears(other, new)
    wait_agree([one, other])


# --- what was deleted comes late ----------------------------------------------

@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("size", [9, 300000])
def test_a_file_that_was_deleted_here_is_not_stored_again(fresh, size, killed):
    """A peer has had no answer for it, and sends it again."""
    node = fresh().storage
    name, data = peer_name(b"x" * size), b"x" * size
    with node.connect() as conn:
        assert ask(conn, CREATE, create(name, data)) == 0
        assert ask(conn, CREATE, create(name + "-m", b"a\x02b")) == 0
        conn.delete(name)
    if killed:
        node.kill()
        node.start()
    with node.connect() as conn:
        assert ask(conn, CREATE, create(name, data)) == 17
        assert ask(conn, UPDATE, create(name, data)) == 17
        assert ask(conn, UPDATE, create(name + "-m", b"a\x02b")) == 17
        assert ask(conn, APPEND, write(name, size, b"more")) == 2
        assert not node.path_of(name).exists()
        assert not node.path_of(name + "-m").exists()


def test_a_file_that_was_deleted_before_it_came_is_not_stored(fresh):
    """Of three members the second was quicker than the first."""
    node = fresh().storage
    name = peer_name(b"late")
    with node.connect() as first, node.connect() as second:
        for conn, ip in (first, "10.88.0.21"), (second, "10.88.0.22"):
            assert ask(conn, HELLO, pad(ip, 16)) == 0
        assert ask(second, REMOVE, remove(name)) == 2
        assert ask(first, CREATE, create(name, b"late")) == 17
        assert not node.path_of(name).exists()


def test_a_slave_that_was_deleted_may_come_again(fresh):
    node = fresh().storage
    name = peer_name(b"master", tail="001_small.jpg")
    with node.connect() as conn:
        for data in (b"one", b"other"):
            assert ask(conn, CREATE, create(name, data)) == 0
            assert node.path_of(name).read_bytes() == data
            assert ask(conn, REMOVE, remove(name)) == 0


def test_a_delete_here_and_an_append_there_end_as_deleted(several):
    """Both while they could not reach one another."""
    one, other, _ = pair(several, [])
    with one.connect() as conn, other.connect() as there:
        name = conn.upload_appender(b"first")
        appears(other, name)
        other.pause()
        conn.append(name, b"more")
        one.pause()
        other.go_on()
        there.delete(name)
        one.go_on()
    wait_agree([one, other])
    assert not one.path_of(name).exists()


# --- members that come back -----------------------------------------------------

@pytest.mark.parametrize("seen", [True, False])
def test_a_member_that_comes_back_empty_is_filled_by_all(several, seen):
    """The same address, and nothing on its disk."""
    beat = {} if seen else {"heart_beat_interval": 10}
    made = several(storages=["ours", "ours", "ours"], storage=beat)
    one, two, three = made.storages
    for node in made.storages:
        with node.connect() as conn:
            for i in range(20):
                conn.upload(b"%d" % i)
            conn.set_meta(conn.upload(b"with"), wire.pack_meta({"a": "b"}))
            gone = conn.upload(b"gone")
            grown = conn.upload_appender(b"grows")
            conn.append(grown, b" more")
            conn.delete(gone)
    wait_agree(made.storages)
    three.stop()
    # else it is back before a heart beat tells the others that it was away
    for node in (one, two) if seen else ():
        node.wait_log(f"member_status id={three.address[0]} from=ACTIVE "
                      "to=OFFLINE", 20)
    shutil.rmtree(three.base / "meta")
    shutil.rmtree(three.base / "data")
    for path in three.paths:
        shutil.rmtree(path / "data")
    with two.connect() as conn:
        conn.upload(b"while it was away")
    three.start(90)
    with one.connect() as conn:
        conn.upload(b"now it is back")
    wait_agree(made.storages, deadline=60)


def test_appends_on_both_sides_of_a_cut_can_be_seen(several):
    """Nobody can say which one is right, but verify says that they differ."""
    made = several(storages=["ours", "ours"])
    one, other = made.storages
    with one.connect() as conn:
        name = conn.upload_appender(b"first")
        appears(other, name)
        wait_agree([one, other])
        other.stop()
        conn.append(name, b"one")
    one.stop()
    other.start(30)
    with other.connect() as conn:
        conn.append(name, b"two")
    one.start(30)
    with one.connect() as conn:
        appears(other, conn.upload(b"after it"))
    with other.connect() as conn:
        appears(one, conn.upload(b"after it, too"))
    out = made.tool("fdfs-meta", "verify", "--peers", one.conf_path,
                    deadline=60)
    text = (out.stdout + out.stderr).decode()
    assert one.path_of(name).read_bytes() == b"firstone"
    assert other.path_of(name).read_bytes() == b"firsttwo"
    assert out.returncode != 0 and name in text
