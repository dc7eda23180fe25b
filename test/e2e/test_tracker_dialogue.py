# SPDX-License-Identifier: MIT
"""A tracker among storages that the test plays itself: joining, filling,
beating, leaving, byte by byte; and recorded dialogues played again."""

import base64
import json
import re
import struct
import time
from pathlib import Path

import pytest

import wire
from harness import STOCK, wait_until
from wire import EBUSY, EINVAL, ENOENT, EOPNOTSUPP, group, i64, pad, text

TRANSCRIPTS = Path(__file__).parent.parent / "golden" / "transcripts"

CHANGE_STATUS, MY_IP, STATUS, IDS, SERVER_ID, STORAGE_STATUS = 59, 60, 64, \
    69, 70, 71
PARAMETERS, REPORT_STATUS, CHANGELOG, IP_CHANGED, DEST_QUERY, JOIN = 75, 76, \
    77, 78, 79, 81
BEAT, DISK, REPLICA_CHG, SRC_REQ, DEST_REQ, NOTIFY, SYNC_REPORT = 83, 84, 85, \
    86, 87, 88, 89
RESELECT, GET_LEADER = 68, 95

INIT, WAIT_SYNC, SYNCING, IP_MOVED, DELETED, OFFLINE, ONLINE, ACTIVE, \
    RECOVERY = 0, 1, 2, 3, 4, 5, 6, 7, 9
EAGAIN, EACCES, EFAULT, EEXIST, EALREADY = 11, 13, 14, 17, 114
STORAGE_PORT = 23100

pytestmark = pytest.mark.skipif(
    STOCK, reason="speaks 79 and 88 before JOIN, which ends a stock tracker")


def stats_block(first=0):
    return struct.pack(">3i42q", 64, 1, 2, *range(first, first + 42))


def source_body(ident="", until=0):
    return pad(ident, 16) + i64(until)


def brief(status, ident, port=0):
    return bytes([status]) + struct.pack(">i", port) + pad(ident, 16) + \
        pad(ident, 46)


def parse_changes(body):
    """flags, [(status, port, id, ip)]"""
    assert (len(body) - 1) % 67 == 0
    rows = []
    for at in range(1, len(body), 67):
        rec = body[at:at + 67]
        rows.append((rec[0], struct.unpack(">i", rec[1:5])[0],
                     text(rec[5:21]), text(rec[21:67])))
    return body[0], rows


class Player(wire.Wire):
    """A storage that is only a connection."""

    def __init__(self, tracker, ip):
        self.tracker, self.ip = tracker, ip
        super().__init__(tracker.address, source=ip)

    def join_body(self, name="group1", port=STORAGE_PORT, paths=1, subdirs=4,
                  priority=10, init=1, status=0xFF, ident="", trackers=None,
                  count=None, at=None):
        host, tport = self.tracker.address
        lines = trackers or [f"{host}:{tport}"]
        return (pad(name, 17) + i64(port) + i64(paths) + i64(subdirs)
                + i64(priority) + i64(1795330000) + i64(1795330001)
                + pad("6.16.1", 8) + bytes([init, status]) + pad(ident, 16)
                + pad(at or host, 46)
                + i64(len(lines) if count is None else count)
                + "".join(line + "\n" for line in lines).encode())

    def join(self, **kw):
        answer = self.call(JOIN, self.join_body(**kw))
        if answer.status:
            return answer.status
        assert len(answer.body) == 17
        return answer.body[0], text(answer.body[1:])

    def beat(self, body=b""):
        return parse_changes(self.done(BEAT, body))

    def disk(self, *pairs):
        return parse_changes(self.done(DISK, b"".join(
            i64(total) + i64(free) for total, free in pairs)))

    def settle(self, free=600, **kw):
        """Up to ACTIVE, as the first member of a group."""
        assert self.join(**kw) == (INIT, "")
        assert self.done(DEST_REQ) == b""
        assert self.done(NOTIFY, source_body()) == b""
        changes = self.beat(stats_block())
        self.disk(*[(1000, free)] * kw.get("paths", 1))
        return changes


