# SPDX-License-Identifier: MIT
"""A tracker among trackers that the test plays itself: electing, leading,
following, byte by byte; held against recorded dialogues."""

import json
import re
import socket
import struct
import threading
import time

import pytest

import wire
from harness import STOCK, wait_until
from test_tracker_dialogue import TRANSCRIPTS, Player, Stage, stats_block
from wire import EINVAL, ENOENT, EOPNOTSUPP, i64, pad

JOIN_LEADER, STATUS, PING, NEXT, COMMIT, RESELECT = 58, 64, 65, 66, 67, 68
TRACKER_STAT, GET_LEADER = 96, 95
EEXIST = 17
PORT = 22322
COUNTS = struct.pack(">3i", 256, 2, 2)

pytestmark = pytest.mark.skipif(
    STOCK, reason="played trackers are on loopback addresses, which FastDFS's "
                  "trackers cannot come from")


class Ally:
    """A tracker that the test plays: it listens, answers and remembers."""

    def __init__(self, ip, port=PORT):
        self.ip = ip
        self.view = None  # leader flag, running time, interval; None: 2
        self.refuse = {}  # command -> status
        self.heard = []   # (when, command, body)
        self.table = b""
        self.quiet = False
        self.server = socket.create_server((ip, port))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                conn, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(conn,),
                             daemon=True).start()

    def _take(self, conn, count):
        got = b""
        while len(got) < count:
            part = conn.recv(count - len(got))
            if not part:
                raise ConnectionError
            got += part
        return got

    def _serve(self, conn):
        with conn:
            try:
                while True:
                    length, cmd, _ = struct.unpack(">qBB",
                                                   self._take(conn, 10))
                    body = self._take(conn, length)
                    self.heard.append((time.monotonic(), cmd, body))
                    if self.quiet:
                        return
                    status, answer = self._answer(cmd)
                    conn.sendall(wire.message(100, answer, status))
            except (ConnectionError, OSError):
                return

    def _answer(self, cmd):
        if self.refuse.get(cmd):
            return self.refuse[cmd], b""
        if cmd == STATUS:
            if self.view is None:
                return ENOENT, b""
            return 0, bytes([self.view[0]]) + i64(self.view[1]) + \
                i64(self.view[2])
        if cmd == PING:
            table, self.table = self.table, b""
            return 0, table
        return 0, b""

    def commands(self):
        return [cmd for _, cmd, _ in self.heard]

    def wait(self, cmd, count=1, deadline=20):
        wait_until(lambda: self.commands().count(cmd) >= count, deadline,
                   f"{count} times command {cmd}")
        return [(when, body) for when, c, body in self.heard if c == cmd]

    def close(self):
        self.server.close()


class Trackers(Stage):
    """Ours is .11, as in the records; .12 and .13 are played."""

    def __init__(self, made):
        super().__init__(made)
        self.allies = {}

    def ally(self, number, port=PORT):
        self.allies[number] = Ally(self.ip(number), port)
        return self.allies[number]

    def list(self):
        return [f"{self.ip(n)}:{PORT}" for n in (11, *sorted(self.allies))]

    def name(self, number):
        return f"{self.ip(number)}:{PORT}".encode()

    def storage(self):
        """A storage that is ACTIVE and whose list names all of us."""
        one = self.player(101)
        one.settle(trackers=self.list())
        return one

    def as_tracker(self, number):
        return wire.Wire(self.tracker.address, source=self.ip(number))

    def leader(self):
        with self.tracker.connect() as conn:
            answer = conn.call(GET_LEADER)
            return answer.body if answer.status == 0 else None

    def wait_leader(self, number, deadline=15):
        wait_until(lambda: self.leader() == self.name(number), deadline,
                   f"tracker {number} leads")

    def appoint(self, number):
        with self.as_tracker(number) as conn:
            conn.done(NEXT, self.name(number))
            conn.done(COMMIT, self.name(number))


@pytest.fixture
def stage(fresh):
    made = fresh(start=False, storages=0)
    tracker = made.tracker
    tracker.address = (f"{made.net}.11", PORT)
    tracker.conf.update(bind_addr=tracker.address[0], port=PORT)
    tracker.start()
    s = Trackers(made)
    yield s
    for ally in s.allies.values():
        ally.close()


