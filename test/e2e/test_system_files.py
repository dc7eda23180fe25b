# SPDX-License-Identifier: MIT
"""The cluster goes from tracker to tracker: over the wire inside of the first
JOIN, and by the files below <base_path>/data, between ours and FastDFS's."""

import os
import signal
import sqlite3
import struct
import time

import pytest

import nodes
import wire
from harness import Tracker, wait_until
from test_tracker_dialogue import (ACTIVE, BEAT, DEST_REQ, DISK, EAGAIN,
                                   INIT, JOIN,
                                   OFFLINE, ONLINE, STATUS,
                                   WAIT_SYNC, Player, source_body)
from wire import EBUSY, EINVAL, ENOENT, group, i64

START, END, GET_ONE = 61, 62, 63
PIECE = 8173
NAMES = ("storage_groups_new.dat", "storage_servers_new.dat",
         "storage_sync_timestamp.dat", "storage_changelog.dat")
SIGNATURE = b"# by fdfs-trackerd\n"


def piece(conn, index, offset=0):
    body = conn.done(GET_ONE, struct.pack(">Bq", index, offset))
    return struct.unpack(">q", body[:8])[0], body[8:]


def whole(conn, index):
    size, got = piece(conn, index)
    while len(got) < size:
        assert len(piece(conn, index, len(got))[1]) > 0
        got += piece(conn, index, len(got))[1]
    assert len(got) == size
    return got


def lent(tracker):
    """The four texts as another tracker gets them."""
    with tracker.connect() as conn:
        assert conn.done(START) == b""
        texts = [whole(conn, i) for i in range(4)]
        assert conn.done(END) == b""
    return texts


def on_disk(tracker):
    """The same below data; None as long as one is missing."""
    try:
        texts = [(tracker.base / "data" / name).read_bytes()
                 for name in NAMES]
    except FileNotFoundError:
        return None
    if not tracker.is_stock:
        assert texts[1].startswith(SIGNATURE)
        texts[1] = texts[1][len(SIGNATURE):]
    return texts


class Trackers:
    """Trackers of one cluster; storages are played."""

    def __init__(self, made):
        self.made, self.net = made, made.net
        self.port = made.port + 1

    def __getitem__(self, i):
        return self.made.trackers[i]

    @property
    def lines(self):
        return ["%s:%d" % t.address for t in self.made.trackers]

    def player(self, i, number):
        return Player(self[i], f"{self.net}.{number}")

    def settled(self, i=0, number=101, **kw):
        """A storage that is ACTIVE at tracker i, which hears of no other."""
        one = self.player(i, number)
        one.settle(trackers=self.lines[i:i + 1], **kw)
        return one

    def statuses(self, i):
        with self[i].connect() as conn:
            return {rec.ip: rec.status for rec in conn.storages()}


@pytest.fixture
def trackers(several):
    def make(*kinds, start=True):
        made = several(start=False, trackers=kinds, storages=())
        for node in made.trackers if start else ():
            node.start(30)
        return Trackers(made)
    return make


# --- giving -----------------------------------------------------------------

def test_one_connection_at_a_time_has_the_files(trackers):
    t = trackers("ours")
    with t[0].connect() as one, t[0].connect() as two:
        one.fails(START, b"", ENOENT)  # no groups
        t.settled()
        assert one.done(START) == b""
        assert one.done(START) == b""
        two.fails(START, b"", EBUSY)
        assert one.done(END) == b""
        assert one.done(END) == b""  # not locked is fine, too
        assert two.done(START) == b""
        one.fails(START, b"", EBUSY)
        one.done(END)  # of somebody else's: changes nothing
        one.fails(START, b"", EBUSY)
        two.close()
        wait_until(lambda: one.call(START).status == 0, 5)
        for body in (b"\4" + i64(0), b"\0" + i64(-1), b"\0" + i64(1 << 40)):
            one.fails(GET_ONE, body, EINVAL)
        one.fails(GET_ONE, b"\0", EINVAL)
        one.fails(START, b"x", EINVAL)
        size, _ = piece(one, 0)
        assert piece(one, 0, size) == (size, b"")


def test_what_is_given_does_not_change_while_it_is_read(trackers):
    t = trackers("ours")
    one = t.settled()
    with t[0].connect() as conn:
        conn.done(START)
        before = whole(conn, 1)
        assert t.player(0, 102).join(trackers=t.lines)[0] == INIT
        one.close()
        wait_until(lambda: t.statuses(0)[f"{t.net}.101"] == OFFLINE, 5)
        assert whole(conn, 1) == before
        conn.done(START)
        after = whole(conn, 1)
        assert before.count(b"[Storage") == 1
        assert after.count(b"[Storage") == 2
        assert b"\tstatus=5\n" in after