class Stage:
    def __init__(self, made):
        self.made, self.tracker, self.net = made, made.tracker, made.net

    def player(self, number):
        return Player(self.tracker, f"{self.net}.{number}")

    def ip(self, number):
        return f"{self.net}.{number}"

    def status(self, number, name="group1"):
        with self.tracker.connect() as conn:
            for rec in conn.storages(name):
                if rec.ip == self.ip(number):
                    return rec.status
        return None


@pytest.fixture
def stage(fresh):
    def begin(**conf):
        made = fresh(start=False, storages=0, tracker=conf)
        made.tracker.start()
        return Stage(made)
    return begin


# --- joining ----------------------------------------------------------------

def test_the_first_storage_is_active_after_its_first_beat(stage):
    s = stage()
    one = s.player(101)
    flags, rows = one.settle()
    host, port = s.tracker.address
    assert flags == 5  # leader and members, at once
    assert rows == [(0, port, host[:15], host),
                    (ACTIVE, STORAGE_PORT, s.ip(101), s.ip(101))]
    assert one.beat() == (0, [])
    with s.tracker.connect() as conn:
        assert conn.store() == ("group1", s.ip(101), STORAGE_PORT, 0)
        assert conn.done(GET_LEADER) == f"{host}:{port}".encode()
        assert conn.done(STATUS) == b"\1" + bytes(16)


def test_join_is_checked_in_order(stage):
    s = stage()
    one = s.player(101)
    good = one.join_body()
    one.fails(JOIN, good[:144], EINVAL)
    one.fails(JOIN, good + b"x" * 100, EINVAL)
    one.fails(JOIN, good[:-1], EINVAL)  # a line without its end
    for bad in ({"count": 0}, {"count": 17}, {"name": ""}, {"name": "gr-1"},
                {"port": 0}, {"port": -1}, {"paths": 0}, {"paths": 257},
                {"subdirs": 0}, {"subdirs": 257}, {"trackers": ["nonsense"]}):
        assert one.join(**bad) == EINVAL, bad
    # A first list without this tracker is refused, and then remembered;
    # before the first storage is taken the others are asked for theirs.
    other = [f"{s.net}.3:22122"]
    assert one.join(trackers=other) == ENOENT
    assert one.join(trackers=other) == EAGAIN
    assert one.join(init=0, status=ACTIVE) == (ONLINE, "")
    assert one.join(trackers=other) == (ONLINE, "")
    two = s.player(102)
    for claimed in (0xFF, IP_MOVED, DELETED, 99):
        assert two.join(init=0, status=claimed) == EFAULT
    assert two.join(port=STORAGE_PORT + 1) == EINVAL
    assert two.join(subdirs=8) == EINVAL
    assert two.join(paths=2) == (INIT, "")
    two.fails(DISK, i64(1) * 4, EINVAL)  # its group has one path
    three = s.player(103)
    assert three.join(name="group2", paths=2) == (INIT, "")
    four = s.player(104)
    assert four.join(name="group2", paths=1) == EINVAL
    # Alone, a storage may change what it likes.
    assert three.join(name="group2", paths=1, subdirs=8, port=25000) == \
        (INIT, "")


def test_commands_of_storages_need_a_join(stage):
    one = stage().player(101)
    for cmd, body in ((CHANGE_STATUS, b"\5"), (72, b""), (73, bytes(4)),
                      (74, bytes(8)), (BEAT, b""), (DISK, bytes(16)),
                      (REPLICA_CHG, bytes(67)), (DEST_REQ, b""),
                      (SYNC_REPORT, bytes(20)), (DEST_QUERY, b""),
                      (NOTIFY, bytes(24))):
        one.fails(cmd, body, EACCES)
    assert one.is_usable()


@pytest.mark.parametrize("length", [2, 9, 200, 2145, 70_000])
def test_the_join_is_missed_before_the_length_is_wrong(stage, length):
    one = stage().player(101)
    for cmd in (CHANGE_STATUS, 72, 73, 74, BEAT, DISK, REPLICA_CHG, DEST_REQ,
                SYNC_REPORT):
        one.fails(cmd, bytes(length), EACCES)
    for cmd in (DEST_QUERY, NOTIFY, CHANGELOG):  # but not of these
        one.fails(cmd, bytes(length), EINVAL)
    one.fails(CHANGELOG, b"", EINVAL)
    assert one.is_usable()