def following(stage):
    """Ours follows the played tracker 12."""
    ally = stage.ally(12)
    one = stage.storage()
    ally.view = (1, 300, 0)
    stage.wait_leader(12)
    return ally, one


def leading(stage):
    """Ours leads, 12 does not know any group."""
    ally = stage.ally(12)
    one = stage.storage()
    stage.wait_leader(11)
    return ally, one


# --- recorded ---------------------------------------------------------------

def recorded(stage, name, since=0):
    """Requests between trackers with their replies, addresses moved here:
    (t_ms, from, command, body, status, reply)."""
    asked = {}
    for line in (TRANSCRIPTS / name).read_text().splitlines():
        row = json.loads(line)
        if row.get("t_ms", 0) < since or "tracker" not in row["to"] and \
                "tracker" not in row["from"]:
            continue
        raw = bytes.fromhex(row["hex"])[10:]
        raw = re.sub(rb"10\.88\.0\.(\d+)", lambda m:
                     stage.ip(int(m.group(1))).encode(), raw)
        if row["cmd"] != 100:
            asked[row["conn"]] = (row, raw)
        elif row["conn"] in asked:
            first, body = asked.pop(row["conn"])
            number = int(re.match(r"10\.88\.0\.(\d+)",
                                  first["from_addr"]).group(1))
            yield (row["t_ms"], number, first["cmd"], body, row["status"],
                   raw)


def test_the_record_of_a_first_election_as_its_winner(stage):
    """cluster-01 with the places changed: there .12 won over .11."""
    rows = list(recorded(stage, "cluster-01-first-storage.jsonl", 1000))
    sent = [(cmd, body) for _, number, cmd, body, _, _ in rows
            if number == 12 and cmd in (STATUS, NEXT, COMMIT)]
    ally = stage.ally(10)  # smaller than ours, so that ours wins
    stage.storage()
    began = time.monotonic()
    ally.view = (0, 0, 0)
    ally.wait(COMMIT)
    asked = [(cmd, body) for when, cmd, body in ally.heard if when >= began]
    ours = stage.name(11)
    assert asked == [(cmd, body and body.replace(stage.name(12), ours))
                     for cmd, body in sent]
    assert 0.5 < ally.heard[-1][0] - began < 3
    follower = stage.as_tracker(10)
    for _, number, cmd, body, status, reply in rows:
        if number == 11 and cmd in (JOIN_LEADER, PING):
            answer = follower.call(cmd, body)
            assert (answer.status, answer.body) == (status, reply), cmd


def test_the_record_of_a_first_election_as_its_loser(stage):
    ally = stage.ally(12)
    stage.storage()
    ally.view = (0, 0, 0)
    rows = list(recorded(stage, "cluster-01-first-storage.jsonl", 1000))
    with stage.as_tracker(12) as conn:
        for _, number, cmd, body, status, reply in rows:
            if number == 12 and cmd in (STATUS, NEXT, COMMIT):
                answer = conn.call(cmd, body)
                assert (answer.status, answer.body) == (status, reply), cmd
    assert stage.leader() == stage.name(12)
    joined, pinged = [next(body for _, n, c, body, _, _ in rows if n == 11
                           and c == cmd) for cmd in (JOIN_LEADER, PING)]
    said = ally.wait(JOIN_LEADER)[0][1]
    assert said[8:] == joined[8:]  # version and port
    assert abs(int.from_bytes(said[:8], "big") - time.time()) < 60
    assert len(ally.wait(PING, 3)[0][1]) == len(pinged)
    times = [when for when, _ in ally.wait(PING, 3)]
    assert 0.8 < times[2] - times[1] < 1.6
    assert ally.commands().count(JOIN_LEADER) == 1