def test_long_files_come_in_pieces_and_stand_on_the_disk(trackers):
    t = trackers("ours")
    conns = [t.settled()]
    for number in range(102, 122):
        conns.append(t.player(0, number))
        assert conns[-1].join(trackers=t.lines)[0] == INIT
        assert conns[-1].done(DEST_REQ)[:16].rstrip(b"\0").decode() == \
            f"{t.net}.101"
    with t[0].connect() as conn:
        conn.done(START)
        size, first = piece(conn, 1)
        assert size > 2 * PIECE and len(first) == PIECE
        assert len(piece(conn, 1, size - 5)[1]) == 5
    texts = lent(t[0])
    wait_until(lambda: on_disk(t[0]) == texts, 10, "the same on the disk")
    rows = texts[2].decode().splitlines()
    assert len(rows) == 21 and all(r.count(",") == 22 for r in rows)
    # Sections stand in the order in which the members came.
    ips = [line.split(b"=")[1].decode() for line in texts[1].splitlines()
           if line.startswith(b"\tip_addr=")]
    assert ips == [f"{t.net}.{n}" for n in range(101, 122)]


def test_files_on_the_disk_follow_every_change_of_state(trackers):
    t = trackers("ours")
    one = t.settled()

    def says(text):
        texts = on_disk(t[0])
        return texts and text in texts[1]
    wait_until(lambda: says(b"\tstatus=7\n"), 10)
    one.close()
    wait_until(lambda: says(b"\tstatus=5\n"), 10)
    with t[0].connect() as conn:
        conn.done(wire.DELETE_STORAGE, group() + f"{t.net}.101".encode())
    wait_until(lambda: says(b"\tstorage_count=0\n"), 10)
    assert on_disk(t[0])[3].endswith(f"group1 {t.net}.101 4 \n".encode())


# --- taking -----------------------------------------------------------------

def test_a_new_tracker_takes_the_cluster_inside_of_the_first_join(trackers):
    t = trackers("ours", "ours")
    one = t.settled()
    two = t.player(0, 102)
    assert two.join(trackers=t.lines[:1])[0] == INIT
    two.done(DEST_REQ)
    with t[1].connect() as conn:
        conn.fails(STATUS, b"", ENOENT)
    again = t.player(1, 101)
    # It is known: its being settled is believed.
    assert again.join(init=0, status=0, trackers=t.lines) == (ONLINE, "")
    assert t.statuses(1) == {f"{t.net}.101": ONLINE,
                             f"{t.net}.102": WAIT_SYNC}
    second = t.player(1, 102)
    assert second.join(trackers=t.lines) == (WAIT_SYNC, f"{t.net}.101")
    assert t[1].log_has(r"bootstrap_done")
    # It is remembered, and not asked for again.
    t[1].kill()
    t[0].stop()
    t[1].start()
    assert t.statuses(1) == {f"{t.net}.101": OFFLINE,
                             f"{t.net}.102": WAIT_SYNC}
    assert t.player(1, 101).join(init=0, status=0,
                                 trackers=t.lines) == (ONLINE, "")
    one.close()


def asleep(node, seconds):
    """A stopped tracker that was last alive that long ago."""
    then = str(int(time.time()) - seconds)
    with sqlite3.connect(node.base / "meta" / "tracker.db") as db:
        db.execute("update mark set value = ? where key = 'last_alive'",
                   (then,))
    (node.base / "data" / ".tracker_status").write_text(
        f"up_time={then}\nlast_check_time={then}\n")


@pytest.mark.parametrize("away,knows", [(500, 1), (700, 2)])
def test_a_tracker_that_was_away_for_long_asks(trackers, away, knows):
    t = trackers("ours", "ours")
    keep = [t.settled(0), t.settled(1)]
    t[1].stop()
    keep.append(t.player(0, 102))
    assert keep[-1].join(trackers=t.lines)[0] == INIT
    asleep(t[1], away)
    t[1].start()
    assert len(t.statuses(1)) == 1
    assert t.player(1, 101).join(init=0, status=0,
                                 trackers=t.lines) == (ONLINE, "")
    assert len(t.statuses(1)) == knows
    # With nobody to ask it goes on with what it knows.
    t[1].stop()
    asleep(t[1], 700)
    t[0].stop()
    t[1].start()
    assert t.player(1, 101).join(init=0, status=0,
                                 trackers=t.lines) == (ONLINE, "")
    assert len(t.statuses(1)) == knows