# --- a second member --------------------------------------------------------

def test_a_new_member_is_filled_by_the_first(stage):
    s = stage()
    one, two = s.player(101), s.player(102)
    one.settle()
    assert two.join() == (INIT, "")
    assert two.done(DEST_QUERY) == b""
    given = two.done(DEST_REQ)
    assert text(given[:16]) == s.ip(101)
    assert abs(struct.unpack(">q", given[16:])[0] - time.time()) < 5
    assert two.done(DEST_QUERY) == given
    assert two.done(NOTIFY, given) == b""
    flags, rows = two.beat()
    assert flags == 5 and [row[0] for row in rows[1:]] == [ACTIVE, WAIT_SYNC]
    flags, rows = one.beat()
    assert flags == 4 and [row[0] for row in rows] == [ACTIVE, WAIT_SYNC]
    who = group() + pad(s.ip(102), 16)
    with s.tracker.connect() as other:
        assert other.done(SRC_REQ, who) == given
        other.fails(SRC_REQ, group() + pad("9.9.9.9", 16), ENOENT)
        assert other.done(SRC_REQ, group() + pad(s.ip(101), 16)) == b""
        for status in (SYNCING, WAIT_SYNC, OFFLINE):
            assert other.done(REPORT_STATUS,
                              group() + brief(status, s.ip(102))) == b""
        assert s.status(102) == OFFLINE
        other.fails(REPORT_STATUS, group("nosuch") + brief(5, s.ip(102)),
                    ENOENT)
    flags, rows = two.beat()
    assert flags == 4 and [row[0] for row in rows] == [ACTIVE, ACTIVE]


def test_nobody_active_to_fill_from_means_ask_again(stage):
    s = stage()
    one, two = s.player(101), s.player(102)
    one.settle()
    one.close()
    wait_until(lambda: s.status(101) == OFFLINE, 5, "it is OFFLINE")
    assert two.join() == (INIT, "")
    two.fails(DEST_REQ, b"", ENOENT)
    two.fails(NOTIFY, source_body("9.9.9.9"), ENOENT)
    assert two.done(NOTIFY, source_body(s.ip(101), 7)) == b""
    assert s.status(102) == WAIT_SYNC
    assert two.done(NOTIFY, source_body()) == b""
    assert s.status(102) == ONLINE


def test_a_source_that_was_deleted_is_refused_and_forgotten(stage):
    s = stage()
    one, two = s.player(101), s.player(102)
    one.settle()
    one.close()
    wait_until(lambda: s.status(101) == OFFLINE, 5, "it is OFFLINE")
    with s.tracker.connect() as conn:
        conn.done(93, group() + s.ip(101).encode())
    assert two.join(init=0, status=ACTIVE) == (ONLINE, "")
    two.fails(NOTIFY, source_body(s.ip(101)), ENOENT)
    assert two.done(DEST_QUERY) == b""
    two.fails(NOTIFY, source_body(s.ip(101)), ENOENT)


# --- reports ----------------------------------------------------------------

def test_lengths_of_reports_are_exact(stage):
    one = stage().player(101)
    one.settle()
    for cmd, size in ((BEAT, 347), (BEAT, 1), (DISK, 8), (DISK, 0),
                      (SYNC_REPORT, 0), (SYNC_REPORT, 19), (NOTIFY, 23),
                      (DEST_REQ, 1), (DEST_QUERY, 1), (CHANGE_STATUS, 0),
                      (CHANGE_STATUS, 2), (REPLICA_CHG, 66),
                      (REPLICA_CHG, 0), (CHANGELOG, 16), (SRC_REQ, 31),
                      (REPORT_STATUS, 82), (IP_CHANGED, 107), (MY_IP, 20)):
        one.fails(cmd, bytes(size), EINVAL)
    assert one.beat() == (0, [])


def test_beats_carry_the_counters_into_the_lists(stage):
    s = stage()
    one = s.player(101)
    one.settle()
    one.beat(stats_block(1000))
    with s.tracker.connect() as conn:
        record = conn.done(92, group())
    assert record[138:150] == struct.pack(">3i", 64, 1, 2)
    counters = struct.unpack(">42q", record[150:486])
    assert counters[:40] == tuple(range(1000, 1040))
    assert counters[40] == 0  # nothing synced yet
    assert abs(counters[41] - time.time()) < 5