def test_the_record_of_a_leader_asked_to_give_up(stage):
    """cluster-17: .12 gave up and led again within a second."""
    rows = list(recorded(stage, "cluster-17-reselect-leader.jsonl"))
    ally, _ = leading(stage)
    ally.heard.clear()
    follower = stage.as_tracker(12)
    follower.done(JOIN_LEADER, i64(1) + pad("6.16.1", 8) + i64(PORT))
    follower.done(PING, COUNTS)
    refused, taken = [row for row in rows if row[2] == RESELECT]
    assert (refused[4], taken[4]) == (EOPNOTSUPP, 0)
    with stage.tracker.connect() as conn:
        conn.done(RESELECT)
        assert stage.leader() is None
        conn.fails(RESELECT, b"", EOPNOTSUPP)
    follower.fails(PING, COUNTS, EOPNOTSUPP)
    stage.wait_leader(11, 4)
    assert ally.commands() == [row[2] for row in rows if row[1] == 12
                               and row[2] in (STATUS, NEXT, COMMIT)]
    last = [row for row in rows if row[2] == PING][-1]
    answer = follower.call(PING, last[3])
    assert (answer.status, answer.body) == (last[4], last[5])


def test_the_record_of_a_third_tracker_that_follows(stage):
    """cluster-09: a newcomer joins the leader and is told every group."""
    rows = [row for row in recorded(
        stage, "cluster-09-third-tracker-and-failover.jsonl", 2900)
        if row[2] in (JOIN_LEADER, PING) and row[0] < 5000 and row[1] == 13]
    assert [row[2] for row in rows] == [JOIN_LEADER, PING, PING, PING]
    stage.ally(13)
    leading(stage)
    stage.player(102).settle(name="group2", trackers=stage.list())
    with stage.as_tracker(13) as conn:
        for _, _, cmd, body, status, reply in rows:
            answer = conn.call(cmd, body)
            assert (answer.status, answer.body) == (status, reply), cmd


# --- electing ---------------------------------------------------------------

def test_a_lone_tracker_leads_at_once(stage):
    one = stage.player(101)
    assert one.join(trackers=stage.list())
    assert stage.leader() == stage.name(11)


def test_nobody_is_told_of_others_while_nobody_leads(stage):
    ally = stage.ally(12)
    one = stage.player(101)
    ally.refuse[NEXT] = EINVAL
    changes = one.settle(trackers=stage.list())
    assert changes == (0, [])
    assert one.beat() == (0, [])
    with stage.tracker.connect() as conn:
        conn.fails(GET_LEADER, b"", ENOENT)
        conn.fails(TRACKER_STAT, bytes(3), EOPNOTSUPP)
    ally.refuse.clear()
    stage.wait_leader(11)
    flags, rows = one.beat()
    assert flags == 5
    assert rows[0] == (0, PORT, stage.ip(11)[:15], stage.ip(11))


@pytest.mark.parametrize("view", [(1, 0, 900), (0, 300, 0)])
def test_a_better_tracker_is_left_to_act_or_adopted(stage, view):
    ally = stage.ally(12)
    stage.storage()
    ally.view = view
    ally.wait(STATUS, 2)
    time.sleep(0.3)
    assert NEXT not in ally.commands()
    assert stage.leader() == (stage.name(12) if view[0] else None)


@pytest.mark.slow
def test_a_refusal_ends_the_attempt_and_it_is_repeated(stage):
    ally = stage.ally(10)
    stage.storage()
    ally.refuse[COMMIT] = EINVAL
    ally.wait(COMMIT)
    time.sleep(0.2)
    assert stage.leader() is None
    assert ally.wait(COMMIT, 2)
    ally.refuse.clear()
    stage.wait_leader(11)


def test_a_tracker_that_is_down_does_not_hinder_the_others(stage):
    ally = stage.ally(10)
    one = stage.player(101)
    gone = f"{stage.ip(13)}:{PORT}"
    assert one.join(trackers=[*stage.list(), gone])
    ally.wait(COMMIT, deadline=10)
    stage.wait_leader(11)