def test_new_trackers_have_nothing_to_take(trackers):
    t = trackers("ours", "ours", "ours")
    assert t.player(1, 101).join(trackers=t.lines) == (INIT, "")
    assert not t[1].log_has("bootstrap_done")


def test_joins_wait_until_every_tracker_was_asked(trackers):
    t = trackers("ours", "ours", start=False)
    t[0].start()
    keep = t.player(0, 101)
    keep.settle(trackers=t.lines[:1])
    t[1].start()
    t[0].pause()
    players = [t.player(1, n) for n in (101, 102, 103)]
    for one in players:
        one.send(wire.message(JOIN, one.join_body(trackers=t.lines)))
    # Nobody else waits.
    with t[1].connect(2) as conn:
        assert conn.is_usable()
        conn.fails(wire.STORE_ONE, b"", ENOENT)
    players[1].reset()  # one that does not
    t[0].go_on()
    answer = players[0].reply()
    assert (answer.status, answer.body[0]) == (0, ONLINE)
    answer = players[2].reply()
    assert (answer.status, answer.body[0]) == (0, INIT)
    assert {f"{t.net}.101", f"{t.net}.103"} <= set(t.statuses(1))
    # What was kept for it has gone with it.
    wait_until(lambda: t[1].connections() == 2, 5)


def test_a_silent_tracker_makes_storages_wait(trackers):
    t = trackers("ours", "ours", start=False)
    t[1].start()
    one = t.player(1, 101)
    assert one.join(trackers=t.lines) == EAGAIN
    assert one.join(trackers=t.lines) == EAGAIN
    t[1].wait_log(r"bootstrap_waits .*%s does not answer" % t.lines[0])
    with t[1].connect() as conn:
        conn.fails(STATUS, b"", ENOENT)
    t[0].start()
    assert one.join(trackers=t.lines) == (INIT, "")


def test_a_tracker_that_stops_lets_the_waiting_go(trackers):
    t = trackers("ours", "ours", start=False)
    t[0].start()
    t.settled()
    t[1].start()
    t[0].pause()
    one = t.player(1, 101)
    one.send(wire.message(JOIN, one.join_body(trackers=t.lines)))
    one.wait_read()
    begun = time.monotonic()
    assert t[1].stop() == 0
    assert time.monotonic() - begun < 5
    t[0].go_on()


# --- ours and FastDFS's -----------------------------------------------------

@nodes.needs_stock()
@pytest.mark.parametrize("kinds", [("stock", "ours"), ("ours", "stock")])
def test_trackers_of_both_kinds_take_from_each_other(trackers, kinds):
    t = trackers(*kinds)
    one = t.settled()
    two = t.player(0, 102)
    two.join(trackers=t.lines[:1])
    two.done(DEST_REQ)
    again = t.player(1, 101)
    assert again.join(init=0, status=0, trackers=t.lines) == (ONLINE, "")
    again.done(BEAT)
    again.done(DISK, i64(1000) + i64(600))
    second = t.player(1, 102)
    assert second.join(trackers=t.lines) == (WAIT_SYNC, f"{t.net}.101")
    assert t.statuses(1) == {f"{t.net}.101": ACTIVE,
                             f"{t.net}.102": WAIT_SYNC}
    one.close()


def same_members(texts):
    """What must survive a change of program, from the servers file."""
    keep = (b"group_name", b"ip_addr", b"join_time", b"storage_port",
            b"sync_src_server", b"sync_until_timestamp", b"version",
            b"store_path_count", b"upload_priority")
    return [line for line in texts[1].splitlines()
            if line.strip().split(b"=")[0] in keep]


@nodes.needs_stock()
@pytest.mark.parametrize("first,second", [("stock", "ours"),
                                          ("ours", "stock")])
def test_one_kind_takes_the_place_of_the_other(trackers, first, second):
    t = trackers(first)
    node = t[0]
    one = t.settled()
    two = t.player(0, 102)
    two.join(trackers=t.lines)
    two.done(DEST_REQ)
    one.close()
    two.close()
    node.stop()
    before = on_disk(node)
    other = Tracker(nodes.programs_of(second)[0], node.base, node.address,
                    {k: v for k, v in node.conf.items()})
    t.made.trackers[0] = other
    t.made.daemons[0] = other
    other.start(30)
    assert t.statuses(0) == {f"{t.net}.101": OFFLINE,
                             f"{t.net}.102": WAIT_SYNC}
    again = t.player(0, 102)
    assert again.join(trackers=t.lines) == (WAIT_SYNC, f"{t.net}.101")
    again.close()
    other.stop()
    assert same_members(on_disk(other)) == same_members(before)
    if second == "ours":
        assert other.log_has(r"sysfiles_taken .* 1 groups, 2 storages")