def test_progress_is_the_least_of_what_was_reported(stage):
    s = stage()
    one, two, three = s.player(101), s.player(102), s.player(103)
    one.settle()
    for player in (two, three):
        assert player.join(init=0, status=ACTIVE) == (ONLINE, "")
        player.beat()

    def stamp(number, at):
        return pad(s.ip(number), 16) + struct.pack(">i", at)

    def synced():
        with s.tracker.connect() as conn:
            record = conn.done(92, group() + s.ip(103).encode())
        return struct.unpack(">q", record[470:478])[0]
    three.done(SYNC_REPORT, stamp(101, 500) + stamp(102, 400)
               + stamp(103, 9) + stamp(109, 1) + stamp(101, 0))
    assert synced() == 400
    three.done(SYNC_REPORT, stamp(101, 600) + stamp(102, 0))
    assert synced() == 600


def test_a_storage_corrects_its_own_state(stage):
    s = stage()
    one = s.player(101)
    one.settle()
    assert one.done(CHANGE_STATUS, bytes([OFFLINE])) == b""
    assert s.status(101) == ACTIVE
    assert one.done(CHANGE_STATUS, bytes([WAIT_SYNC])) == b""
    assert s.status(101) == WAIT_SYNC
    assert one.done(CHANGE_STATUS, bytes([ACTIVE])) == b""
    assert s.status(101) == OFFLINE
    assert one.join(init=0, status=ACTIVE) == (ONLINE, "")
    assert one.done(REPLICA_CHG, brief(OFFLINE, "10.1.1.1")) == b""
    assert s.status(101) == ONLINE  # a leader does not listen


def test_the_last_join_of_a_connection_wins(stage):
    s = stage()
    one = s.player(101)
    one.settle()
    assert one.join() == (ACTIVE, "")
    again = s.player(101)
    assert again.join() == (ACTIVE, "")
    one.close()  # the old connection speaks for nobody any more
    flags, _ = again.beat()
    assert flags == 5
    assert s.status(101) == ACTIVE
    again.close()
    wait_until(lambda: s.status(101) == OFFLINE, 5, "it is OFFLINE")


def test_silence_makes_a_storage_offline(stage):
    s = stage(check_active_interval=1)
    one = s.player(101)
    one.settle()
    wait_until(lambda: s.status(101) == OFFLINE, 10, "it is OFFLINE")
    flags, rows = one.beat()
    assert flags == 4 and rows[0][0] == ACTIVE


# --- leaving, moving --------------------------------------------------------

def test_the_list_of_changes(stage):
    s = stage()
    one, two = s.player(101), s.player(102)
    one.settle()
    assert two.join(init=0, status=ACTIVE) == (ONLINE, "")
    two.beat()
    two.close()
    wait_until(lambda: s.status(102) == OFFLINE, 5, "it is OFFLINE")
    with s.tracker.connect() as conn:
        conn.fails(93, group() + s.ip(101).encode(), EBUSY)
        conn.done(93, group() + s.ip(102).encode())
        conn.fails(93, group() + s.ip(102).encode(), EALREADY)
        conn.fails(CHANGELOG, group() + pad("9.9.9.9", 16), ENOENT)
    line = one.done(CHANGELOG).decode()
    assert re.fullmatch(r"\d+ group1 %s 4 \n" % re.escape(s.ip(102)), line)
    assert one.done(CHANGELOG) == b""
    again = s.player(102)
    assert again.join(init=0, status=ACTIVE) == (INIT, "")
    assert again.done(CHANGELOG) == b""  # not its history