def test_the_tables_of_66_and_67(stage):
    ally, _ = following(stage)
    with stage.as_tracker(12) as conn:
        for cmd in (NEXT, COMMIT):
            for bad in (b"", b"10.88.0.12", b"10.88.0.12:", b"x" * 53):
                conn.fails(cmd, bad, EINVAL)
            conn.fails(cmd, f"{stage.ip(14)}:{PORT}".encode(), ENOENT)
            conn.fails(cmd, f"{stage.ip(12)}:{PORT + 1}".encode(), ENOENT)
        conn.fails(COMMIT, stage.name(11), EINVAL)  # not announced
        conn.done(NEXT, stage.name(11))
        conn.fails(COMMIT, stage.name(12), EINVAL)  # another was
        assert stage.leader() == stage.name(12)
        conn.done(COMMIT, stage.name(11))
        assert stage.leader() == stage.name(11)
        ally.view = None
        conn.fails(NEXT, stage.name(12), EINVAL)  # it gives up first
        assert stage.leader() is None
        conn.done(NEXT, stage.name(12))
        conn.done(COMMIT, stage.name(12))
        assert stage.leader() == stage.name(12)


# --- leading ----------------------------------------------------------------

def test_the_answers_to_58_and_65(stage):
    leading(stage)
    joined = i64(1795330000) + pad("6.16.1", 8) + i64(PORT)
    with stage.as_tracker(12) as conn:
        conn.fails(JOIN_LEADER, joined[:-1], EINVAL)
        conn.fails(JOIN_LEADER, joined + b"\0", EINVAL)
        conn.fails(PING, COUNTS, EINVAL)  # not joined
        conn.fails(JOIN_LEADER, joined[:-8] + i64(PORT + 1), ENOENT)
        conn.done(JOIN_LEADER, joined)
        conn.fails(JOIN_LEADER, joined, EEXIST)
        conn.fails(PING, COUNTS[:-1], EINVAL)
        assert conn.done(PING, COUNTS) == pad("group1", 16) + bytes(16)
        assert conn.done(PING, COUNTS) == b""
        stage.player(103).settle(name="alpha", trackers=stage.list())
        assert conn.done(PING, COUNTS) == pad("alpha", 16) + bytes(16) + \
            pad("group1", 16) + bytes(16)
        assert conn.done(PING, COUNTS) == b""
    with stage.as_tracker(14) as conn:
        conn.fails(JOIN_LEADER, joined, ENOENT)


def test_an_older_tracker_pings_without_joining(stage):
    leading(stage)
    with stage.as_tracker(12) as conn:
        assert conn.done(PING) == pad("group1", 16) + bytes(16)
        assert conn.done(PING) == b""


def tracker_rows(conn, asked=bytes(3)):
    body = conn.done(TRACKER_STAT, asked)
    assert len(body) == 1 + body[0] * 90
    rows = [body[at:at + 90] for at in range(1, len(body), 90)]
    return {wire.text(row[:52]): (row[52], row[53],
                                  struct.unpack(">3i", row[54:66]),
                                  wire.text(row[66:74]),
                                  *struct.unpack(">2q", row[74:])) for row
            in rows}


def test_what_a_leader_tells_of_its_followers(stage):
    leading(stage)
    me, other = stage.name(11).decode(), stage.name(12).decode()
    with stage.tracker.connect() as asker, stage.as_tracker(12) as conn:
        assert tracker_rows(asker)[other] == (0, 0, (0, 0, 0), "", 0, 0)
        conn.done(JOIN_LEADER, i64(1795330000) + pad("6.16.0", 8) + i64(PORT))
        conn.done(PING, COUNTS)
        rows = tracker_rows(asker)
        assert rows[me][:2] == (1, 1) and rows[me][3] == "6.16.1"
        assert rows[other][:5] == (0, 1, (256, 2, 2), "6.16.0", 1795330000)
        assert abs(rows[other][5] - time.time()) < 5
        assert list(tracker_rows(asker, b"\1\1\0")) == [me, other]
        assert list(tracker_rows(asker, b"\1\0\0")) == []
        assert list(tracker_rows(asker, b"\2\0\1")) == [me]
        assert list(tracker_rows(asker, b"\2\0\0")) == [other]
        conn.close()
        wait_until(lambda: tracker_rows(asker)[other][1] == 0, 5,
                   "the follower is gone")


# --- following --------------------------------------------------------------