@nodes.needs_stock()
def test_what_fastdfs_changed_meanwhile_is_taken(trackers):
    t = trackers("ours")
    node = t[0]
    t.settled().close()
    node.stop()
    other = Tracker(nodes.programs_of("stock")[0], node.base, node.address,
                    node.conf)
    t.made.daemons.append(other)
    time.sleep(1.1)  # files younger than our end, by the second
    other.start(30)
    more = Player(other, f"{t.net}.102")
    assert more.join(trackers=t.lines) == (INIT, "")
    more.close()
    other.stop()
    node.start()
    assert node.log_has(r"sysfiles_taken .*written by another tracker")
    assert set(t.statuses(0)) == {f"{t.net}.101", f"{t.net}.102"}
    told = node.log().count("sysfiles_taken")
    node.restart()  # these are ours again
    assert node.log().count("sysfiles_taken") == told


@nodes.needs_stock()
@pytest.mark.slow
@pytest.mark.parametrize("storages", ["stock", "ours"])
def test_a_running_group_changes_its_tracker_and_back(several, storages):
    made = several(trackers=["stock"], storages=[storages] * 2)
    with made.storages[0].connect() as conn:
        name = conn.upload(b"before")
    for kind in ("ours", "stock"):
        old = made.tracker
        old.stop()
        new = Tracker(nodes.programs_of(kind)[0], old.base, old.address,
                      old.conf)
        made.trackers[0] = new
        made.daemons.append(new)
        new.start(30)
        made.wait_active()
        for node in made.storages:
            with node.connect() as conn:
                wait_until(lambda c=conn: c.exists(name), 20, "it is there")
        with new.connect() as query:
            assert query.locate(wire.FETCH_ONE, name)
            where = query.store()
            assert where[1] in [s.address[0] for s in made.storages]
        with made.storages[1].connect() as conn:
            name = conn.upload(kind.encode())


def test_files_that_are_broken_are_named(trackers):
    t = trackers("ours", start=False)
    data = t[0].base / "data"
    data.mkdir()
    (data / NAMES[0]).write_text("[Global]\n\tgroup_count=1\n\n")
    done = t[0].run_to_end()
    assert done.returncode == 1
    assert f"{data}/{NAMES[0]}:3: it is not whole: 0 of 1" in done.stderr
    assert "move the storage_*.dat files away" in done.stderr
    for name in data.glob("storage_*"):
        name.unlink()
    t[0].start()
    t.settled()
    t[0].stop()
    (data / NAMES[1]).write_text("nonsense\n")
    os.utime(data / NAMES[1], (time.time() + 5, time.time() + 5))
    t[0].start()  # tracker.db knows better
    assert t[0].log_has("sysfiles_not_taken")
    assert t.statuses(0) == {f"{t.net}.101": OFFLINE}


def test_a_tracker_goes_on_when_it_cannot_write_its_files(trackers):
    t = trackers("ours")
    (t[0].base / "data" / NAMES[0]).mkdir()
    one = t.settled()
    t[0].wait_log(r"sysfiles_not_written .*finds old files")
    assert t.statuses(0) == {f"{t.net}.101": ACTIVE}
    one.close()
    assert t[0].stop() == 0
    done = t[0].run_to_end()
    assert done.returncode == 1
    assert f"cannot read {t[0].base}/data/{NAMES[0]}: " in done.stderr


# --- what a status change leaves behind -------------------------------------

def test_every_change_of_state_survives_kill_9(trackers):
    """4.8: a tracker that dies right after a fill must not come back with the
    member still waiting for it."""
    t = trackers("ours")
    one = t.settled()
    two = t.player(0, 102)
    two.join(trackers=t.lines)
    two.done(DEST_REQ)
    report = wire.pad("group1", 16)

    def say(status):
        return report + bytes([status]) + struct.pack(">i", 0) + \
            wire.pad(f"{t.net}.102", 16) + wire.pad(f"{t.net}.102", 46)
    with t[0].connect() as conn:
        conn.done(76, say(2))  # SYNCING
        conn.done(76, say(5))  # filled
    t[0].signal(signal.SIGKILL)
    t[0].process.wait(5)
    t[0].start()
    assert t.statuses(0)[f"{t.net}.102"] == OFFLINE
    back = t.player(0, 102)
    assert back.join(init=0, status=0, trackers=t.lines) == \
        (ONLINE, f"{t.net}.101")
    back.done(88, source_body(f"{t.net}.101", 5))
    back.done(BEAT)
    assert t.statuses(0)[f"{t.net}.102"] == ACTIVE
    one.close()