def test_a_storage_moves_to_another_address(stage):
    s = stage()
    one, two = s.player(101), s.player(102)
    one.settle()
    one.beat(stats_block(1000))
    assert two.join(init=0, status=ACTIVE) == (ONLINE, "")
    flags, _ = two.beat()

    def move(old, new):
        return group() + pad(s.ip(old), 46) + pad(s.ip(new), 46)
    new = s.player(111)
    new.fails(IP_CHANGED, move(101, 111), EBUSY)
    one.close()
    wait_until(lambda: s.status(101) == OFFLINE, 5, "it is OFFLINE")
    new.fails(IP_CHANGED, move(101, 112), EINVAL)
    new.fails(IP_CHANGED, move(109, 111), ENOENT)
    two.fails(IP_CHANGED, move(101, 102), EEXIST)
    assert new.done(IP_CHANGED, move(101, 111)) == b""
    new.fails(IP_CHANGED, move(101, 111), EALREADY)
    flags, rows = two.beat()
    assert flags == 4
    assert {row[2]: row[:2] for row in rows} == {
        s.ip(101): (IP_MOVED, 0), s.ip(111): (OFFLINE, STORAGE_PORT),
        s.ip(102): (ACTIVE, STORAGE_PORT)}
    line = two.done(CHANGELOG).decode()
    assert line.endswith(f" group1 {s.ip(101)} 3 {s.ip(111)}\n")
    with s.tracker.connect() as conn:
        record = conn.done(92, group() + s.ip(111).encode())
        assert struct.unpack(">q", record[150:158])[0] == 1000


@pytest.mark.parametrize("how,want", [(1, [500, 600, 600]),
                                      (2, [500, 600, 600])])
def test_progress_with_other_store_servers_is_the_most(stage, how, want):
    s = stage(store_server=how)
    one, two, three = s.player(101), s.player(102), s.player(103)
    one.settle()
    for player in (two, three):
        assert player.join(init=0, status=ACTIVE) == (ONLINE, "")
        player.beat()
    for reported, known in zip(((500, 400), (400, 600), (10, 20)), want):
        three.done(SYNC_REPORT, b"".join(
            pad(s.ip(number), 16) + struct.pack(">i", at)
            for number, at in zip((101, 102), reported)))
        with s.tracker.connect() as conn:
            record = conn.done(92, group() + s.ip(103).encode())
        assert struct.unpack(">q", record[470:478])[0] == known


def test_the_matrix_decides_who_is_read_from_and_survives(stage):
    s = stage()
    one, two = s.player(101), s.player(102)
    one.settle()
    assert two.join(init=0, status=ACTIVE) == (ONLINE, "")
    two.beat()
    name = _name_of(s, 101)
    now = int(time.time())

    def readers():
        with s.tracker.connect() as conn:
            body = conn.done(wire.FETCH_ALL, wire.file_ref(name))
        return 1 + (len(body) - 39) // 15
    assert readers() == 1
    two.done(SYNC_REPORT, pad(s.ip(101), 16) + struct.pack(">i", now + 60))
    assert readers() == 2
    s.tracker.restart()
    one, two = s.player(101), s.player(102)
    for player in (one, two):
        assert player.join(init=0, status=ACTIVE) == (ONLINE, "")
        player.beat()
    assert readers() == 2
    # Of another member's files it knows nothing but the minimum.
    one.done(SYNC_REPORT, pad(s.ip(102), 16) + struct.pack(">i", 5))
    assert readers() == 2


# --- restart ----------------------------------------------------------------

@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_restarted_tracker_knows_its_cluster(stage, how):
    s = stage()
    s.tracker.sections = "[meta]\nsample_interval = 1\n"
    s.tracker.restart()
    one, two = s.player(101), s.player(102)
    one.settle(free=700)
    one.beat(stats_block(1000))
    assert two.join() == (INIT, "")
    given = two.done(DEST_REQ)

    def sampled():
        with s.tracker.database() as db:
            return db.execute(
                "select count(*) from sample_10s where subject = ?"
                " and total_upload_count = 1000",
                (f"group1/{s.ip(101)}",)).fetchone()[0]
    wait_until(sampled, 10, "a sample with the counters")
    getattr(s.tracker, how)()
    s.tracker.start()
    assert s.status(101) == OFFLINE
    assert s.status(102) == WAIT_SYNC
    with s.tracker.connect() as conn:
        record = conn.done(92, group() + s.ip(101).encode())
        assert struct.unpack(">2q", record[74:90]) == (1000, 700)
        assert struct.unpack(">q", record[150:158])[0] == 1000
    two = s.player(102)
    assert two.join(init=0, status=0xFF) == (WAIT_SYNC, s.ip(101))
    assert two.done(DEST_QUERY) == given
    one = s.player(101)
    assert one.join(init=0, status=0xFF) == (ONLINE, "")
    with s.tracker.database() as db:
        rows = db.execute(
            "select old, new, reason from status_log where id = ? "
            "order by seq", (s.ip(101),)).fetchall()
    assert [tuple(row) for row in rows[:3]] == [
        (-1, INIT, "join"),
        (INIT, ONLINE, "nobody to be filled from"), (ONLINE, ACTIVE, "beat")]