def test_a_follower_names_its_leader_and_tells_storages_nothing(stage):
    ally, one = following(stage)
    assert one.beat(stats_block()) == (0, [])
    two = stage.player(102)
    assert two.join(trackers=stage.list())
    assert one.beat() == (0, [])
    with stage.tracker.connect() as conn:
        assert conn.done(GET_LEADER) == stage.name(12)
        conn.fails(TRACKER_STAT, bytes(3), EOPNOTSUPP)
        conn.fails(JOIN_LEADER, i64(1) + pad("6.16.1", 8) + i64(PORT),
                   EOPNOTSUPP)
        conn.fails(PING, b"", EOPNOTSUPP)
        conn.fails(PING, COUNTS, EOPNOTSUPP)
        conn.fails(RESELECT, b"", EOPNOTSUPP)
        assert conn.done(STATUS)[0] == 0
    assert ally.wait(PING)


def test_a_follower_that_is_made_leader_tells_everything(stage):
    ally, one = following(stage)
    ally.wait(PING)
    stage.appoint(11)
    flags, rows = one.beat()
    assert flags == 5 and len(rows) == 2
    assert one.beat() == (0, [])


@pytest.mark.slow
def test_a_follower_tries_three_times_then_elects(stage):
    ally, _ = following(stage)
    ally.wait(PING)
    ally.refuse[PING] = EOPNOTSUPP
    ally.refuse[JOIN_LEADER] = EOPNOTSUPP
    ally.view = None
    ally.heard.clear()
    ally.wait(COMMIT, deadline=20)
    tries = [when for when, cmd, _ in ally.heard if cmd in (JOIN_LEADER,
                                                            PING)]
    assert len(tries) == 3
    assert 1.8 < tries[1] - tries[0] < 3
    assert 3.8 < tries[2] - tries[1] < 5
    asked = [when for when, cmd, _ in ally.heard if cmd == STATUS]
    assert 0.8 < asked[0] - tries[2] < 2
    stage.wait_leader(11)


def test_one_failure_is_forgiven(stage):
    ally, _ = following(stage)
    ally.wait(PING)
    ally.quiet = True
    time.sleep(1.2)
    ally.quiet = False
    joins = ally.commands().count(JOIN_LEADER)
    ally.wait(JOIN_LEADER, joins + 1)
    assert stage.leader() == stage.name(12)


def test_another_leader_is_followed_at_once(stage):
    other = stage.ally(13)
    ally, _ = following(stage)
    ally.wait(PING)
    stage.appoint(13)
    other.wait(PING, 2)
    assert stage.leader() == stage.name(13)
    count = ally.commands().count(PING)
    other.wait(PING, 4)
    assert ally.commands().count(PING) == count


def test_the_events_of_an_election_are_kept(stage):
    leading(stage)
    with stage.tracker.connect() as conn:
        conn.done(RESELECT)

    def texts():
        with stage.tracker.database() as db:
            return [row["text"] for row in db.execute(
                "select text from event where code = 'FD-TRK-02' "
                "order by rowid")]
    wait_until(lambda: len(texts()) >= 2, 10, "events")
    me = stage.name(11).decode()
    assert texts()[:2] == [f"leader is {me}, this tracker",
                           f"leader {me} is lost, another is elected"]


# --- between two lives ------------------------------------------------------

def test_the_time_between_two_lives_is_told(stage):
    stage.storage()
    stage.tracker.stop()
    file = stage.tracker.base / "data" / ".tracker_status"
    kept = dict(line.split("=") for line in file.read_text().splitlines())
    assert set(kept) == {"up_time", "last_check_time"}
    assert 0 <= time.time() - int(kept["last_check_time"]) < 60
    assert int(kept["up_time"]) <= int(kept["last_check_time"])
    # As if FastDFS's tracker had run here, a while ago.
    for name in ("tracker.db", "tracker.db-wal", "tracker.db-shm"):
        (stage.tracker.base / "meta" / name).unlink(missing_ok=True)
    file.write_text(f"up_time={int(time.time()) - 5000}\n"
                    f"last_check_time={int(time.time()) - 1000}\n")
    stage.tracker.start()
    stage.player(101).join(trackers=stage.list())
    with stage.tracker.connect() as conn:
        assert conn.done(STATUS) == b"\1" + i64(0) + i64(900)