def test_a_deleted_storage_stays_deleted_after_a_restart(stage):
    s = stage()
    one, two = s.player(101), s.player(102)
    one.settle()
    assert two.join(init=0, status=ACTIVE) == (ONLINE, "")
    two.close()
    wait_until(lambda: s.status(102) == OFFLINE, 5, "it is OFFLINE")
    with s.tracker.connect() as conn:
        conn.done(93, group() + s.ip(102).encode())
    s.tracker.kill()
    s.tracker.start()
    assert s.status(102) is None
    assert s.status(101) == OFFLINE
    with s.tracker.connect() as conn:  # its line is still told
        assert b" 4 \n" in conn.done(
            CHANGELOG, group() + pad(s.ip(101), 16))


def test_a_leader_that_gives_up_leads_again(stage):
    s = stage()
    one = s.player(101)
    one.settle()
    assert one.done(RESELECT) == b""
    one.fails(GET_LEADER, b"", ENOENT)
    one.fails(RESELECT, b"", EOPNOTSUPP)
    one.fails(96, bytes(3), EOPNOTSUPP)
    assert one.beat() == (0, [])  # only a leader tells
    wait_until(lambda: one.call(GET_LEADER).status == 0, 5, "it leads")
    flags, _ = one.beat()
    assert flags == 1


def test_other_trackers_are_listed_but_not_active(stage):
    s = stage()
    host, port = s.tracker.address
    one = s.player(101)
    one.settle()
    assert one.join(trackers=[f"{s.net}.9:22122", f"{host}:{port}"]) == \
        (ACTIVE, "")
    with s.tracker.connect() as conn:
        body = conn.done(96, bytes(3))
        assert body[0] == 2
        assert body[53:55] == b"\1\1"
        assert text(body[91:91 + 52]) == f"{s.net}.9:22122"
        assert body[91 + 52:91 + 54] == b"\0\0"
        assert conn.done(96, b"\1\1\0")[0] == 1


# --- recorded dialogues -----------------------------------------------------

class Record:
    """A recorded dialogue, moved into the addresses of this scenario."""

    def __init__(self, name, s):
        self.s = s
        lines = (TRANSCRIPTS / name).read_text().splitlines()
        self.rows = [row for row in map(json.loads, lines)
                     if row.get("peer") == "tracker"]

    def _ip(self, found):
        number = int(found.group(1))
        return self.s.ip(number if number == 1 else number + 90).encode()

    def moved(self, raw):
        """Addresses as text and inside file names; padding keeps widths."""
        def swap(found):
            new = self._ip(found)
            nuls = len(found.group(2))
            room = len(found.group(0)) - len(new)
            return new + b"\0" * room if nuls else new
        raw = re.sub(rb"10\.77\.1\.(\d+)(\0*)", swap, raw)
        for number in (11, 12, 13):
            old = base64.b64encode(bytes([10, 77, 1, number, 0x6b, 0x02]),
                                   b"-_")
            new = base64.b64encode(
                bytes(map(int, self.s.ip(number + 90).split(".")))
                + b"\x6b\x02", b"-_")
            raw = raw.replace(old, new)
        return raw

    def pairs(self, first=0, last=10 ** 6):
        asked = None
        for row in self.rows:
            if not first <= row["seq"] <= last or "hex" not in row:
                continue
            raw = bytes.fromhex(row["hex"])
            if row["dir"] == "c2s":
                asked = (row, raw[8], raw[9], self.moved(raw[10:]))
            elif asked:
                yield asked, row["status"], raw[10:]
                asked = None

    def play(self, conn, same, first=0, last=10 ** 6):
        """Status and length of every answer; all bytes of `same`."""
        count = 0
        for (row, cmd, flag, body), status, want in self.pairs(first, last):
            answer = conn.call(cmd, body, flag)
            where = (row["seq"], row["note"])
            assert answer.status == status, where
            if cmd in same:
                assert answer.body == self.moved(want), where
            elif cmd not in (60, 70, 95):  # texts of an address
                assert len(answer.body) == len(want), where
            count += 1
        return count


LOOKUPS = {101, 102, 103, 104, 105, 106, 107}


def members(s, *numbers, free=77294, name="group1", **priorities):
    made = []
    for number in numbers:
        player = s.player(number)
        state = (INIT, "") if not made else (ONLINE, "")
        if made:
            assert player.join(
                name=name, init=0, status=ACTIVE,
                priority=priorities.get(f"p{number}", 10)) == state
            player.beat(stats_block())
            player.disk((258019, free))
        else:
            assert player.join(
                name=name,
                priority=priorities.get(f"p{number}", 10)) == state
            player.done(DEST_REQ)
            player.beat(stats_block())
            player.disk((258019, free))
        made.append(player)
    return made


def replay_client(s):
    return wire.TrackerWire(s.tracker.address, source=s.ip(1))


def test_recorded_probe_of_every_tracker_command(stage):
    s = stage(reserved_storage_space="1%")
    _keep = members(s, 101, 102)
    record = Record("09-tracker-commands-probe.jsonl", s)
    with replay_client(s) as conn:
        conn.store()  # the recording begins at the second storage
        assert record.play(conn, LOOKUPS | {69, 71, 75, 109, 111}) == 81
        assert conn.done(MY_IP, pad("group1", 17) + bytes(4)) == \
            s.ip(1).encode()


def test_recorded_loss_and_deletion_of_storages(stage):
    s = stage(reserved_storage_space="1%")
    one, two = members(s, 101, 102)
    record = Record("24-offline-and-delete.jsonl", s)
    port = STORAGE_PORT
    with replay_client(s) as conn:
        two.close()
        wait_until(lambda: s.status(102) == OFFLINE, 5, "it is OFFLINE")
        assert record.play(conn, {93}, 2, 29) == 14
        assert conn.locate(102, _name_of(s, 102)) == (s.ip(101), port)
        one.close()
        wait_until(lambda: s.status(101) == OFFLINE, 5, "it is OFFLINE")
        assert record.play(conn, {93}, 30, 49) == 10
        # Only tombstones are left: the stock tracker needs a restart first.
        assert conn.done(108, group()) == b""
        assert conn.done(91) == b""


def _name_of(s, number):
    source = bytes(map(int, s.ip(number).split(".")))
    record = source + struct.pack(">IQI", int(time.time()), 1 << 63 | 5, 1)
    return "M00/00/00/" + base64.b64encode(
        record, b"-_").decode().rstrip("=") + "123.txt"


def test_recorded_refusals_without_space(stage):
    s = stage(reserved_storage_space="99%")
    one, = members(s, 101)
    record = Record("25-nospace-and-delete-group.jsonl", s)
    with replay_client(s) as conn:
        assert record.play(conn, LOOKUPS, 0, 15) == 8
        one.close()
        wait_until(lambda: s.status(101) == OFFLINE, 5, "it is OFFLINE")
        assert record.play(conn, {93}, 32, 33) == 1
    s.tracker.restart()
    with replay_client(s) as conn:
        assert record.play(conn, LOOKUPS, 38, 60) == 11


def test_recorded_selection_by_priority_and_space(stage):
    s = stage(store_lookup=2, store_server=2, download_server=1,
              reserved_storage_space="1%")
    _keep = members(s, 101, 102, p102=5) + members(
        s, 103, name="groupB", free=70000)
    record = Record("28-selection-settings.jsonl", s)

    def ports(raw):  # this recording was made with other ports
        return raw.replace(struct.pack(">q", 23110),
                           struct.pack(">q", STORAGE_PORT))
    moved = record.moved
    record.moved = lambda raw: ports(moved(raw))
    with replay_client(s) as conn:
        assert record.play(conn, {101, 102, 104}, 0, 23) == 9
